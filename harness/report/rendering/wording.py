"""Numbers as a reader sees them. Percent and rounding exist only here."""

import math
from datetime import UTC, datetime

MISSING = "-"


def percent(fraction: float | None, digits: int = 2) -> str:
    """A fraction as percent: 0.7772 is `77.72 %`."""
    return MISSING if fraction is None else f"{100 * fraction:.{digits}f} %"


def points(difference: float, digits: int = 2) -> str:
    """A difference of fractions as percentage points with sign: `-0.31 pp`."""
    return f"{100 * difference:+.{digits}f} pp"


def amount(size: float, digits: int = 2) -> str:
    """A spread or margin of fractions as percentage points, without sign: `0.50 pp`."""
    return f"{100 * size:.{digits}f} pp"


def number(value: float | None, digits: int = 3) -> str:
    """Three or so significant figures, thousands with commas; not-finite values in words."""
    if value is None:
        return MISSING
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size and size < 0.001:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    return f"{value:.{decimals}f}"


def count(value: int) -> str:
    """An integer with thousands separated."""
    return f"{value:,}"


def milliseconds(seconds: float | None) -> str:
    """A step time: `104 ms`."""
    return MISSING if seconds is None else f"{number(1000 * seconds)} ms"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`, `2.1 days`."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds / 86_400)} days"


def moment(time_s: float) -> str:
    """A time of day in UTC to the second."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(n: int, one: str, many: str | None = None) -> str:
    """`1 step`, `2 steps`."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def listed(items: tuple[str, ...] | list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) <= 1:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
