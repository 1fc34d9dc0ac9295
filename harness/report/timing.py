"""How fast the runs were: distribution and timeline of the step time, rates, waits, pauses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.content import Drawing, Section, Table
from harness.report.drawing import MUTED, Size, axes, draw, legend, series_style
from harness.report.reduction import reduce_curve
from harness.report.run_record import RunRecord
from harness.report.wording import count, duration, listed, milliseconds, number, percent

WHAT_IS_TIMED = (
    "Steps that hold compilation are left out of every figure here, and pauses for evaluations and "
    "checkpoints are no part of a step's time."
)


@dataclass(frozen=True)
class PeakShare:
    """How much of the machine's measured peak a run used.

    Attributes:
        share: Fraction of the peak; None when it is unknown.
        why: How it was found, or why it is unknown.
    """

    share: float | None
    why: str


def timing(runs: Sequence[RunRecord], peaks: Sequence[PeakShare]) -> Section:
    """Step times, images a second, data waits, pauses and the share of the machine's peak.

    Args:
        runs: At least one.
        peaks: One for each run.
    """
    timed = [run for run in runs if run.series.timed.any()]
    paragraphs = [WHAT_IS_TIMED]
    if not timed:
        return Section("timing", "Speed", ("No timed step is in the journals.",))
    for why in dict.fromkeys(peak.why for peak in peaks):
        names = [run.name for run, peak in zip(runs, peaks, strict=True) if peak.why == why]
        paragraphs.append(f"{listed(names)}: {why}")
    return Section(
        "timing",
        "Speed",
        tuple(paragraphs),
        (_distribution(timed), _timeline(timed)),
        (_table(runs, peaks),),
    )


def _distribution(runs: Sequence[RunRecord]) -> Drawing:
    def paint(figure: Figure, size: Size) -> None:
        (plot,) = axes(figure)
        times = [1000 * run.series.step_time_s[run.series.timed] for run in runs]
        low = min(float(t.min()) for t in times)
        high = max(float(np.percentile(t, 99.5)) for t in times)
        bins = np.linspace(low, max(high, low * 1.001), 31 if size.narrow else 61)
        for index, (run, values) in enumerate(zip(runs, times, strict=True)):
            weights = np.full(values.size, 100 / values.size)
            plot.hist(
                np.minimum(values, bins[-1]), bins.tolist(), weights=weights, histtype="step",
                linewidth=1.5, label=run.name, **series_style(index),
            )  # fmt: skip
        plot.set_title("share of steps, %")
        plot.set_xlabel("step time, ms (the last column holds all longer ones)")
        legend(figure)

    return draw("step-times", "Distribution of the step time.", paint)


def _timeline(runs: Sequence[RunRecord]) -> Drawing:
    def paint(figure: Figure, size: Size) -> None:
        plots = axes(figure, rows=len(runs))
        for index, (run, plot) in enumerate(zip(runs, plots, strict=True)):
            kept = np.flatnonzero(run.series.timed)
            curve = reduce_curve(kept + 1, 1000 * run.series.step_time_s[kept], size.columns)
            style = series_style(index)
            plot.fill_between(
                curve.x, curve.low, curve.high, color=style["color"], alpha=0.3, linewidth=0
            )
            plot.plot(curve.x, curve.mean, linewidth=1.2, color=style["color"])
            _marks(plot, run)
            plot.set_title(f"{run.name}: step time, ms")
            plot.set_xlim(0, max(len(run.series), 1))
        plots[-1].set_xlabel("steps done (| checkpoint, triangle: evaluation)")

    height = 90 + 150 * len(runs)
    return draw(
        "timeline",
        "Step time over the run: mean, least and greatest of each column, with checkpoints and "
        "evaluations marked below.",
        paint,
        wide=Size(880, height, 700),
        narrow=Size(360, height, 320),
    )


def _marks(plot: Axes, run: RunRecord) -> None:
    for steps, marker in (
        (sorted({one.step for one in run.checkpoints}), "|"),
        (sorted({one.step for one in run.evaluations}), "^"),
    ):
        if steps:  # an empty line has no extent, with which no layout can be found
            plot.plot(
                steps, [0.03] * len(steps), marker=marker, color=MUTED, linestyle="none",
                markersize=6, transform=plot.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip


def _table(runs: Sequence[RunRecord], peaks: Sequence[PeakShare]) -> Table:
    columns = (
        "run", "steps timed", "median", "mean", "99th percentile", "longest", "images/s",
        "data wait", "share of peak", "evaluating", "checkpoints",
    )  # fmt: skip
    rows = [_row(run, peak) for run, peak in zip(runs, peaks, strict=True)]
    return Table("Speed", columns, tuple(rows), frozenset(range(1, len(columns))))


def _row(run: RunRecord, peak: PeakShare) -> tuple[str, ...]:
    series = run.series
    timed = series.timed
    times = series.step_time_s[timed]
    if not times.size:
        return (run.name, "0", *("-",) * 9)
    total = float(times.sum())
    median, p99 = np.percentile(times, (50, 99))
    return (
        run.name,
        count(times.size),
        milliseconds(float(median)),
        milliseconds(float(times.mean())),
        milliseconds(float(p99)),
        milliseconds(float(times.max())),
        number(float(series.images[timed].sum()) / total, 4),
        percent(float(series.data_wait_s[timed].sum()) / total, 1),
        percent(peak.share, 1),
        duration(sum(event.duration_s for event in run.evaluations)),
        duration(sum(event.stall_s for event in run.checkpoints)),
    )
