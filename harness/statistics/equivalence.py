"""Two one-sided tests: is a difference smaller than a margin, larger, or undecided?"""

from typing import Literal

from harness.errors import StatisticsError
from harness.statistics.intervals import Interval

Place = Literal["below", "above", "inside", "across_lower", "across_upper", "across_both"]


def place_of(interval: Interval, margin: float) -> Place:
    """Where an interval of a difference lies relative to [-margin, margin].

    `inside` with an interval of confidence 1 - 2 alpha is the verdict of two
    one-sided tests of size alpha each. Source: Schuirmann (1987), J.
    Pharmacokinetics and Biopharmaceutics 15; Westlake's interval form.

    Returns:
        `below` (the whole interval under -margin), `above` (over +margin),
        `inside` (strictly within), or which limit it lies across.

    Raises:
        StatisticsError: the margin is not positive.
    """
    if margin <= 0:
        raise StatisticsError(f"a margin of {margin:g}", expected="a positive margin")
    if interval.high < -margin:
        return "below"
    if interval.low > margin:
        return "above"
    low_inside, high_inside = interval.low > -margin, interval.high < margin
    if low_inside and high_inside:
        return "inside"
    if not low_inside and not high_inside:
        return "across_both"
    return "across_upper" if low_inside else "across_lower"
