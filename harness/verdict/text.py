"""A judgement as text for a terminal."""

from collections.abc import Iterator, Sequence

from harness.statistics.rounding import (
    decimals_apart,
    decisive_decimals,
    exact_percent,
    percent,
    points,
    span,
)
from harness.verdict.judgement import (
    WORDS,
    BaselineDifference,
    Choosing,
    Judgement,
    Judgements,
    PublishedNumbers,
    SeedResult,
    ThresholdNumbers,
)
from harness.verdict.published import LIMIT, decided_by_interval, reach_of_spread
from harness.verdict.selection import SELECTION_WORDS


def judgement_text(judgements: Judgements) -> str:
    """Verdicts, reasons, the table of runs, and what was computed.

    What is the same for several targets is printed once.
    """
    each = judgements.each
    first = each[0]
    several = len(each) > 1
    lines: list[str] = []
    for one in each:
        against = f" against {one.target}" if several else ""
        lines += [f"verdict{against}: {WORDS[one.word].upper()}"]
        lines += [f"  {reason}" for reason in one.reasons]
    lines += ["", f"recipe    {first.recipe}-{first.recipe_digest[:8]}"]
    lines += [f"data      {first.data}"]
    lines += [f"target    {one.target}: {one.target_text}" for one in each if one.target]
    for i, one in enumerate(each):
        title = [f"against {one.target}"] if several else []
        if all(one.seeds != other.seeds for other in each[:i]):
            lines += ["", *_runs_table(one)]
            lines += [*(["", *_choosing_lines(one.choosing)] if one.choosing else [])]
        if one.numbers is not None:
            lines += ["", *title, *_number_lines(one), *_spread_lines(one)]
    if first.baselines:
        lines += ["", *_baseline_lines(first.baselines, first.protocol)]
    lines += _listed("runs of the study left out by hand", first.left_out)
    warnings = dict.fromkeys(warning for one in each for warning in one.warnings)
    lines += _listed("warnings", (*warnings, *judgements.notes))
    return "\n".join(lines)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, tuple("-" * width for width in widths), *rows]
    ]


def _runs_table(judgement: Judgement) -> list[str]:
    with_bound = isinstance(judgement.numbers, ThresholdNumbers)
    chosen = judgement.selection != "last"
    header = (
        *("seed", "status", "protocol", "images", "top-1", "top-5"),
        *(("epoch", "chosen from", "last epoch", "raised by") if chosen else ()),
        *(("exact bound",) if with_bound else ()),
    )
    rows: list[tuple[str, ...]] = []
    for seed in sorted(judgement.seeds, key=lambda one: not one.declared):
        declared = "" if seed.declared or judgement.target is None else " (not declared)"
        row = (
            f"{seed.seed}{declared}",
            seed.status,
            seed.protocol or "-",
            "-" if seed.images is None else f"{seed.images:,}",
            percent(seed.top1_accuracy),
            percent(seed.top5_accuracy),
            *(_chosen_cells(seed) if chosen else ()),
            *((percent(seed.lower_bound),) if with_bound else ()),
        )
        rows.append(row)
    return table(header, rows)


def _chosen_cells(seed: SeedResult) -> tuple[str, ...]:
    best, last = seed.top1_accuracy, seed.last_top1_accuracy
    if best is None or last is None or seed.epoch is None:
        return ("-",) * 4
    return (f"{seed.epoch:.4g}", str(seed.chosen_from), percent(last), points(best - last))


def _choosing_lines(choosing: Choosing) -> Iterator[str]:
    yield (
        f"best epoch           {percent(choosing.mean)}   mean of {_count(choosing.runs, 'run')}, "
        f"each the greatest of {choosing.evaluations} evaluations on the test images"
    )
    yield (
        f"last epoch           {percent(choosing.last_mean)}   choosing raised the mean by "
        f"{100 * choosing.raised:.2f} points: it flatters"
    )


def _number_lines(judgement: Judgement) -> Iterator[str]:
    numbers = judgement.numbers
    if isinstance(numbers, PublishedNumbers):
        yield from _published_lines(numbers, decides=decided_by_interval(judgement))
    elif numbers is not None:
        yield from _threshold_lines(numbers)


def _published_lines(numbers: PublishedNumbers, *, decides: bool) -> list[str]:
    decisive, wide, mean = (
        numbers.equivalence_interval,
        numbers.difference_interval,
        numbers.mean_interval,
    )
    zero = "excludes 0" if numbers.difference_excludes_zero else "does not exclude 0"
    constant = "excludes" if numbers.mean_excludes_published else "does not exclude"
    digits = decisive_decimals(decisive, numbers.margin)
    margin = f"margin +-{100 * numbers.margin:.{digits}f}"
    rows = (
        (
            f"mean of {numbers.runs} runs",
            percent(numbers.mean),
            f"seed spread {100 * numbers.spread:.3f} points",
        ),
        (
            "published",
            exact_percent(numbers.published),
            (
                f"n = {numbers.published_runs}, "
                f"spread taken as {100 * numbers.published_spread:.3f} points"
            ),
        ),
        (
            "difference",
            f"{points(numbers.difference)} points",
            (
                f"standard error {100 * numbers.standard_error:.3f}, "
                f"{numbers.df:.1f} degrees of freedom"
            ),
        ),
        (
            f"{100 * decisive.confidence:g} % interval",
            span(decisive, digits),
            f"decides, with {margin}" if decides else f"{margin}; another reason decides",
        ),
        (f"{100 * wide.confidence:g} % interval", span(wide), f"{zero}; no verdict"),
        (
            f"{100 * mean.confidence:g} % t, mean alone",
            f"[{percent(mean.low)}, {percent(mean.high)}]",
            f"{constant} {exact_percent(numbers.published)} taken as a constant; no verdict",
        ),
    )
    stated = numbers.stated_spread
    return [
        *(f"{name:19}  {value:20}  {remark}" for name, value, remark in rows),
        *([f"published spread     {stated}"] if stated else []),
    ]


def _spread_lines(judgement: Judgement) -> Iterator[str]:
    numbers = judgement.numbers
    if not isinstance(numbers, PublishedNumbers):
        return
    yield f"images               {conditional(judgement, numbers)}"
    if decided_by_interval(judgement) and (reach := reach_of_spread(numbers, judgement.word)):
        also = "it holds" if reach.holds_at_upper else "it is inconclusive"
        yield (
            f"robustness           the answer holds up to a spread of {100 * reach.largest:.3f} "
            f"points for one published run; at the upper {100 * LIMIT:g} % limit of the one taken, "
            f"{100 * reach.upper:.3f}, {also}"
        )


def conditional(judgement: Judgement, numbers: PublishedNumbers) -> str:
    """That the answer is about these images alone, with what another draw of them would change."""
    images = next((seed.images for seed in judgement.judged_seeds if seed.images), None)
    words = "conditional on these validation images, which ours and the published runs share"
    if images is None:
        return words
    part = 100 * (numbers.mean * (1 - numbers.mean) / images) ** 0.5
    seeds = 100 * numbers.spread / numbers.runs**0.5
    return (
        f"{words}: another draw of {images:,} would move both by {part:.3f} points (binomial), "
        f"seeds move our mean by {seeds:.3f}"
    )


def _threshold_lines(numbers: ThresholdNumbers) -> Iterator[str]:
    digits = decimals_apart([numbers.lowest], numbers.threshold)
    yield f"threshold            {percent(numbers.threshold, digits)} for each declared seed"
    yield (
        f"lowest seed          {percent(numbers.lowest, digits)}   "
        f"exact {100 * numbers.confidence:g} % binomial lower bound "
        f"{percent(numbers.lowest_bound)}; the bound decides nothing"
    )


def _baseline_lines(rows: tuple[BaselineDifference, ...], protocol: str | None) -> list[str]:
    header = (
        "also published with this protocol",
        "top-1",
        "n",
        "ours - published",
        "95 % interval",
    )
    fitting = [row for row in rows if row.protocol == protocol]
    weights = [row.lineage or row.name for row in fitting]
    shown = [row for i, row in enumerate(fitting) if weights[i] not in weights[:i]]
    cells = [
        (
            f"{row.name} ({', '.join([row.model, *_selection(row)])})",
            exact_percent(row.published),
            str(row.published_runs or "-"),
            points(row.difference),
            span(row.interval) if row.interval else "-",
        )
        for row in shown
    ]
    same = len(fitting) - len(shown)
    more = len(rows) - len(fitting)
    lines = table(header, cells)
    if same:
        rows_are = "row is" if same == 1 else "rows are"
        lines.append(f"  {same} more {rows_are} of weights that a row above has: they count once")
    rest = f"; {more} more under the runs' other protocols: --json" if more else ""
    return [*lines, f"  differences in points, no verdict word{rest}"]


def _selection(row: BaselineDifference) -> Iterator[str]:
    if row.selection is not None:
        yield SELECTION_WORDS[row.selection]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(title: str, items: tuple[str, ...]) -> list[str]:
    return ["", f"{title}:", *(f"  {item}" for item in items)] if items else []
