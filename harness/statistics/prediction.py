"""Where the next value of a sample is expected: Student's prediction interval."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

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
    check_confidence(confidence)
    array = np.asarray(values, np.float64)
    if len(array) < 2 or not np.isfinite(array).all():
        raise StatisticsError(
            f"{len(array)} values cannot predict the next",
            expected="at least two finite values",
        )
    m = len(array)
    reach = float(stats.t.isf((1 - confidence) / 2, m - 1))
    reach *= float(array.std(ddof=1)) * math.sqrt(1 + 1 / m)
    mean = float(array.mean())
    return Interval(mean - reach, mean + reach, confidence)
