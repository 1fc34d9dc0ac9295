"""`harness verdict --mlperf`: MLPerf's check of convergence on a study, in both readings."""

from collections.abc import Sequence
from pathlib import Path

from harness.baselines.loading import load_baselines
from harness.recipes.values import Frozen
from harness.record.run_folders import find_runs
from harness.record.summary import read_summary
from harness.verdict.checks import refuse_mixture
from harness.verdict.convergence import (
    QUALITY,
    ConvergenceAnswer,
    check_convergence,
    epochs_to_quality,
    reference_points,
)

READINGS = {"checker": "the checker's code", "rules": "the rules' text"}


class ConvergenceReadings(Frozen):
    """Epochs to the quality target by seed, and the answer of each reading."""

    epochs: dict[int, float | None]
    answers: tuple[ConvergenceAnswer, ...]

    @property
    def exit_code(self) -> int:
        """0 when both readings pass, else 1."""
        return 0 if all(answer.passed for answer in self.answers) else 1


def convergence(paths: Sequence[Path]) -> ConvergenceReadings:
    """Check five runs of one recipe.

    Raises:
        UsageError: no runs, or of different recipes.
        StatisticsError: not five runs.
        RecordError: a journal that is missing or damaged.
    """
    runs = [read_summary(folder) for folder in find_runs(paths)]
    refuse_mixture(runs)
    epochs = {run.started.seed: epochs_to_quality(run) for run in runs}
    rows, batch = load_baselines().convergence, runs[0].started.recipe.batch
    answers = tuple(
        check_convergence(batch, list(epochs.values()), reference_points(rows, variant), variant)
        for variant in ("checker", "rules")
    )
    return ConvergenceReadings(epochs=epochs, answers=answers)


def convergence_text(found: ConvergenceReadings) -> str:
    """For a terminal."""
    lines = [f"epochs to {100 * QUALITY:g} % top-1"]
    lines += [
        f"  seed {seed}: {'not reached' if e is None else e}" for seed, e in found.epochs.items()
    ]
    for answer in found.answers:
        word = "passes" if answer.passed else "fails"
        lines += ["", f"by {READINGS[answer.variant]}: {word} ({answer.reason})"]
        if answer.mean is not None and answer.minimum is not None:
            lines += [f"  olympic mean {answer.mean:.3f}, reference {answer.reference_mean:.3f}"]
            lines += [f"  lowest that passes {answer.minimum:.3f}"]
    return "\n".join([*lines, "", "it finds convergence that is too fast, nothing else"])
