"""How the runs learned: loss of every step, accuracy of every evaluation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.baselines.schema import PublishedCurve
from harness.report import published_curve
from harness.report.accuracy import without_top5
from harness.report.published_curve import curves_of, landmarks
from harness.report.rendering.content import Drawing, Section, Table
from harness.report.rendering.drawing import Size, axes, draw, legend, series_style
from harness.report.rendering.reduction import reduce_curve
from harness.report.rendering.wording import MISSING, count, number, percent, plural
from harness.report.run_record import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning(runs: Sequence[RunRecord], published: Sequence[PublishedCurve] = ()) -> Section:
    """Loss and accuracy curves of all runs, beside published ones of the same protocol."""
    published = curves_of(runs, published)
    paragraphs = [_reading(runs)]
    drawings, tables = [], []
    if any(len(run.series) for run in runs):
        drawings.append(_loss(runs))
        tables.append(_by_epoch(runs))
    if any(run.evaluations for run in runs):
        drawings.append(_accuracy(runs, published))
        tables += [*(landmarks(runs, curve) for curve in published), _evaluations(runs)]
    else:
        paragraphs.append("No evaluation is in the journals, so there is no accuracy curve.")
    return Section("learning", "Learning curves", tuple(paragraphs), tuple(drawings), tuple(tables))


def _reading(runs: Sequence[RunRecord]) -> str:
    bad = {run.name: int((~np.isfinite(run.series["loss"])).sum()) for run in runs}
    text = (
        "The line is the mean of each column of steps, the shade reaches from its least to its "
        "greatest value: no spike is left out."
    )
    if any(run.excerpt for run in runs):
        text += (
            " Of an excerpt the kept steps alone are drawn; its table by epoch is of all steps, as "
            "its maker summed them."
        )
    for name, steps in bad.items():
        if steps:
            text += f" {name}: {plural(steps, 'step')} with a loss that is not finite, not drawn."
    return text


def _loss(runs: Sequence[RunRecord]) -> Drawing:
    def paint(figure: "Figure", size: Size) -> None:
        (plot,) = axes(figure)
        for index, run in enumerate(runs):
            loss = run.series["loss"]
            curve = reduce_curve(run.series.step + 1, loss, size.columns)
            style = series_style(index)
            if curve.is_reduced:
                plot.fill_between(
                    curve.x, curve.low, curve.high, color=style["color"], alpha=0.3, linewidth=0.7
                )
            plot.plot(curve.x, curve.mean, linewidth=1.5, label=run.name, **style)
        plot.set_title("training loss (mean smoothed cross-entropy)")
        plot.set_xlabel("steps done")
        plot.set_xlim(left=0)
        legend(figure)

    which = "kept step" if any(run.excerpt for run in runs) else "step"
    return draw("loss", f"Training loss of every {which}.", paint)


def _accuracy(runs: Sequence[RunRecord], published: Sequence[PublishedCurve]) -> Drawing:
    def paint(figure: "Figure", _size: Size) -> None:
        (plot,) = axes(figure)
        for curve in published:
            published_curve.paint(plot, curve)
        for index, run in enumerate(runs):
            protocol = run.started.recipe.epoch_protocol
            points = [e for e in run.evaluations if e.protocol_digest == protocol.digest]
            style = series_style(index)
            plot.plot(
                [e.epoch for e in points], [100 * e.top1_accuracy for e in points],
                marker="o", markersize=4, label=run.name, **style,
            )  # fmt: skip
            for other in run.evaluations:
                if other.protocol_digest != protocol.digest:
                    plot.plot(
                        other.epoch, 100 * other.top1_accuracy, marker="D", markersize=6,
                        markerfacecolor="none", markeredgecolor=style["color"], linestyle="none",
                    )  # fmt: skip
        plot.set_title("top-1 accuracy on the validation images, %")
        plot.set_xlabel("epochs done")
        plot.set_xlim(left=0)
        legend(figure)

    return draw(
        "accuracy",
        "Top-1 accuracy after each evaluated epoch; open diamonds are other protocols.",
        paint,
    )


def _by_epoch(runs: Sequence[RunRecord]) -> Table:
    rows = []
    for run in runs:
        rows += [
            (
                run.name,
                str(epoch),
                count(sums.steps),
                number(sums.loss, 4),
                number(sums.least_loss, 4),
                number(sums.greatest_loss, 4),
                percent(sums.correct / sums.images) if sums.images else MISSING,
                number(sums.learning_rate),
            )
            for epoch, sums in enumerate(run.epochs, 1)
        ]
    columns = (
        "run", "epoch", "steps", "mean loss", "least", "greatest", "training top-1",
        "last learning rate",
    )  # fmt: skip
    return Table(
        "Training by epoch", columns, tuple(rows), frozenset(range(1, len(columns))), folded=True
    )


def _evaluations(runs: Sequence[RunRecord]) -> Table:
    rows = tuple(
        (
            run.name,
            f"{event.epoch:.2f}",
            count(event.step),
            event.protocol.name,
            f"{count(event.images)} of {count(event.images_in_split)}",
            percent(event.top1_accuracy),
            percent(event.top5_accuracy),
        )
        for run in runs
        for event in run.evaluations
    )
    columns = ("run", "epoch", "step", "protocol", "images", "top-1", "top-5")
    return Table(
        "Every evaluation", columns, rows, frozenset({1, 2, 4, 5, 6}), folded=True,
        hidden=without_top5(runs, 6),
    )  # fmt: skip
