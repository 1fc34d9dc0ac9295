"""The early-curve gate of a run, with the reference taken from earlier runs of its study."""

from pathlib import Path

from harness.errors import RecordError
from harness.record.columns import read_columns
from harness.record.run_folder import runs_of_study
from harness.record.schema import Warned
from harness.record.summary import RunSummary, read_summary
from harness.verdict.checks import shared_marks
from harness.verdict.early import Curve, EarlyGate, reference_of

COLUMNS = ("loss", "gradient_norm", "correct", "images")
TOPIC = "early_curve"
ABSOLUTE_BASIS = "no reference, absolute check"


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
        Curve(**read_columns(run.folder, COLUMNS))
        for run in accepted_runs(study, seed=seed)
        if run.started.recipe_digest == recipe_digest
        and run.started.data.root_digest == root_digest
        and run.started.steps_total == steps_total
    ]
    return EarlyGate(reference_of(curves, steps_total), classes, steps_total)


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
