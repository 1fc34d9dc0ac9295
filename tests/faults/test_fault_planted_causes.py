"""Pairs of runs with one planted cause: `harness diff` names it first."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.training.checkpoint import folder_name, read_checkpoint, write_checkpoint
from tests.chained_journals import change, events_of, rewrite
from tests.faults.command import STEPS as STEPS_OF_RUN
from tests.faults.command import Command, certify, diff
from tests.faults.conftest import Reference, Row
from tests.faults.workers import WORKERS

NETWORK = ("--no-tracking", "--set", "model.name=apm5-resnet18-v2")
"""Large enough for threads to add in another order."""
EPOCH = (*NETWORK, "--steps", "10")
STEPS = (*NETWORK, "--steps", "4")
SHORT = (*NETWORK, "--steps", "2")


def trained(command: Command) -> Command:
    ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
    return command


@pytest.fixture(scope="session")
def base(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A whole epoch, so that it sees every image."""
    return trained(Command(digits, tmp_path_factory.mktemp("base") / "runs", extra=EPOCH))


def another_seed(base: Command, runs: Path) -> Command:
    return trained(replace(base, runs=runs, seed=2, extra=STEPS))


def another_thread_count(base: Command, runs: Path) -> Command:
    return trained(replace(base, runs=runs, extra=(*STEPS, "--set", "numerics.intra_op_threads=1")))


def without_onednn(base: Command, runs: Path) -> Command:
    return trained(replace(base, runs=runs, extra=(*STEPS, "--set", "numerics.onednn=false")))


def another_image(base: Command, runs: Path) -> Command:
    data = runs.parent / "digits"
    shutil.copytree(base.data, data)
    first, second = sorted(data.glob("train/1/*.jpg"))[:2]
    first.write_bytes(second.read_bytes())
    return trained(replace(base, data=data, runs=runs, extra=EPOCH))


def a_flipped_bit(base: Command, runs: Path) -> Command:
    """The lowest bit of one weight of the second checkpoint, with digests made to fit."""
    command = trained(replace(base, runs=runs, extra=SHORT))
    checkpoints = command.folder / "checkpoints"
    loaded = read_checkpoint(checkpoints / folder_name(2))
    kernel = loaded.arrays["weights/fully_connected/kernel"]
    kernel.reshape(-1).view(np.uint32)[7] ^= np.uint32(1)
    run_id = command.journal().started.run_id
    write_checkpoint(checkpoints, 2, run_id, loaded.arrays, lambda: None)
    return trained(replace(command, extra=STEPS))


def another_order(base: Command, runs: Path) -> Command:
    return trained(replace(base, runs=runs, fault="other_order", extra=STEPS))


FLIPPED = "the saved state of run B was changed outside the training: "
CAUSES = [
    (another_seed, "another seed (seed: 1 | 2)"),
    (another_thread_count, "other numerics: intra_op_threads: "),
    (without_onednn, "other numerics: onednn: True | False"),
    (another_image, "other data ("),
    (a_flipped_bit, f"{FLIPPED}weights/fully_connected/kernel"),
    (another_order, "another order of the batch"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "expected"), CAUSES, ids=[c.__name__ for c, _ in CAUSES])
def test_named_first(
    plant: Callable[[Command, Path], Command],
    expected: str,
    base: Command,
    tmp_path: Path,
    table: list[Row],
) -> None:
    other = plant(base, tmp_path / "runs")
    code, found = diff(base, other)
    name = plant.__name__.replace("_", " ")
    if plant is another_thread_count and code == 0:
        # Some machines add in the same order with one thread and with several.
        assert any("intra_op_threads" in text for text in found["differences"]["numerics"])
        table.append(Row(f"diff: {name}", "4 steps", "no step parts, told", None, code))
        return
    table.append(Row(f"diff: {name}", f"step {found['first']['step']}", found["causes"][0][:60],
                     None, code))  # fmt: skip
    assert code == 1
    assert found["causes"][0].startswith(expected), found
    if plant is another_image:
        assert found["finding"]["origin"] == "image contents"
        assert len(found["finding"]["names"]) == 1
        assert found["finding"]["names"][0].startswith("train/1/")
    if plant is a_flipped_bit:
        assert found["first"]["step"] == 2
        assert found["finding"]["origin"] == "state before the step"


@pytest.mark.slow
def test_equal_runs_are_equal(base: Command, tmp_path: Path, table: list[Row]) -> None:
    code, found = diff(base, trained(replace(base, runs=tmp_path / "runs", extra=STEPS)))
    table.append(Row("diff: nothing", "4 steps", "equal", True, code))
    assert (code, found["first"], found["common_steps"]) == (0, None, 4)


@pytest.mark.slow
def test_certificate_of_an_honest_run(base: Command, table: list[Row]) -> None:
    code, found = certify(base, "--from", "0")
    assert code == 0
    assert (found["level"], found["exact"], found["agrees"]) == ("step", True, True)
    assert found["steps_replayed"] == 10
    assert found["evaluations_repeated"] == 1
    table.append(Row("certify: honest run", "10 steps", found["level"], True, code))


@pytest.mark.slow
def test_certificate_of_an_altered_journal(base: Command, tmp_path: Path, table: list[Row]) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(base.runs, runs)
    command = replace(base, runs=runs)
    path = command.journal().path
    window = next(w for w in command.journal().steps if 3 in w.step)
    place = window.step.index(3)
    true, mark = window.loss[place], window.fingerprint[place]
    change(path, repr(true), repr(true + 0.25))
    change(path, mark, "0" * 16)
    code, found = certify(command, "--segments", "3", "--nonce", "dice")
    table.append(Row("certify: altered loss", "step 3", found["level"], None, code))
    assert code == 1
    assert found["level"] == "data"
    assert "first differing step is 3, in its loss" in found["statement"]


def with_another_count(journal: Path) -> None:
    """One image less is right after the last step; the prediction files are told to be gone."""
    lines = events_of(journal)
    for at, line in enumerate(lines):
        event = json.loads(line)
        if event["event"] == "evaluation" and event["step"] == STEPS_OF_RUN:
            event |= {"predictions_file": None, "predictions_digest": None}
            event["top1_correct"] -= 1
            lines[at] = json.dumps(event, separators=(",", ":"))
    rewrite(journal, lines)


@pytest.mark.parametrize("altered", ["nothing", "the file's digest", "the counts"])
def test_an_evaluation_within_the_replayed_steps_is_repeated(
    uninterrupted: Reference, tmp_path: Path, table: list[Row], altered: str
) -> None:
    """Any epoch may be the one that counts; what is altered is rewritten with all links."""
    command = uninterrupted.copy(tmp_path)
    path = command.journal().path
    at = [e for e in command.journal().evaluations if e.step == STEPS_OF_RUN]
    if altered == "the file's digest":
        change(path, str(at[0].predictions_digest), "0" * 64)
    elif altered == "the counts":
        with_another_count(path)
    honest = altered == "nothing"
    code, found = certify(command, "--from", str(STEPS_OF_RUN - 4))
    table.append(Row("certify: altered evaluation", altered, found["level"], None, code))
    assert found["level"] == "step"
    assert found["evaluations_repeated"] == len(at)
    assert (code, found["agrees"]) == ((0, True) if honest else (1, False))
    assert found["differing_evaluations"] == ([] if honest else [STEPS_OF_RUN])
    words = "each image's prediction agrees" if honest else "after step 40 gave other predictions"
    assert words in found["statement"]


ELSEWHERE = (("OMP_DYNAMIC", "false"),)
"""A variable that can change bits and was not set for the run: bits are not promised."""


@pytest.mark.slow
def test_certificate_from_another_machine(base: Command, tmp_path: Path, table: list[Row]) -> None:
    code, found = certify(base, "--from", "0", "--tolerance", "0.002", environment=ELSEWHERE)
    assert (code, found["exact"], found["agrees"], found["level"]) == (0, False, True, "step")
    assert "within a relative tolerance of 0.002" in found["statement"]
    assert "weaker certificate" in found["statement"]
    table.append(Row("certify: another machine", "10 steps", found["level"], None, code))

    command = replace(base, runs=tmp_path / "runs")
    shutil.copytree(base.runs, command.runs)
    path = command.journal().path
    true = next(w for w in command.journal().steps if 3 in w.step)
    loss = true.loss[true.step.index(3)]
    change(path, repr(loss), repr(loss + 0.25))
    code, found = certify(command, "--from", "0", environment=ELSEWHERE)
    table.append(Row("certify: altered loss, elsewhere", "step 3", found["level"], None, code))
    assert (code, found["agrees"]) == (1, False)
    assert "first step beyond the tolerance is 3, in its loss" in found["statement"]


@pytest.mark.slow
def test_certificate_of_a_run_of_two_workers(
    base: Command, tmp_path: Path, table: list[Row]
) -> None:
    """Batch normalisation has each worker's own statistics, and so have the replay's devices."""
    extra = (*WORKERS, *NETWORK, "--steps", "4")
    command = trained(replace(base, runs=tmp_path / "runs", extra=extra))
    code, found = certify(command, "--from", "0")
    table.append(Row("certify: two workers", "4 steps", found["level"], None, code))
    assert (code, found["exact"], found["agrees"], found["level"]) == (0, False, True, "step")
    assert any(
        text.startswith("workers: 2 in the run, 1") for text in found["numerics_differences"]
    )


@pytest.mark.slow
def test_an_altered_state_differs_on_every_machine(
    base: Command, tmp_path: Path, table: list[Row]
) -> None:
    command = a_flipped_bit(base, tmp_path / "runs")
    code, found = certify(command, "--from", "2", environment=ELSEWHERE)
    table.append(Row("certify: altered state, elsewhere", "step 2", "differs", None, code))
    assert (code, found["exact"], found["agrees"]) == (1, False, False)
    assert found["segments"][0]["altered_state"] == ["weights/fully_connected/kernel"]
    assert "saved state of step 2 is not what the journal recorded" in found["statement"]
