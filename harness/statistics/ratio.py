"""The ratio of two timings with Student's interval on the logarithms of block medians.

Neighbouring steps share a machine state, so steps are not independent; the
median of a block of steps, taken at different times, is the unit of the sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import StatisticsError
from harness.statistics.difference import welch_satterthwaite
from harness.statistics.intervals import Estimate, mean_estimate

MIN_BLOCKS = 5


@dataclass(frozen=True)
class RatioInterval:
    """A ratio head / base with its interval; above 1 means that head is larger.

    Attributes:
        ratio: Geometric mean of head's blocks over that of base's.
        low: Lower end.
        high: Upper end.
        confidence: Level in (0, 1).
        base_blocks: Blocks of base.
        head_blocks: Blocks of head.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    base_blocks: int
    head_blocks: int


def block_medians(values: Sequence[float], block: int) -> tuple[float, ...]:
    """The median of each whole block of consecutive values; a shorter last block is dropped.

    Raises:
        StatisticsError: `block` below 1, or fewer values than one block.
    """
    whole = len(values) // block if block >= 1 else 0
    if whole < 1:
        raise StatisticsError(
            f"{len(values)} values do not fill one block of {block}",
            expected="at least one whole block",
            remedy="measure for longer",
        )
    array = np.asarray(values[: whole * block], np.float64).reshape(whole, block)
    return tuple(np.median(array, axis=1).tolist())


def ratio_interval(
    base: Sequence[float], head: Sequence[float], *, confidence: float = 0.95
) -> RatioInterval:
    """Interval for the ratio of two independent sets of block medians.

    Formula: Student's interval of mean log head - mean log base with Welch's degrees of
    freedom. A handful of blocks is too few to resample: a bootstrap cannot reach beyond
    the largest of five values.

    Args:
        base: Block medians, positive.
        head: Block medians, positive, in the same unit.
        confidence: Level in (0, 1).

    Raises:
        StatisticsError: fewer than five blocks, or values that are not
            positive and finite.
    """
    logs = [_logs(values, name) for values, name in ((base, "base"), (head, "head"))]
    error, df = welch_satterthwaite(*((float(v.var(ddof=1)) / len(v), len(v) - 1.0) for v in logs))
    estimate = Estimate(float(logs[1].mean() - logs[0].mean()), error, df)
    interval = estimate.interval(confidence)
    blocks = (len(base), len(head))
    return _interval(estimate.value, interval.low, interval.high, confidence, blocks)


def paired_ratio_interval(
    base: Sequence[float], head: Sequence[float], *, confidence: float = 0.95
) -> RatioInterval:
    """Interval for a ratio measured in rounds: base[i] beside head[i].

    What both measurements of a round share, such as a slow minute of the
    machine, cancels. Formula: Student's interval of the mean of
    log head[i] - log base[i].

    Raises:
        StatisticsError: fewer than two rounds, different numbers of them, or
            values that are not positive and finite.
    """
    if len(base) != len(head):
        raise StatisticsError(
            f"{len(base)} rounds of base and {len(head)} of head are no pairs",
            expected="as many of one as of the other",
        )
    differences = _logs(head, "head", 2) - _logs(base, "base", 2)
    estimate = mean_estimate(differences.tolist())
    interval = estimate.interval(confidence)
    blocks = (len(base), len(head))
    return _interval(estimate.value, interval.low, interval.high, confidence, blocks)


def _logs(values: Sequence[float], name: str, least: int = MIN_BLOCKS) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if len(array) < least:
        raise StatisticsError(
            f"{name} has {len(array)} blocks",
            expected=f"at least {least}",
            remedy="measure for longer, or take smaller blocks",
        )
    if not (np.isfinite(array) & (array > 0)).all():
        raise StatisticsError(
            f"{name} has a block that is not positive and finite",
            expected="times or rates above 0",
        )
    return np.log(array)


def _interval(
    point: float, low: float, high: float, confidence: float, blocks: tuple[int, int]
) -> RatioInterval:
    return RatioInterval(
        ratio=math.exp(point),
        low=math.exp(min(low, point)),
        high=math.exp(max(high, point)),
        confidence=confidence,
        base_blocks=blocks[0],
        head_blocks=blocks[1],
    )
