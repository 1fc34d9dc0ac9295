"""MLPerf's rule, against the published figures and against MLPerf's own checker."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from harness.analysis.convergence import convergence
from harness.baselines import load_baselines
from harness.baselines.schema import ConvergenceRow
from harness.cli.judge.verdict import command
from harness.errors import StatisticsError, UsageError
from harness.record.summary import read_summary
from harness.verdict.convergence import check_convergence, epochs_to_quality, reference_points
from tests.planted_journals import Planted, imagenet_runs, plant, smoke_runs, study

BATCHES = (1000, 1632, 2500, 3264, 4096, 20_000, 32_768, 50_000, 67_840, 70_000)


def rows() -> tuple[ConvergenceRow, ...]:
    return load_baselines().convergence


def test_points_are_those_published() -> None:
    points = {p.batch: p for p in reference_points(rows(), "checker", prune=False)}
    # Means, spreads and minima as computed by the checker and printed in its summary.
    printed = {
        1632: (35.0, 1.085, 33.802),
        4096: (39.875, 1.0, 38.634),
        67_840: (85.846, 0.639, 85.183),
    }
    for batch, (mean, spread, minimum) in printed.items():
        point = points[batch]
        assert point.mean == pytest.approx(mean, abs=5e-4)
        assert point.spread == pytest.approx(spread, abs=5e-4)
        assert point.minimum == pytest.approx(minimum, abs=1e-3)
    kept = reference_points(rows(), "checker")
    assert [p.batch for p in kept] == [1632, 3264, 32_768, 49_152, 67_840]


def test_text_and_code_disagree_as_known() -> None:
    epochs = (16.0, 14.0, 16.0, 17.0, 16.0, 16.0, 15.0, 16.0, 15.0, 16.0)
    row = rows()[0].model_copy(update={"epochs": epochs, "batch": 128})
    (text,) = reference_points([row], "rules")
    (code,) = reference_points([row], "checker")
    # training_rules.adoc prints 0.43 and 15.21 for this example.
    assert (text.spread, text.minimum) == pytest.approx((0.43, 15.21), abs=5e-3)
    assert (code.spread, code.minimum) == pytest.approx((0.781, 14.781), abs=1e-3)


def write_logs(folder: Path, batch: int, epochs: list[float | None]) -> None:
    for number, epoch in enumerate(epochs):
        events = [
            ("global_batch_size", batch, {}),
            ("submission_benchmark", "resnet", {}),
            ("eval_accuracy", 0.76, {"epoch_num": 100 if epoch is None else epoch}),
            ("run_stop", None, {"status": "aborted" if epoch is None else "success"}),
        ]
        lines = [
            ":::MLLOG " + json.dumps({"key": key, "value": value, "metadata": metadata})
            for key, value, metadata in events
        ]
        (folder / f"result_{number}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def checker() -> ModuleType:
    return pytest.importorskip(
        "mlperf_logging.rcp_checker.rcp_checker",
        reason="the package mlperf-logging is not installed: nothing to compare with",
    )  # type: ignore[no-any-return]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("prune", [True, False])
def test_the_answer_is_that_of_mlperfs_own_checker(
    checker: ModuleType, tmp_path: Path, batch: int, prune: bool
) -> None:
    points = reference_points(rows(), "checker", prune=prune)
    generator = np.random.default_rng(batch)
    near = np.interp(batch, [p.batch for p in points], [p.minimum for p in points])
    for case in range(4):
        spread = generator.integers(-2, 3, 5)
        epochs: list[float | None] = [float(round(near) + x) for x in spread]
        epochs[: case % 3] = [None] * (case % 3)
        folder = tmp_path / str(case)
        folder.mkdir()
        write_logs(folder, batch, epochs)
        which = "pruned_rcps" if prune else "full_rcps"
        passed, reason, factor = checker.check_directory(
            str(folder), "training", "4.0.0", False, False, rcp_pass=which
        )
        found = check_convergence(batch, epochs, points, "checker")
        assert (found.passed, found.reason) == (passed, reason)
        if passed:
            assert found.normalisation == pytest.approx(factor, rel=1e-9)


def test_other_than_five_runs_are_no_submission() -> None:
    with pytest.raises(StatisticsError, match="4 runs"):
        check_convergence(1632, [35.0] * 4, reference_points(rows(), "checker"), "checker")


def test_one_failure_counts_as_the_slowest() -> None:
    points = reference_points(rows(), "rules")
    found = check_convergence(1632, [None, 36.0, 36.0, 37.0, 38.0], points, "rules")
    assert found.passed
    assert found.mean == pytest.approx(37.0)
    assert not check_convergence(1632, [None, None, 36.0, 37.0, 38.0], points, "rules").passed
    assert found.normalisation == 1.0
    assert math.isfinite(found.minimum or math.nan)


def test_the_command_names_both_readings(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(77.6, 77.7, 77.8, 77.7, 77.6))
    result = CliRunner().invoke(command, [str(folder), "--mlperf"])
    assert result.exit_code == 1
    assert "rules' text" in result.output
    assert "lowest that passes 33.802" in result.output
    with pytest.raises(StatisticsError, match="1 runs"):
        convergence([folder / "seed-1"])


FIVE = imagenet_runs(77.6, 77.7, 77.8, 77.7, 77.6)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([replace(run, marks_of=1) for run in FIVE], "copies of one run"),
        (smoke_runs(350, 350, 350, 350, 350), "seed 5: the data is digits"),
        ([replace(run, correct={"ten_crop": 38_800}) for run in FIVE], "by center crop"),
    ],
)
def test_runs_that_the_reference_does_not_speak_about_are_refused(
    tmp_path: Path, runs: list[Planted], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        convergence([study(tmp_path, runs)])


def test_epochs_to_quality_come_from_evaluations(tmp_path: Path) -> None:
    run = read_summary(plant(tmp_path, imagenet_runs(77.7)[0]))
    assert epochs_to_quality(run) == 3.0
    assert epochs_to_quality(run, 0.80) is None
