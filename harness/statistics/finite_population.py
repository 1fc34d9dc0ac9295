"""What a random subset of a finite set of images says about the whole set.

A published accuracy on all 50,000 validation images is a count, not an
estimate: the only uncertainty of a subset drawn from the same images is which
of them were drawn.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import scipy

from harness.errors import StatisticsError
from harness.statistics.intervals import Interval, check_confidence, check_counts


@dataclass(frozen=True)
class Stratum:
    """A part of the set, such as a class, and what was drawn from it.

    Attributes:
        size: Images of the part.
        drawn: Images drawn at random from it.
        correct: Of them, those classified right.
    """

    size: int
    drawn: int
    correct: int


def simple_draw_interval(correct: int, drawn: int, population: int, confidence: float) -> Interval:
    """The exact interval for the accuracy on the whole set after a simple random draw.

    Formula: all K with P(X >= correct | K) > a/2 and P(X <= correct | K) > a/2
    for X ~ Hypergeometric(population, K, drawn), divided by `population`.
    Covers at least `confidence` whatever K. Source: Buonaccorsi (1987),
    American Statistician 41; inversion of two one-sided tests.

    Raises:
        StatisticsError: impossible counts.
    """
    check_confidence(confidence)
    check_counts(correct, drawn)
    if drawn > population:
        raise StatisticsError(
            f"{drawn} images drawn of {population}", expected="at most the whole set"
        )
    half = (1 - confidence) / 2
    first, last = correct, population - (drawn - correct)
    low = _smallest(
        first,
        last,
        lambda right: scipy.stats.hypergeom.sf(correct - 1, population, right, drawn) > half,
    )
    beyond = _smallest(
        first,
        last + 1,
        lambda right: scipy.stats.hypergeom.cdf(correct, population, right, drawn) <= half,
    )
    return Interval(low / population, (beyond - 1) / population, confidence)


def _smallest(first: int, last: int, holds: Callable[[int], bool]) -> int:
    """The smallest number from `first` for which a monotone condition holds, at most `last`."""
    while first < last:
        middle = (first + last) // 2
        if holds(middle):
            last = middle
        else:
            first = middle + 1
    return first


def stratified_estimate(strata: Sequence[Stratum]) -> tuple[float, float]:
    """Accuracy on the whole set and its standard error after a draw within each stratum.

    Formula: sum W_h p_h and sqrt(sum W_h^2 (1 - n_h / N_h) p_h (1 - p_h) / (n_h - 1))
    with W_h = N_h / N. Source: Cochran (1977), Sampling Techniques, theorems
    5.1 and 5.3 with the variance of a proportion, equation 3.8.

    Raises:
        StatisticsError: no strata, or one of which fewer than two images (and
            not all) were drawn.
    """
    if not strata:
        raise StatisticsError("no strata", expected="at least one")
    total = sum(s.size for s in strata)
    mean = variance = 0.0
    for s in strata:
        check_counts(s.correct, s.drawn)
        if s.drawn > s.size or (s.drawn < 2 and s.drawn < s.size):
            raise StatisticsError(
                f"{s.drawn} of {s.size} images of a stratum were drawn",
                expected="at least two from each, at most all",
            )
        weight, p = s.size / total, s.correct / s.drawn
        mean += weight * p
        if s.drawn < s.size:
            variance += weight**2 * (1 - s.drawn / s.size) * p * (1 - p) / (s.drawn - 1)
    return min(mean, 1.0), math.sqrt(variance)  # a sum of weights may round above 1


def stratified_interval(strata: Sequence[Stratum], confidence: float) -> Interval:
    """The normal interval around `stratified_estimate`, cut to [0, 1].

    Approximate: it needs tens of images in all and errors in several strata.
    """
    check_confidence(confidence)
    mean, error = stratified_estimate(strata)
    reach = float(scipy.stats.norm.isf((1 - confidence) / 2)) * error
    return Interval(max(0.0, mean - reach), min(1.0, mean + reach), confidence)


def detectable_difference(
    drawn: int, population: int, accuracy: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The difference from a full-set accuracy that a simple draw finds with `power`.

    Formula: d = z(1 - alpha/2) sd(p) + z(power) sd(q) + 1 / 2n with sd(x)^2 = x (1 - x) / n *
    (N - n) / (N - 1), the normal approximation with the finite population correction (Cochran
    1977, section 3.2) and for continuity; 0 when the whole set was drawn. The draw is one of
    an accuracy q that lies d away from p, on the side where it varies more: with sd(p) alone
    the chance at p = 0.9 would be 0.77 instead of 0.80.
    """
    correction = (population - drawn) / max(1, population - 1)
    if correction == 0:
        return 0.0
    alarm, found = float(scipy.stats.norm.isf(alpha / 2)), float(scipy.stats.norm.ppf(power))
    from_half, difference = abs(accuracy - 0.5), 0.0
    for _ in range(20):
        nearer = max(0.0, from_half - difference)
        parts = ((alarm, from_half), (found, nearer))
        difference = 0.5 / drawn + sum(
            z * math.sqrt((0.25 - away**2) / drawn * correction) for z, away in parts
        )
    return difference
