"""How the rounds of a benchmark become figures: a spread, or a ratio with its interval."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.statistics.ratio import paired_ratio_interval

LEGEND = {
    "rates and shares of the peak": "median, lowest and highest of the rounds",
    "one way over another": "geometric mean of the rounds' ratios, ends of its 95 % interval "
    "(Student, on logarithms)",
}
"""What `median`, `low` and `high` are in every document."""


@dataclass(frozen=True)
class MedianRange:
    """Median, lowest and highest of the rounds; no interval."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "MedianRange":
        """Summarise the rounds."""
        return cls(statistics.median(rounds), min(rounds), max(rounds))

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return asdict(self)


@dataclass(frozen=True)
class Ratio:
    """A ratio taken within rounds.

    Attributes:
        median: Geometric mean of the rounds' ratios.
        low: Lower end of its 95 % interval (Student, on logarithms); None for a single round.
        high: Upper end.
    """

    median: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, base: Sequence[float], head: Sequence[float]) -> "Ratio":
        """Head over base, both by round.

        Raises:
            StatisticsError: different numbers of rounds, or values that are not
                positive and finite.
        """
        if len(base) == len(head) == 1:
            return cls(head[0] / base[0], None, None)
        found = paired_ratio_interval(base, head)
        return cls(found.ratio, found.low, found.high)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return asdict(self)

    def text(self) -> str:
        """Such as `1.80 [1.77, 1.82]`."""
        ends = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.median:.2f}{ends}"
