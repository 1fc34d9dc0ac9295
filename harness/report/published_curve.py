"""Published runs of the same protocol beside a run's learning curve."""

from collections.abc import Sequence
from typing import Any

from harness.baselines.schema import CurvePoint, PublishedCurve
from harness.report.rendering.content import Table
from harness.report.rendering.wording import MISSING, count, percent
from harness.report.run_record import RunRecord

COLUMNS = (
    "run", "epoch", "top-1", "published, least", "greatest", "lies",
    "training top-1", "published, least", "greatest", "lies",
)  # fmt: skip


def curves_of(
    runs: Sequence[RunRecord], curves: Sequence[PublishedCurve]
) -> tuple[PublishedCurve, ...]:
    """Those that repeat the recipe and the kind of data of every run."""
    about = {(run.started.recipe.name, run.started.data.kind) for run in runs}
    return tuple(curve for curve in curves if about == {(curve.recipe, curve.data)})


def paint(plot: Any, curve: PublishedCurve) -> None:
    """Draw the range of the published validation accuracies, in percent, at each landmark."""
    for index, point in enumerate(curve.points):
        plot.vlines(
            point.epoch, 100 * min(point.validation), 100 * max(point.validation),
            color="0.45", linewidth=3, alpha=0.6,
            label=f"{curve.name}: range of {len(point.validation)} runs" if index == 0 else None,
        )  # fmt: skip


def landmarks(runs: Sequence[RunRecord], curve: PublishedCurve) -> Table:
    """Each run at the landmarks that it has reached.

    A run that is exchangeable with n published ones lies outside their range at an epoch
    with probability 2 / (n + 1): the caption states it, so that one "below" alarms nobody.
    """
    n = len(curve.points[0].validation)
    return Table(
        f"Beside {curve.name} ({curve.source.address}). A run that differs from the {n} published "
        f"ones in chance alone lies outside their range at {percent(2 / (n + 1))} of the epochs",
        COLUMNS,
        tuple(row for run in runs for point in curve.points for row in _rows(run, point)),
        frozenset({1, 2, 3, 4, 6, 7, 8}),
    )


def _rows(run: RunRecord, point: CurvePoint) -> list[tuple[str, ...]]:
    protocol = run.started.recipe.epoch_protocol.digest
    reached = [
        event.top1_accuracy
        for event in run.evaluations
        if event.protocol_digest == protocol and event.epoch == point.epoch
    ]
    if not reached:
        return []
    training = _training(run, point.epoch)
    return [
        (run.name, count(point.epoch), *_beside(reached[0], point.validation),
         *_beside(training, point.training))
    ]  # fmt: skip


def _training(run: RunRecord, epoch: int) -> float | None:
    """Over all images of a whole epoch; None where not all its steps are known."""
    if not 0 < epoch <= len(run.epochs):
        return None
    sums = run.epochs[epoch - 1]
    whole = sums.steps == run.started.steps_per_epoch and sums.images
    return sums.correct / sums.images if whole else None


def _beside(value: float | None, published: Sequence[float]) -> tuple[str, str, str, str]:
    if value is None or not published:
        return (MISSING if value is None else percent(value), MISSING, MISSING, MISSING)
    low, high = min(published), max(published)
    lies = "below" if value < low else "above" if value > high else "inside"
    return percent(value), percent(low), percent(high), lies
