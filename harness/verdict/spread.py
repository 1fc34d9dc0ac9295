"""How far an answer rests on the spread that is taken for one published run."""

import math
from dataclasses import dataclass

import scipy

from harness.statistics.difference import difference_from_published
from harness.statistics.equivalence import Place, place_of
from harness.statistics.intervals import Estimate
from harness.verdict.judgement import PublishedNumbers, Word

LIMIT = 0.95
_FINENESS = 1.005
_LARGEST = 10.0
_WORDS: dict[Place, Word] = {
    "inside": "reproduced",
    "below": "not_reproduced",
    "above": "exceeds",
}


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
