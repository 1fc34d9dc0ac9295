"""How fast the runs were: distribution and timeline of the step time, rates, waits, pauses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.report.rendering.content import Drawing, Section, Table
from harness.report.rendering.drawing import (
    MUTED,
    Size,
    axes,
    draw,
    legend,
    logarithmic,
    series_style,
)
from harness.report.rendering.reduction import reduce_curve
from harness.report.rendering.wording import count, duration, milliseconds, number, percent
from harness.report.run_record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WHAT_IS_TIMED = (
    "Steps that hold compilation are left out of every figure here, and pauses for evaluations and "
    "checkpoints are no part of a step's time. The record of a window (journal, mirror) is written "
    "between two windows and is in neither."
)


ON_A_GPU = (
    "On a GPU the host times windows of up to 100 steps: each step has its window's mean, so that "
    "percentiles and the longest are of such means."
)

WHAT_IS_PEAK = (
    "Share of peak: operations of the forward pass and both gradients, counted from the graph, "
    "over the rate of a matrix product on the same devices, measured when the run began."
)

LINEAR_SPAN = 20
"""Times that span more than this factor are on a logarithmic axis: a linear one hides the usual."""


def timing(runs: Sequence[RunRecord]) -> Section:
    """Step times, images a second, data waits, pauses and the share of the machine's peak."""
    timed = [run for run in runs if run.series.timed.any()]
    if not timed:
        return Section("timing", "Speed", ("No timed step is in the journals.",))
    return Section(
        "timing",
        "Speed",
        (WHAT_IS_TIMED, *((ON_A_GPU,) if any(map(_on_a_gpu, timed)) else ()), WHAT_IS_PEAK),
        (_distribution(timed), _timeline(timed)),
        (_table(runs),),
    )


def _on_a_gpu(run: RunRecord) -> bool:
    return any(device.startswith("GPU") for device in run.started.numerics.devices)


def _distribution(runs: Sequence[RunRecord]) -> Drawing:
    def paint(figure: "Figure", size: Size) -> None:
        (plot,) = axes(figure)
        times = [1000 * run.series["step_time_s"][run.series.timed] for run in runs]
        low = min(float(t.min()) for t in times)
        high = max(float(np.percentile(t, 99.5)) for t in times)
        stretched = high > LINEAR_SPAN * low
        spaced = np.geomspace if stretched else np.linspace
        bins = spaced(low, max(high, low * 1.001), 31 if size.narrow else 61)
        for index, (run, values) in enumerate(zip(runs, times, strict=True)):
            weights = np.full(values.size, 100 / values.size)
            plot.hist(
                np.minimum(values, bins[-1]), bins.tolist(), weights=weights, histtype="step",
                linewidth=1.5, label=run.name, **series_style(index),
            )  # fmt: skip
        if stretched:
            logarithmic(plot, "x")
        plot.set_title("share of steps, %")
        plot.set_xlabel(
            f"step time, ms{', logarithmic' * stretched} (the last column holds all longer ones)"
        )
        legend(figure)

    return draw("step-times", "Distribution of the step time.", paint)


def _timeline(runs: Sequence[RunRecord]) -> Drawing:
    times_s = np.concatenate([run.series["step_time_s"][run.series.timed] for run in runs])
    stretched = bool(times_s.max() > LINEAR_SPAN * times_s.min())

    def paint(figure: "Figure", size: Size) -> None:
        plots = axes(figure, rows=len(runs))
        for index, (run, plot) in enumerate(zip(runs, plots, strict=True)):
            steps, kept = run.series.step + 1, run.series.timed
            times_ms = 1000 * run.series["step_time_s"][kept]
            curve = reduce_curve(steps[kept], times_ms, size.columns)
            style = series_style(index)
            plot.fill_between(
                curve.x, curve.low, curve.high, color=style["color"], alpha=0.3, linewidth=0
            )
            plot.plot(curve.x, curve.mean, linewidth=1.2, color=style["color"])
            if stretched:
                logarithmic(plot, "y")
                plot.set_ymargin(0.2)  # the marks below stay apart
            _marks(plot, run)
            plot.set_title(f"{run.name}: step time, ms")
            plot.set_xlim(0, max(run.series.end_step, 1))
        plots[-1].set_xlabel("steps done (| checkpoint, triangle: evaluation)")

    height = 90 + 150 * len(runs)
    return draw(
        "timeline",
        "Step time over the run: mean, least and greatest of each column, with checkpoints and "
        f"evaluations marked below{'; the time is on a logarithmic axis' * stretched}.",
        paint,
        wide=Size(880, height, 700),
        narrow=Size(360, height, 320),
    )


def _marks(plot: "Axes", run: RunRecord) -> None:
    """Checkpoints above, evaluations below: where both are at one step, both can be seen."""
    for steps, marker, height in (
        (sorted({one.step for one in run.checkpoints}), "|", 0.11),
        (sorted({one.step for one in run.evaluations}), "^", 0.03),
    ):
        if steps:  # an empty line has no extent, with which no layout can be found
            plot.plot(
                steps, [height] * len(steps), marker=marker, color=MUTED, linestyle="none",
                markersize=6, transform=plot.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip


def _table(runs: Sequence[RunRecord]) -> Table:
    columns = (
        "run", "steps timed", "median", "mean", "90th percentile", "99th percentile",
        "longest", "images/s",
        "data wait", "share of peak", "peak, GFLOP/s", "evaluating", "checkpoints",
    )  # fmt: skip
    rows = [_row(run) for run in runs]
    return Table("Speed", columns, tuple(rows), frozenset(range(1, len(columns))))


def peak_share(run: RunRecord, images_per_s: float) -> float | None:
    """Which share of the measured peak the run's arithmetic used; None when no peak is known."""
    ceiling, peak = run.started.ceiling, _peak_flops_per_s(run)
    if ceiling is None or peak is None:
        return None
    return images_per_s * ceiling.training_flops_per_image / peak


def _peak_flops_per_s(run: RunRecord, scale: float = 1.0) -> float | None:
    ceiling = run.started.ceiling
    return scale * ceiling.gemm_flops_per_s * ceiling.devices if ceiling else None


def _row(run: RunRecord) -> tuple[str, ...]:
    series = run.series
    times = series.times
    if times is None:
        return (run.name, "0", *("-",) * 11)
    return (
        run.name,
        count(times.steps),
        milliseconds(times.median_s),
        milliseconds(times.mean_s),
        milliseconds(times.p90_s),
        milliseconds(times.p99_s),
        milliseconds(times.longest_s),
        number(times.images_per_s, 4),
        percent(times.data_wait_share, 1),
        percent(peak_share(run, times.images_per_s), 1),
        number(_peak_flops_per_s(run, 1e-9)),
        duration(sum(event.duration_s for event in run.evaluations)),
        duration(sum(event.stall_s for event in run.checkpoints)),
    )
