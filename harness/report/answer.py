"""A judgement as the opening of a report: one sentence, its reasons, its numbers, its picture."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.report.content import Drawing, Section, Table
from harness.report.drawing import INK, MUTED, SERIES, Size, axes, draw
from harness.report.wording import MISSING, amount, count, listed, number, percent, plural, points
from harness.verdict.judgement import (
    WORDS,
    BaselineDifference,
    Bounds,
    Judgement,
    PublishedNumbers,
    SeedResult,
    ThresholdNumbers,
)

ROWS_DRAWN = 20


@dataclass(frozen=True)
class Difference:
    """Ours minus a published accuracy, as a row of the forest plot; all fractions."""

    label: str
    value: float
    low: float | None
    high: float | None
    decides: bool


def word_of(judgement: Judgement) -> str:
    """The answer in words, such as `not reproduced`."""
    return WORDS[judgement.word]


def sentence_of(judgement: Judgement) -> str:
    """The answer and its evidence in one sentence."""
    runs = plural(len(judgement.seeds), "run")
    subject = f"{runs} of {judgement.recipe} on {judgement.data}"
    numbers = judgement.numbers
    if isinstance(numbers, PublishedNumbers):
        interval = numbers.equivalence_interval
        return (
            f"{subject}: mean top-1 {percent(numbers.mean)} ({judgement.protocol}) against the "
            f"published {percent(numbers.published)}, difference {points(numbers.difference)}, "
            f"{100 * interval.confidence:g} % interval {_span(interval)}, margin "
            f"{amount(numbers.margin)}."
        )
    if isinstance(numbers, ThresholdNumbers):
        return (
            f"{subject}: the lowest seed has top-1 {percent(numbers.lowest)} "
            f"({judgement.protocol}), the threshold is {percent(numbers.threshold)}."
        )
    reached = [s.top1_accuracy for s in judgement.seeds if s.top1_accuracy is not None]
    if not reached:
        return f"{subject}: no accuracy that could be judged."
    missing = [f"seed {s.seed}" for s in judgement.seeds if s.top1_accuracy is None]
    has = "have" if len(missing) > 1 else "has"
    rest = f"; {listed(missing)} {has} no evaluation" if missing else ""
    return f"{subject}: top-1 {listed([percent(value) for value in reached])}{rest}."


def evidence(judgement: Judgement) -> Section:
    """The runs that were judged and what was computed from them."""
    tables = [_seeds(judgement)]
    if isinstance(judgement.numbers, PublishedNumbers):
        tables.append(_published(judgement.numbers))
    if isinstance(judgement.numbers, ThresholdNumbers):
        tables.append(_threshold(judgement.numbers))
    paragraphs = [f"Target: {judgement.target}: {judgement.target_text}."] * bool(judgement.target)
    paragraphs += [f"Note: {warning}." for warning in judgement.warnings]
    if judgement.left_out:
        names = listed(["/".join(path.split("/")[-2:]) for path in judgement.left_out])
        paragraphs.append(f"Runs of the study that were left out by hand: {names}.")
    return Section("evidence", "Evidence", tuple(paragraphs), tables=tuple(tables))


def differences(judgement: Judgement) -> Section:
    """Target and other published accuracies as a forest plot of differences with intervals."""
    rows = _differences(judgement)
    title = "Differences from published accuracies"
    if not rows:
        why = (
            "The target is a threshold: there is no difference from a published accuracy to show."
            if isinstance(judgement.numbers, ThresholdNumbers)
            else "No published accuracy was compared: "
            + (judgement.reasons[0] if judgement.reasons else "nothing shares the protocol")
            + "."
        )
        return Section("differences", title, (why,))
    paragraphs = ["Ours minus published, in percentage points; only the filled row decides."]
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
                else f"{points(row.low)} to {points(row.high)}",
            )
            for row in rows
        ),
        frozenset({1, 2}),
        folded=len(rows) > ROWS_DRAWN,
    )
    margin = judgement.numbers.margin if isinstance(judgement.numbers, PublishedNumbers) else None
    drawings = (_forest(rows[:ROWS_DRAWN], margin),)
    tables = (table, *_sources(judgement.baselines))
    return Section("differences", title, tuple(paragraphs), drawings, tables)


def _sources(baselines: tuple[BaselineDifference, ...]) -> tuple[Table, ...]:
    if not baselines:
        return ()
    rows = tuple(
        (
            row.name,
            row.model,
            percent(row.published),
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


def _differences(judgement: Judgement) -> list[Difference]:
    rows = []
    numbers = judgement.numbers
    if isinstance(numbers, PublishedNumbers):
        interval = numbers.equivalence_interval
        rows.append(
            Difference(
                f"target: {judgement.target}", numbers.difference, interval.low, interval.high,
                decides=True,
            )
        )  # fmt: skip
    rows += [
        Difference(
            f"{one.name}, {one.model}",
            one.difference,
            one.interval.low if one.interval else None,
            one.interval.high if one.interval else None,
            decides=False,
        )
        for one in judgement.baselines
    ]
    return rows


def _forest(rows: list[Difference], margin: float | None) -> Drawing:
    def paint(figure: Figure, size: Size) -> None:
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
        plot.set_xlabel("difference, percentage points (shade: the margin)")

    wide, narrow = 90 + 26 * len(rows), 90 + 36 * len(rows)
    return draw(
        "forest",
        "Ours minus published with intervals; a filled square decides, open ones inform.",
        paint,
        wide=Size(880, wide, 700),
        narrow=Size(360, narrow, 320),
    )


def _seeds(judgement: Judgement) -> Table:
    with_bound = isinstance(judgement.numbers, ThresholdNumbers)
    bound = ("exact lower bound of top-1",) if with_bound else ()
    columns = (
        *("seed", "declared", "status", "protocol", "images", "correct", "top-1", "top-5"),
        *bound,
    )
    rows = [_seed_row(seed, with_bound=with_bound) for seed in judgement.seeds]
    return Table("The judged runs", columns, tuple(rows), frozenset({0, *range(4, len(columns))}))


def _seed_row(seed: SeedResult, *, with_bound: bool) -> tuple[str, ...]:
    row = (
        str(seed.seed),
        "yes" if seed.declared else "no",
        seed.status,
        seed.protocol or MISSING,
        MISSING if seed.images is None else count(seed.images),
        MISSING if seed.top1_correct is None else count(seed.top1_correct),
        percent(seed.top1_accuracy),
        percent(seed.top5_accuracy),
    )
    return (*row, percent(seed.lower_bound)) if with_bound else row


def _span(bounds: Bounds) -> str:
    return f"{points(bounds.low)} to {points(bounds.high)}"


def _published(numbers: PublishedNumbers) -> Table:
    decisive, wide, mean = (
        numbers.equivalence_interval,
        numbers.difference_interval,
        numbers.mean_interval,
    )
    rows = (
        (f"mean of {plural(numbers.runs, 'run')}", percent(numbers.mean)),
        ("spread of the seeds (standard deviation)", amount(numbers.spread, 3)),
        (f"published, n = {numbers.published_runs}", percent(numbers.published)),
        ("spread taken for the published runs", amount(numbers.published_spread, 3)),
        ("difference", points(numbers.difference)),
        ("standard error of the difference", amount(numbers.standard_error, 3)),
        ("degrees of freedom", number(numbers.df)),
        ("margin of equivalence", amount(numbers.margin)),
        (f"{100 * decisive.confidence:g} % interval of the difference (decides)", _span(decisive)),
        (f"{100 * wide.confidence:g} % interval of the difference", _span(wide)),
        (
            f"{100 * mean.confidence:g} % t interval of our mean",
            f"{percent(mean.low)} to {percent(mean.high)}",
        ),
    )
    return Table("What was computed", ("quantity", "value"), rows, frozenset({1}))


def _threshold(numbers: ThresholdNumbers) -> Table:
    rows = (
        ("threshold for each declared seed", percent(numbers.threshold)),
        ("lowest seed", percent(numbers.lowest)),
        (
            f"exact {100 * numbers.confidence:g} % binomial lower bound of the lowest seed",
            percent(numbers.lowest_bound),
        ),
    )
    return Table("What was computed", ("quantity", "value"), rows, frozenset({1}))
