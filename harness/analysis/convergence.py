"""`harness verdict --mlperf`: MLPerf's check of convergence on a study, in both readings."""

from collections.abc import Sequence
from pathlib import Path

from harness.baselines.loading import load_baselines
from harness.errors import UsageError
from harness.frozen import Frozen
from harness.record.run_folder import find_runs
from harness.record.summary import RunSummary, read_summary
from harness.verdict.checks import copies, is_whole, refuse_mixture
from harness.verdict.convergence import (
    QUALITY,
    SUBMISSION_RUNS,
    ConvergenceAnswer,
    check_convergence,
    counts_for_quality,
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
        UsageError: no runs, of different recipes, copies of each other, not on
            all of ImageNet, or without a center-crop evaluation.
        StatisticsError: not five runs.
        RecordError: a journal that is missing or damaged.
    """
    runs = [read_summary(folder) for folder in find_runs(paths)]
    refuse_mixture(runs)
    _refuse_unfit(runs)
    epochs = {run.started.seed: epochs_to_quality(run) for run in runs}
    rows, batch = load_baselines().convergence, runs[0].started.recipe.batch
    answers = tuple(
        check_convergence(batch, list(epochs.values()), reference_points(rows, variant), variant)
        for variant in ("checker", "rules")
    )
    return ConvergenceReadings(epochs=epochs, answers=answers)


def _refuse_unfit(runs: Sequence[RunSummary]) -> None:
    """The reference is about different runs on ImageNet, evaluated with the center crop."""
    found = list(copies(runs))
    for run in runs:
        if not is_whole(run.started.data):
            found.append(f"seed {run.started.seed}: the data is {run.started.data.name}")
        elif not any(counts_for_quality(e) for e in run.evaluations):
            found.append(f"seed {run.started.seed}: no evaluation of all images by center crop")
    if found:
        raise UsageError(
            "; ".join(found),
            where=", ".join(str(run.folder) for run in runs),
            expected=f"{SUBMISSION_RUNS} different runs on all of ImageNet, evaluated with the "
            "center crop",
            remedy="name such runs; MLPerf's reference says nothing about others",
        )


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
