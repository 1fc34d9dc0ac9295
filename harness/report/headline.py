"""Judgements as the opening of a report: a sentence, its reasons, its numbers, its picture."""

from dataclasses import replace

from harness.report.rendering.content import Headline, Section, Table
from harness.report.rendering.wording import (
    MISSING,
    amount,
    count,
    listed,
    number,
    percent,
    plural,
    points,
)
from harness.statistics.rounding import decimals_apart, decisive_decimals, exact_percent
from harness.verdict.judgement import (
    WORDS,
    Bounds,
    Choosing,
    Judgement,
    Judgements,
    PublishedNumbers,
    SeedResult,
    ThresholdNumbers,
)
from harness.verdict.published import decided_by_interval
from harness.verdict.text import conditional


def headlines(judgements: Judgements) -> tuple[Headline, ...]:
    """Each answer with its evidence in one sentence; of several targets each is named."""
    several = len(judgements.each) > 1
    return tuple(
        Headline(WORDS[one.word], _sentence(one, several=several), one.reasons)
        for one in judgements.each
    )


def _sentence(judgement: Judgement, *, several: bool) -> str:
    declared = judgement.judged_seeds
    beyond = len(judgement.seeds) - len(declared)
    runs = plural(len(declared), "run") + (f" (and {beyond} beyond the declared)" * bool(beyond))
    subject = f"{runs} of {judgement.recipe} on {judgement.data}"
    subject += f" against {judgement.target}" if several else ""
    numbers = judgement.numbers
    if isinstance(numbers, PublishedNumbers):
        interval = numbers.equivalence_interval
        digits = decisive_decimals(interval, numbers.margin)
        return (
            f"{subject}: mean top-1{_of_fewer(numbers.runs, len(declared))} "
            f"{percent(numbers.mean)} ({_what(judgement)}) against the "
            f"published {exact_percent(numbers.published)}, difference "
            f"{points(numbers.difference)}, {100 * interval.confidence:g} % interval "
            f"{_span(interval, digits)}, margin {amount(numbers.margin, digits)}."
        )
    if isinstance(numbers, ThresholdNumbers):
        digits = decimals_apart([numbers.lowest], numbers.threshold)
        return (
            f"{subject}: the lowest seed has top-1 {percent(numbers.lowest, digits)} "
            f"({_what(judgement)}), the threshold is {percent(numbers.threshold, digits)}."
        )
    reached = [s.top1_accuracy for s in declared if s.top1_accuracy is not None]
    if not reached:
        return f"{subject}: no accuracy that could be judged."
    missing = [f"seed {s.seed}" for s in declared if s.top1_accuracy is None]
    has = "have" if len(missing) > 1 else "has"
    rest = f"; {listed(missing)} {has} no evaluation" if missing else ""
    what = f" ({_what(judgement)})" if judgement.choosing else ""
    return f"{subject}: top-1 {listed([percent(value) for value in reached])}{what}{rest}."


def _of_fewer(judged: int, declared: int) -> str:
    """Whose mean it is, where some of the declared runs did not complete."""
    return "" if judged == declared else f" of the {judged} completed"


def _what(judgement: Judgement) -> str:
    """Protocol that the accuracies are of and, where an epoch was chosen, what that did."""
    choosing = judgement.choosing
    if choosing is None:
        return str(judgement.protocol)
    return (
        f"{judgement.protocol}, best of {plural(choosing.evaluations, 'epoch')}; the last epoch's "
        f"is {percent(choosing.last_mean)}"
    )


def evidence(judgements: Judgements, *, with_top5: bool = True) -> list[Section]:
    """For each target the runs that were judged and what was computed from them."""
    first, *others = judgements.each
    notes = judgements.notes
    if not others:
        return [_evidence(first, notes, with_top5)]
    return [
        replace(
            _evidence(one, notes, with_top5),
            name="evidence" if i == 1 else f"evidence-{i}",
            title=f"Evidence: {one.target}",
        )
        for i, one in enumerate(judgements.each, start=1)
    ]


def _evidence(judgement: Judgement, notes: tuple[str, ...], with_top5: bool) -> Section:
    seeds = _seeds(judgement)
    hidden = frozenset() if with_top5 else frozenset({seeds.columns.index("top-5")})
    tables = [replace(seeds, hidden=hidden)]
    if isinstance(judgement.numbers, PublishedNumbers):
        tables.append(_published(judgement.numbers, decides=decided_by_interval(judgement)))
    if isinstance(judgement.numbers, ThresholdNumbers):
        tables.append(_threshold(judgement.numbers))
    paragraphs = [f"Target: {judgement.target}: {judgement.target_text}."] * bool(judgement.target)
    paragraphs += [_flattery(judgement.choosing)] if judgement.choosing else []
    if isinstance(judgement.numbers, PublishedNumbers) and judgement.numbers.stated_spread:
        paragraphs.append(f"The published runs' spread: {judgement.numbers.stated_spread}.")
    if isinstance(judgement.numbers, PublishedNumbers):
        paragraphs.append(f"Validation images: {conditional(judgement, judgement.numbers)}.")
    paragraphs += [f"Note: {warning}." for warning in (*judgement.warnings, *notes)]
    if judgement.left_out:
        names = listed(["/".join(path.split("/")[-2:]) for path in judgement.left_out])
        paragraphs.append(f"Runs of the study that were left out by hand: {names}.")
    return Section("evidence", "Evidence", tuple(paragraphs), tables=tuple(tables))


def _flattery(choosing: Choosing) -> str:
    """What choosing the epoch did; in one sentence, that it flatters."""
    return (
        "Choosing the epoch on the test set flatters: the best of "
        f"{count(choosing.evaluations)} evaluations has a mean top-1 of "
        f"{percent(choosing.mean)} over {plural(choosing.runs, 'run')}, the last epoch one of "
        f"{percent(choosing.last_mean)}, so choosing raised it by {amount(choosing.raised)}."
    )


def _seeds(judgement: Judgement) -> Table:
    with_bound = isinstance(judgement.numbers, ThresholdNumbers)
    chosen = judgement.selection != "last"
    columns = (
        *("seed", "declared", "status", "protocol", "images", "correct", "top-1", "top-5"),
        *(("epoch", "chosen from", "last epoch", "raised by") if chosen else ()),
        *(("exact lower bound of top-1",) if with_bound else ()),
    )
    rows = [
        (
            *_seed_row(seed),
            *(_chosen_cells(seed) if chosen else ()),
            *((percent(seed.lower_bound),) if with_bound else ()),
        )
        for seed in sorted(judgement.seeds, key=lambda one: not one.declared)
    ]
    return Table("The judged runs", columns, tuple(rows), frozenset({0, *range(4, len(columns))}))


def _chosen_cells(seed: SeedResult) -> tuple[str, ...]:
    best, last = seed.top1_accuracy, seed.last_top1_accuracy
    if best is None or last is None or seed.epoch is None or seed.chosen_from is None:
        return (MISSING,) * 4
    chosen_from = plural(seed.chosen_from, "evaluation")
    return (f"{seed.epoch:.4g}", chosen_from, percent(last), points(best - last))


def _seed_row(seed: SeedResult) -> tuple[str, ...]:
    return (
        str(seed.seed),
        "yes" if seed.declared else "no",
        seed.status,
        seed.protocol or MISSING,
        MISSING if seed.images is None else count(seed.images),
        MISSING if seed.top1_correct is None else count(seed.top1_correct),
        percent(seed.top1_accuracy),
        percent(seed.top5_accuracy),
    )


def _span(bounds: Bounds, digits: int = 2) -> str:
    return f"{points(bounds.low, digits)} to {points(bounds.high, digits)}"


def _published(numbers: PublishedNumbers, *, decides: bool) -> Table:
    decisive, wide, mean = (
        numbers.equivalence_interval,
        numbers.difference_interval,
        numbers.mean_interval,
    )
    digits = decisive_decimals(decisive, numbers.margin)
    role = "decides" if decides else "another reason decides"
    rows = (
        (f"mean of {plural(numbers.runs, 'run')}", percent(numbers.mean)),
        ("spread of the seeds (standard deviation)", amount(numbers.spread, 3)),
        (f"published, n = {numbers.published_runs}", exact_percent(numbers.published)),
        ("spread taken for the published runs", amount(numbers.published_spread, 3)),
        ("difference", points(numbers.difference)),
        ("standard error of the difference", amount(numbers.standard_error, 3)),
        ("degrees of freedom", number(numbers.df)),
        ("margin of equivalence", amount(numbers.margin, digits)),
        (
            f"{100 * decisive.confidence:g} % interval of the difference ({role})",
            _span(decisive, digits),
        ),
        (f"{100 * wide.confidence:g} % interval of the difference", _span(wide)),
        (
            f"{100 * mean.confidence:g} % t interval of our mean",
            f"{percent(mean.low)} to {percent(mean.high)}",
        ),
    )
    return Table("What was computed", ("quantity", "value"), rows, frozenset({1}))


def _threshold(numbers: ThresholdNumbers) -> Table:
    note = "The bound decides nothing: it tells what the count of images alone leaves open."
    digits = decimals_apart([numbers.lowest], numbers.threshold)
    rows = (
        ("threshold for each declared seed", percent(numbers.threshold, digits)),
        ("lowest seed", percent(numbers.lowest, digits)),
        (
            f"exact {100 * numbers.confidence:g} % binomial lower bound of the lowest seed",
            percent(numbers.lowest_bound),
        ),
    )
    return Table("What was computed", ("quantity", "value"), rows, frozenset({1}), note=note)
