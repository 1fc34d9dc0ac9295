"""The one summary of step times: what a report, the mirror and a benchmark show."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.errors import RecordError


@dataclass(frozen=True)
class StepTimes:
    """What a stretch of steps took; seconds.

    Attributes:
        steps: Steps that count.
        median_s: Median of one step.
        p90_s: 90th percentile.
        p99_s: 99th percentile.
        mean_s: Mean of one step.
        longest_s: The longest step.
        images_per_s: All images over all time.
        data_wait_share: Part of that time spent waiting for batches, in [0, 1]; None
            where nothing is waited for.
    """

    steps: int
    median_s: float
    p90_s: float
    p99_s: float
    mean_s: float
    longest_s: float
    images_per_s: float
    data_wait_share: float | None

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return asdict(self)

    def text(self) -> str:
        """One line for a person."""
        wait = "none" if self.data_wait_share is None else f"{100 * self.data_wait_share:.1f} %"
        return (
            f"step time: median {self.median_s:.3f} s, 90th percentile {self.p90_s:.3f} s, "
            f"99th {self.p99_s:.3f} s; data wait: {wait}"
        )


def summarise(
    step_time_s: Sequence[float] | np.ndarray,
    *,
    images: int | Sequence[int] | np.ndarray,
    data_wait_s: Sequence[float] | np.ndarray | None = None,
) -> StepTimes:
    """Summary of steps, without those that hold compilation, which the caller leaves out.

    Percentiles are interpolated between neighbours, as NumPy does it.

    Args:
        step_time_s: Seconds of each step, at least one.
        images: Images of each step, or of every step.
        data_wait_s: Part of each step spent waiting for its batch.

    Raises:
        RecordError: no step, or no time at all.
    """
    times = np.asarray(step_time_s, np.float64)
    total = float(times.sum())
    if not total > 0:
        raise RecordError(
            f"{len(times)} steps took {total} s",
            expected="at least one step that took time",
        )
    median, p90, p99 = np.percentile(times, (50, 90, 99))
    return StepTimes(
        steps=len(times),
        median_s=float(median),
        p90_s=float(p90),
        p99_s=float(p99),
        mean_s=float(times.mean()),
        longest_s=float(times.max()),
        images_per_s=float(np.broadcast_to(images, times.shape).sum()) / total,
        data_wait_share=None if data_wait_s is None else float(np.sum(data_wait_s)) / total,
    )
