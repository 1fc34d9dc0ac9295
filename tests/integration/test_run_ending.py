"""A training whose last step is no epoch's end, by the command; bits and evaluations."""

import json
from pathlib import Path

import pytest

from harness.record.journal import Journal
from tests.faults.command import Command
from tests.few_digits import digits_of_classes

STEPS_PER_EPOCH = 4
STEPS = 10
PHASES = [
    {"steps": 6, "rate": {"kind": "constant", "rate": 0.01}},
    {"steps": 1, "rate": {"kind": "constant", "rate": 0.001}, "reset_momentum": True},
    {"steps": 3, "rate": {"kind": "constant", "rate": 0.0001}},
]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_of_classes(tmp_path_factory.mktemp("digits"), classes=2, train=12, val=4)


def command(data: Path, runs: Path, *words: str) -> Command:
    settings = (
        "model.name=he2015-cifar-resnet20-a",
        "model.initializer=he_normal_fan_out",
        "optimizer.form=rate_outside",
        "optimizer.nesterov=false",
        f"steps_per_epoch={STEPS_PER_EPOCH}",
        f"phases={json.dumps(PHASES)}",
    )
    extra = [word for setting in settings for word in ("--set", setting)]
    return Command(data, runs, extra=("--no-tracking", *extra, *words))


@pytest.fixture(scope="module")
def whole(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Journal:
    run = command(digits, tmp_path_factory.mktemp("whole"))
    ended = run.finish()
    assert ended.exit_code == 0, ended.stderr
    return run.journal()


def test_a_run_ends_within_an_epoch_with_its_final_protocols(whole: Journal) -> None:
    assert (whole.started.steps_total, whole.last_step) == (STEPS, STEPS)
    assert [(e.step, e.epoch, e.final, e.protocol.name) for e in whole.evaluations] == [
        (4, 1.0, False, "center_crop"),
        (8, 2.0, False, "center_crop"),
        (10, 2.5, True, "center_crop"),
        (10, 2.5, True, "ten_crop"),
    ]
    rates = [rate for window in whole.steps for rate in window.learning_rate]
    assert rates == pytest.approx([0.01] * 6 + [0.001] + [0.0001] * 3)
    assert whole.finished is not None
    assert whole.finished.status == "completed"
    assert whole.checkpoints[-1].step == STEPS


def test_a_run_stopped_within_its_last_epoch_ends_with_the_same_bits(
    whole: Journal, digits: Path, tmp_path: Path
) -> None:
    for words in (("--steps", "9"), ()):
        run = command(digits, tmp_path, *words)
        ended = run.finish()
        assert ended.exit_code == 0, ended.stderr
    assert run.journal().fingerprints() == whole.fingerprints()
    assert run.journal().finished is not None
    assert run.journal().finished.weights_fingerprint == whole.finished.weights_fingerprint
