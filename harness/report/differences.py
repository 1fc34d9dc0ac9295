"""Differences from published accuracies, with their intervals: a picture and tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.rendering.content import Drawing, Section, Table
from harness.report.rendering.drawing import INK, MUTED, SERIES, Size, axes, draw
from harness.report.rendering.wording import MISSING, listed, points
from harness.statistics.rounding import decisive_decimals, exact_percent
from harness.verdict.judgement import (
    BaselineDifference,
    Judgement,
    Judgements,
    PublishedNumbers,
    ThresholdNumbers,
)
from harness.verdict.published import decided_by_interval
from harness.verdict.selection import SELECTION_WORDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS_DRAWN = 20


@dataclass(frozen=True)
class Difference:
    """Ours minus a published accuracy, as a row of the forest plot; all fractions.

    `digits` are the decimals with which the table prints the interval.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    decides: bool
    digits: int = 2


def _levels(judgements: Judgements) -> str:
    """Which confidence the intervals have, where those of targets and of rows differ."""
    found = [one.numbers for one in judgements.each if isinstance(one.numbers, PublishedNumbers)]
    targets = {one.equivalence_interval.confidence for one in found}
    rows = {r.interval.confidence for one in judgements.each for r in one.baselines if r.interval}
    if not targets or not rows or targets == rows:
        return ""
    shown = [listed([f"{100 * level:g} %" for level in sorted(one)]) for one in (targets, rows)]
    return f" A target's interval is of {shown[0]} confidence, the others are of {shown[1]}."


_DECIDING = ("no row decides", "only the filled row decides", "each filled row decides alone")


def differences(judgements: Judgements) -> Section:
    """Targets and other published accuracies as a forest plot of differences with intervals."""
    rows = [row for one in judgements.each for row in _decisive(one)]
    deciding = _DECIDING[min(2, sum(row.decides for row in rows))]
    rows += [row for one in judgements.each for row in _informing(one)]
    title = "Differences from published accuracies"
    if not rows:
        return Section("differences", title, (_no_differences(judgements.each[0]),))
    paragraphs = [f"Ours minus published, in percentage points; {deciding}.{_levels(judgements)}"]
    if len(rows) > ROWS_DRAWN:
        left = len(rows) - ROWS_DRAWN
        paragraphs.append(f"The first {ROWS_DRAWN} are drawn; {left} more are in the table.")
    table = Table(
        "Ours minus published",
        ("published by", "difference", "interval"),
        tuple(
            (
                row.label,
                points(row.value),
                MISSING
                if row.low is None or row.high is None
                else f"{points(row.low, row.digits)} to {points(row.high, row.digits)}",
            )
            for row in rows
        ),
        frozenset({1, 2}),
        folded=len(rows) > ROWS_DRAWN,
    )
    numbers = [one.numbers for one in judgements.each]
    margins = {one.margin for one in numbers if isinstance(one, PublishedNumbers)}
    drawings = (_forest(rows[:ROWS_DRAWN], margins.pop() if len(margins) == 1 else None),)
    baselines = tuple(row for one in judgements.each for row in one.baselines)
    return Section("differences", title, tuple(paragraphs), drawings, (table, *_sources(baselines)))


def _no_differences(judgement: Judgement) -> str:
    if isinstance(judgement.numbers, ThresholdNumbers):
        return (
            "The target is a threshold: there is no difference from a published accuracy to show."
        )
    why = judgement.reasons[0] if judgement.reasons else "nothing shares the protocol"
    return f"No published accuracy was compared: {why}."


def _sources(baselines: tuple[BaselineDifference, ...]) -> tuple[Table, ...]:
    if not baselines:
        return ()
    rows = tuple(
        (
            row.name,
            row.model,
            exact_percent(row.published),
            MISSING if row.published_runs is None else str(row.published_runs),
            row.assumption,
            ", ".join(row.unstated) or MISSING,
            row.source,
        )
        for row in baselines
    )
    columns = ("name", "model", "top-1", "runs", "assumption", "not stated by the source", "source")
    numeric = frozenset({2, 3})
    return (Table("The published accuracies", columns, rows, numeric, folded=True),)


def _decisive(judgement: Judgement) -> Iterator[Difference]:
    numbers = judgement.numbers
    if isinstance(numbers, PublishedNumbers):
        interval = numbers.equivalence_interval
        yield Difference(
            f"target: {judgement.target}", numbers.difference, interval.low, interval.high,
            decides=decided_by_interval(judgement),
            digits=decisive_decimals(interval, numbers.margin),
        )  # fmt: skip


def _informing(judgement: Judgement) -> Iterator[Difference]:
    for one in judgement.baselines:
        epoch = f", {SELECTION_WORDS[one.selection]}" if one.selection else ""
        yield Difference(
            f"{one.name}, {one.model}{epoch}",
            one.difference,
            one.interval.low if one.interval else None,
            one.interval.high if one.interval else None,
            decides=False,
        )


def _forest(rows: list[Difference], margin: float | None) -> Drawing:
    def paint(figure: "Figure", size: Size) -> None:
        (plot,) = axes(figure)
        plot.axvline(0, color=INK, linewidth=1)
        if margin is not None:
            plot.axvspan(-100 * margin, 100 * margin, color=SERIES[1], alpha=0.15, linewidth=0)
        for place, row in enumerate(rows):
            colour = SERIES[0] if row.decides else MUTED
            if row.low is not None and row.high is not None:
                plot.plot(
                    [100 * row.low, 100 * row.high], [place, place], color=colour, linewidth=2
                )
            plot.plot(
                100 * row.value, place, marker="s", markersize=6, markeredgecolor=colour,
                markerfacecolor=colour if row.decides else "none", linestyle="none",
            )  # fmt: skip
            if size.narrow:
                plot.annotate(
                    row.label, (0, place), (0, 7), xycoords=("axes fraction", "data"),
                    textcoords="offset points", fontsize=9,
                )  # fmt: skip
        plot.set_yticks(
            range(len(rows)), [""] * len(rows) if size.narrow else [r.label for r in rows]
        )
        plot.set_ylim(len(rows) - 0.4, -0.8)
        shade = "" if margin is None else " (shade: the margin)"
        plot.set_xlabel(f"difference, percentage points{shade}")

    wide, narrow = 90 + 26 * len(rows), 90 + 36 * len(rows)
    return draw(
        "forest",
        "Ours minus published with intervals; a filled square decides, open ones inform.",
        paint,
        wide=Size(880, wide, 700),
        narrow=Size(360, narrow, 320),
    )
