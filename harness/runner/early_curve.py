"""A young run held against earlier ones of its study: warned about, stopped only on request."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InconclusiveError, RecordError, StatisticsError
from harness.record.journal import read_journal
from harness.record.run_folder import runs_of_study
from harness.record.schema import Steps, Warned
from harness.record.summary import RunSummary, read_summary
from harness.verdict.checks import shared_marks
from harness.verdict.early import Curve, EarlyGate, Finding, reference_of

Warn = Callable[[str, str], None]
"""(topic, text) of a warning to record."""
COLUMNS = ("loss", "gradient_norm", "correct", "images")
TOPIC = "early_curve"
ABSOLUTE_BASIS = "no reference, absolute check"


class UnusualCurveError(InconclusiveError):
    """The early curve is not that of earlier runs, and the user asked to stop for it."""


@dataclass
class CurveWatch:
    """Tells the gate of each recorded window and records what is new in its answer.

    Attributes:
        gate: None where the recipe is too short to be watched.
        stop: Whether an unusual curve ends the run.
        warn: Records a warning.
        folder: The run's, for messages.
        told: Findings that were recorded already.
    """

    gate: EarlyGate | None
    stop: bool
    warn: Warn
    folder: Path
    told: int = 0

    def see(self, window: Steps) -> None:
        """Take a new window.

        Raises:
            UnusualCurveError: something is unusual and `stop` is set.
        """
        if self.gate is None:
            return
        answer = self.gate((window,))
        new = answer.findings[self.told :]
        self.told = len(answer.findings)
        for finding in new:
            self.warn(TOPIC, described(finding, answer.compared_with))
        if new and self.stop:
            raise UnusualCurveError(
                f"stopped after step {window.step[-1]}: {described(new[0], answer.compared_with)}",
                where=str(self.folder),
                expected="the curve of earlier runs of the recipe",
                remedy="look at the report's learning curves; without --stop-when-unusual the "
                "run is only warned about",
            )


def described(finding: Finding, references: int) -> str:
    """A finding in words."""
    basis = f"{references} earlier runs" if references else ABSOLUTE_BASIS
    low, high = ("none" if x is None else f"{x:.4g}" for x in (finding.low, finding.high))
    return (
        f"steps {finding.steps[0]} to {finding.steps[1]}: {finding.check} {finding.value:.4g}, "
        f"expected {low} to {high} ({basis})"
    )


def open_watch(
    study: Path,
    recorded: tuple[Steps, ...],
    *,
    seed: int,
    recipe_digest: str,
    root_digest: str,
    classes: int,
    steps_total: int,
    stop: bool,
    warn: Warn,
) -> CurveWatch:
    """Watch a seed of a study; windows recorded before an interruption are seen already."""
    folder = study / f"seed-{seed}"
    try:
        gate = open_gate(
            study,
            seed=seed,
            recipe_digest=recipe_digest,
            root_digest=root_digest,
            classes=classes,
            steps_total=steps_total,
        )
    except StatisticsError:
        return CurveWatch(None, stop, warn, folder)
    told = len(gate(recorded).findings) if recorded else 0
    return CurveWatch(gate, stop, warn, folder, told)


def open_gate(
    study: Path, *, seed: int, recipe_digest: str, root_digest: str, classes: int, steps_total: int
) -> EarlyGate:
    """A gate for one seed, compared with the accepted runs beside it.

    Args:
        study: `runs/<recipe>-<digest8>`.
        seed: The run to be checked; its own folder is no reference.
        recipe_digest: Of the run to be checked; only its equals are references.
        root_digest: Of its data; the same holds.
        classes: Of the data set.
        steps_total: Steps of the recipe.
    """
    curves = [
        _curve(run.folder)
        for run in accepted_runs(study, seed=seed)
        if run.started.recipe_digest == recipe_digest
        and run.started.data.root_digest == root_digest
        and run.started.steps_total == steps_total
    ]
    return EarlyGate(reference_of(curves, steps_total), classes, steps_total)


def _curve(run: Path) -> Curve:
    journal = read_journal(run)
    return Curve(**{name: journal.column(name) for name in COLUMNS})


def accepted_runs(study: Path, *, seed: int) -> tuple[RunSummary, ...]:
    """The study's other completed runs, each once, without those whose own curve was unusual.

    Copies of one run would agree far better than runs do and make every sound
    run unusual.
    """
    accepted: list[RunSummary] = []
    for folder in runs_of_study(study):
        if folder.name == f"seed-{seed}":
            continue
        run = _readable(folder)
        if (
            run is None
            or not run.completed
            or any(was_unusual(warning) for warning in run.warnings)
        ):
            continue
        if not any(shared_marks(run, other) for other in accepted):
            accepted.append(run)
    return tuple(accepted)


def _readable(folder: Path) -> RunSummary | None:
    """A run, unless its journal cannot be read.

    A seed that begins at this moment has an empty one, and a damaged neighbour
    is no reason to end a sound run.
    """
    try:
        return read_summary(folder)
    except RecordError:
        return None


def was_unusual(warning: Warned) -> bool:
    """Whether a warning says that a curve left the intervals of earlier runs.

    What an absolute check found is no such thing: its limits hold for any
    recipe, and a sound run may lie outside them.
    """
    return warning.topic == TOPIC and ABSOLUTE_BASIS not in warning.text
