"""The early-curve gate of a run, with the reference taken from earlier runs of its study."""

from pathlib import Path

from harness.record.columns import read_columns
from harness.record.journal import FILE_NAME
from harness.record.summary import read_summary
from harness.verdict.early import Curve, EarlyGate, reference_of

COLUMNS = ("loss", "gradient_norm", "correct", "images")


def open_gate(study: Path, *, seed: int, classes: int, steps_total: int) -> EarlyGate:
    """A gate for one seed, compared with the accepted runs beside it.

    Args:
        study: `runs/<recipe>-<digest8>`, whose runs are of one recipe.
        seed: The run to be checked; its own folder is no reference.
        classes: Of the data set.
        steps_total: Steps of the recipe.
    """
    curves = accepted_curves(study, seed=seed, steps_total=steps_total)
    return EarlyGate(reference_of(curves, steps_total), classes, steps_total)


def accepted_curves(study: Path, *, seed: int, steps_total: int) -> tuple[Curve, ...]:
    """The curves of the study's other completed runs, if all are of one data set."""
    curves = []
    roots: set[str] = set()
    for journal in sorted(study.glob(f"seed-*/{FILE_NAME}")):
        if journal.parent.name == f"seed-{seed}":
            continue
        run = read_summary(journal)
        if run.completed and run.started.steps_total == steps_total:
            roots.add(run.started.data.root_digest)
            curves.append(Curve(**read_columns(journal, COLUMNS)))
    return tuple(curves) if len(roots) <= 1 else ()
