"""Intervals for a mean and for a proportion, and an estimate from which intervals follow.

Accuracies are fractions in [0, 1]; every function is pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from harness.errors import StatisticsError


@dataclass(frozen=True)
class Interval:
    """A closed interval with its confidence level.

    Attributes:
        low: Lower end.
        high: Upper end.
        confidence: Level in (0, 1), such as 0.95.
    """

    low: float
    high: float
    confidence: float

    def __contains__(self, value: float) -> bool:
        """Whether `value` lies in the interval, ends included."""
        return self.low <= value <= self.high

    @property
    def half_width(self) -> float:
        """Half the distance of the ends."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Estimate:
    """A normally distributed estimate whose standard error is itself estimated.

    Attributes:
        value: The estimate.
        standard_error: At least 0.
        df: Degrees of freedom of the standard error; infinity when it is known.
    """

    value: float
    standard_error: float
    df: float

    def interval(self, confidence: float) -> Interval:
        """`value -+ t(1 - (1 - confidence) / 2, df) * standard_error`, Student's interval."""
        check_confidence(confidence)
        reach = float(scipy.stats.t.isf((1 - confidence) / 2, self.df)) * self.standard_error
        return Interval(self.value - reach, self.value + reach, confidence)


def mean_estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent, equally and normally distributed values.

    Formula: mean, s / sqrt(n), n - 1 degrees of freedom with
    s^2 = sum (x - mean)^2 / (n - 1). Source: Student (1908), "The probable
    error of a mean".

    Raises:
        StatisticsError: fewer than two values, or one that is not finite.
    """
    n = len(values)
    if n < 2:
        raise StatisticsError(
            f"{n} value{'' if n == 1 else 's'} cannot tell a spread",
            expected="at least 2 independent values",
            remedy="add runs with other seeds",
        )
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise StatisticsError("a value is not finite", expected="finite values")
    return Estimate(float(array.mean()), float(array.std(ddof=1)) / math.sqrt(n), n - 1)


def proportion_interval(successes: int, n: int, confidence: float) -> Interval:
    """The exact interval for a binomial proportion.

    Formula: beta quantiles B(a/2; k, n - k + 1) and B(1 - a/2; k + 1, n - k).
    Assumes n independent trials. Covers at least `confidence` whatever the
    proportion. Source: Clopper and Pearson (1934), Biometrika 26.

    Raises:
        StatisticsError: not 0 <= successes <= n, or n < 1.
    """
    check_confidence(confidence)
    check_counts(successes, n)
    half = (1 - confidence) / 2
    low = float(scipy.stats.beta.ppf(half, successes, n - successes + 1)) if successes else 0.0
    high = float(scipy.stats.beta.isf(half, successes + 1, n - successes)) if successes < n else 1.0
    return Interval(low, high, confidence)


def proportion_lower_bound(successes: int, n: int, confidence: float) -> float:
    """The exact one-sided lower bound of a binomial proportion.

    Formula: the beta quantile B(1 - confidence; k, n - k + 1); 0 when k = 0.
    Source: Clopper and Pearson (1934).

    Raises:
        StatisticsError: not 0 <= successes <= n, or n < 1.
    """
    check_confidence(confidence)
    check_counts(successes, n)
    return (
        float(scipy.stats.beta.ppf(1 - confidence, successes, n - successes + 1))
        if successes
        else 0.0
    )


def check_confidence(confidence: float) -> None:
    """Raise `StatisticsError` unless a level lies strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise StatisticsError(
            f"{confidence:g} is no confidence level",
            expected="a fraction between 0 and 1, such as 0.95",
        )


def check_counts(successes: int, n: int) -> None:
    """Raise `StatisticsError` unless 0 <= successes <= n and n >= 1."""
    if n < 1 or not 0 <= successes <= n:
        raise StatisticsError(
            f"{successes} successes in {n} trials",
            expected="at least one trial, and successes between 0 and their number",
        )
