"""The verdict against a published accuracy: two one-sided tests with a pre-registered margin.

The published figure is the mean of few runs, usually one, so its own seed
spread belongs to the question: Var(d) = s^2 / n + sigma^2 / n_published for
d = our mean - published; sigma is the source's own where it states one. The
1 - 2 alpha interval [L, U] of d decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import scipy

from harness.baselines.schema import PublishedTarget, StatedSpread
from harness.record.summary import RunSummary
from harness.statistics.difference import difference_from_published
from harness.statistics.equivalence import Place, place_of
from harness.statistics.intervals import Estimate, Interval, mean_estimate
from harness.statistics.rounding import decisive_decimals, span
from harness.verdict.checks import declared_of, obstacles, status_of
from harness.verdict.judgement import Answer, Bounds, Judgement, PublishedNumbers, Word
from harness.verdict.selection import counted

REPORTED_CONFIDENCE = 0.95
LIMIT = 0.95
_FINENESS = 1.005
_LARGEST = 10.0
_WORDS: dict[Place, Word] = {
    "inside": "reproduced",
    "below": "not_reproduced",
    "above": "exceeds",
}


def judge_published(runs: Sequence[RunSummary], target: PublishedTarget) -> Answer:
    """Judge runs of one recipe against a published accuracy; declared seeds alone decide.

    The order is fixed: obstacles are inconclusive; a declared seed that
    diverged is not reproduced; then the interval decides.
    """
    found = obstacles(runs, target)
    if found:
        return Answer(word="inconclusive", reasons=found)
    declared = declared_of(runs, target)
    values = accuracies(declared, target)
    numbers = _numbers(values, target) if len(values) >= 2 else None
    diverged = [run.started.seed for run in declared if status_of(run) == "diverged"]
    if diverged:
        reason = _diverged(diverged)
        return Answer(word="not_reproduced", reasons=(reason,), numbers=numbers)
    # Not by the spread: equal values may leave a deviation of 1e-16.
    if numbers is None or len(set(values)) == 1:
        equal = "all runs have the same accuracy, so their spread cannot be estimated"
        return Answer(word="inconclusive", reasons=(equal,), numbers=numbers)
    return _decided(numbers)


def accuracies(runs: Sequence[RunSummary], target: PublishedTarget) -> tuple[float, ...]:
    """Top-1 that counts of each completed run, by the target's protocol and selection."""
    found = (counted(run, target.protocol, target.selection) for run in runs if run.completed)
    return tuple(one.evaluation.top1_accuracy for one in found if one is not None)


def _numbers(values: Sequence[float], target: PublishedTarget) -> PublishedNumbers:
    ours, spread = mean_estimate(values), target.run_spread
    d = difference_from_published(
        ours,
        target.top1,
        published_runs=target.n,
        spread=spread.standard_deviation,
        spread_df=spread.df,
    )
    reported = d.interval(REPORTED_CONFIDENCE)
    mean_interval = ours.interval(REPORTED_CONFIDENCE)
    return PublishedNumbers(
        runs=len(values),
        mean=fmean(values),
        spread=ours.standard_error * len(values) ** 0.5,
        published=target.top1,
        published_runs=target.n,
        published_spread=spread.standard_deviation,
        difference=d.value,
        standard_error=d.standard_error,
        df=d.df,
        margin=target.margin,
        alpha=target.alpha,
        equivalence_interval=bounds(d.interval(1 - 2 * target.alpha)),
        difference_interval=bounds(reported),
        difference_excludes_zero=0.0 not in reported,
        mean_interval=bounds(mean_interval),
        mean_excludes_published=target.top1 not in mean_interval,
        stated_spread=f"{spread.origin}; {spread.assumption}"
        if isinstance(target.spread, StatedSpread)
        else None,
    )


def bounds(interval: Interval) -> Bounds:
    """An interval as part of a judgement."""
    return Bounds(low=interval.low, high=interval.high, confidence=interval.confidence)


def _decided(numbers: PublishedNumbers) -> Answer:
    decisive = numbers.equivalence_interval
    place = place_of(Interval(decisive.low, decisive.high, decisive.confidence), numbers.margin)
    word, reason = _ANSWERS[place]
    digits = decisive_decimals(decisive, numbers.margin)
    words = (
        f"the {100 * decisive.confidence:g} % interval of the difference is "
        f"{span(decisive, digits)} points, the margin +-{100 * numbers.margin:.{digits}f}: {reason}"
    )
    warnings = (_TOO_GOOD,) if word == "exceeds" else ()
    return Answer(word=word, reasons=(words,), warnings=warnings, numbers=numbers)


_ANSWERS: dict[Place, tuple[Word, str]] = {
    "below": ("not_reproduced", "it lies wholly below the margin"),
    "above": ("exceeds", "it lies wholly above the margin"),
    "inside": ("reproduced", "it lies wholly inside"),
    "across_lower": ("inconclusive", "it crosses the lower limit, so a real loss is possible"),
    "across_upper": ("inconclusive", "it crosses the upper limit, so a real gain is possible"),
    "across_both": ("inconclusive", "it crosses both limits; more seeds are needed"),
}
_TOO_GOOD = (
    "an accuracy above the published one by more than the margin is more often validation "
    "images in the training set, or another protocol, than a better network: check both"
)


def _diverged(seeds: Sequence[int]) -> str:
    shown = ", ".join(map(str, seeds))
    return f"declared seed{'' if len(seeds) == 1 else 's'} {shown} diverged: loss not finite"


def decided_by_interval(judgement: Judgement) -> bool:
    """Whether the word is the interval's: no declared seed diverged, and nothing else decided."""
    numbers = judgement.numbers
    if not isinstance(numbers, PublishedNumbers):
        return False
    whole = all(seed.status == "completed" for seed in judgement.judged_seeds)
    differ = len({seed.top1_accuracy for seed in judgement.judged_seeds}) > 1
    word = _WORDS.get(_place(numbers, numbers.published_spread), "inconclusive")
    return whole and differ and word == judgement.word


@dataclass(frozen=True)
class SpreadReach:
    """Up to which spread of one published run an answer holds.

    Attributes:
        largest: The largest spread with the same answer, to 0.5 %; at most ten times
            the one that was taken.
        upper: The upper limit of confidence `LIMIT` of the spread that was taken.
        holds_at_upper: Whether the answer is the same there.
    """

    largest: float
    upper: float
    holds_at_upper: bool


def reach_of_spread(numbers: PublishedNumbers, word: Word) -> SpreadReach | None:
    """How far an answer rests on the published spread; None where not the interval decided it.

    Formula of the limit: s sqrt(df / chi^2(1 - LIMIT; df)), for runs that are normal.
    The degrees of freedom are taken from those of the difference, by Welch and
    Satterthwaite solved for the published part.
    """
    taken = numbers.published_spread
    place = _place(numbers, taken)
    if _WORDS.get(place) != word:
        return None
    largest = taken
    while largest < _LARGEST * taken and _place(numbers, largest * _FINENESS) == place:
        largest *= _FINENESS
    df = _published_df(numbers)
    upper = taken * math.sqrt(df / float(scipy.stats.chi2.ppf(1 - LIMIT, df)))
    return SpreadReach(largest, upper, _place(numbers, upper) == place)


def _place(numbers: PublishedNumbers, spread: float) -> Place:
    ours = Estimate(numbers.mean, numbers.spread / math.sqrt(numbers.runs), numbers.runs - 1)
    difference = difference_from_published(
        ours,
        numbers.published,
        published_runs=numbers.published_runs,
        spread=spread,
        spread_df=_published_df(numbers),
    )
    return place_of(difference.interval(1 - 2 * numbers.alpha), numbers.margin)


def _published_df(numbers: PublishedNumbers) -> float:
    ours = numbers.spread**2 / numbers.runs
    theirs = numbers.published_spread**2 / numbers.published_runs
    rest = (ours + theirs) ** 2 / numbers.df - ours**2 / (numbers.runs - 1)
    return theirs**2 / rest
