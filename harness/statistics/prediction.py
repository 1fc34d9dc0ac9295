"""Where the next value of a sample is expected: Student's prediction interval."""

import math
from collections.abc import Sequence

import numpy as np
import scipy

from harness.errors import StatisticsError
from harness.statistics.intervals import Interval, check_confidence


def prediction_interval(values: Sequence[float], confidence: float) -> Interval:
    """Interval that holds the next value of a normal sample with probability `confidence`.

    Formula: mean -+ t(1 - a/2, m - 1) s sqrt(1 + 1/m). Exact for independent,
    equally and normally distributed values. Source: Hahn (1969), J. American
    Statistical Association 64, 878-888.

    Raises:
        StatisticsError: fewer than two values, or one that is not finite.
    """
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        raise StatisticsError("a value is not finite", expected="finite values")
    low, high = prediction_limits(array, confidence)
    return Interval(float(low), float(high), confidence)


def prediction_limits(
    values: np.ndarray, confidence: float, *, least_spread: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of `prediction_interval` for many quantities at once, each at this confidence.

    Args:
        values: float64 [m, ...], the sample along the first axis. A quantity
            with a value that is not finite gets ends that are not.
        confidence: Of each interval by itself.
        least_spread: A standard deviation that is known to be there, [...]; a
            smaller one of the sample is raised to it.

    Returns:
        Low and high ends, float64 [...] each.

    Raises:
        StatisticsError: fewer than two values, or no confidence level.
    """
    check_confidence(confidence)
    m = len(values)
    if m < 2:
        raise StatisticsError(
            f"{m} value{'' if m == 1 else 's'} cannot predict the next",
            expected="at least two values",
        )
    mean = values.mean(axis=0)
    spread = np.maximum(values.std(axis=0, ddof=1), least_spread)
    reach = float(scipy.stats.t.isf((1 - confidence) / 2, m - 1)) * math.sqrt(1 + 1 / m) * spread
    return mean - reach, mean + reach
