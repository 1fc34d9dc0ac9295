"""A clock for repeated work, with the time injected, and the summary of what it measured.

The clock is read at the edges of laps only. A device that works asynchronously
is synchronised by the caller at the edge of a window, not at every lap; the
laps of such a window are given their common mean.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Now = Callable[[], float]


@dataclass
class Clock:
    """Lap times in seconds; pauses are taken out of the lap and kept by name.

    Args:
        now: Monotonic seconds, such as `time.perf_counter`.

    Attributes:
        laps_s: Finished laps, pauses excluded.
        pauses_s: Seconds of each kind of pause.
    """

    now: Now
    laps_s: list[float] = field(default_factory=list)
    pauses_s: dict[str, float] = field(default_factory=dict)
    _begun: float | None = None
    _paused_in_lap_s: float = 0.0

    def start(self) -> None:
        """Begin the first lap, or begin anew after `stop`."""
        self._begun = self.now()
        self._paused_in_lap_s = 0.0

    def lap(self) -> float:
        """End a lap and begin the next; returns its length in seconds.

        Raises:
            RuntimeError: the clock was not started.
        """
        if self._begun is None:
            raise RuntimeError("lap() before start()")
        at = self.now()
        length = at - self._begun - self._paused_in_lap_s
        self.laps_s.append(length)
        self._begun, self._paused_in_lap_s = at, 0.0
        return length

    @contextmanager
    def pause(self, kind: str) -> Iterator[None]:
        """Take what happens inside out of the current lap and add it to the pauses of `kind`."""
        begun = self.now()
        try:
            yield
        finally:
            length = self.now() - begun
            self._paused_in_lap_s += length
            self.pauses_s[kind] = self.pauses_s.get(kind, 0.0) + length


@dataclass(frozen=True)
class StepTimes:
    """What a stretch of steps took; first steps that hold compilation are apart.

    Attributes:
        steps: Steps that count.
        median_s: Median of one step.
        p90_s: 90th percentile.
        p99_s: 99th percentile.
        mean_s: Mean of one step.
        images_per_s: All images of the counted steps over all their time.
        data_wait_share: Part of that time spent waiting for batches, in [0, 1].
        compile_s: Time of the steps that hold tracing and compilation.
        pauses_s: Seconds by kind that are in no step's time.
    """

    steps: int
    median_s: float
    p90_s: float
    p99_s: float
    mean_s: float
    images_per_s: float
    data_wait_share: float
    compile_s: float
    pauses_s: dict[str, float]

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return asdict(self)


def summarise(
    step_time_s: Sequence[float],
    *,
    images_per_step: int,
    data_wait_s: Sequence[float] | None = None,
    apart: Sequence[int] = (),
    pauses_s: dict[str, float] | None = None,
) -> StepTimes | None:
    """Summary of step times; None when no step is left to count.

    Args:
        step_time_s: Seconds of each step.
        images_per_step: Images of each step.
        data_wait_s: Part of each step spent waiting for its batch.
        apart: Positions of steps that hold compilation or warm-up.
        pauses_s: Seconds by kind that are in no step's time.
    """
    times = np.asarray(step_time_s, np.float64)
    counted = np.ones(len(times), bool)
    counted[list(apart)] = False
    if not counted.any():
        return None
    kept = times[counted]
    waits = np.zeros(len(times)) if data_wait_s is None else np.asarray(data_wait_s, np.float64)
    median, p90, p99 = np.percentile(kept, (50, 90, 99))
    return StepTimes(
        steps=len(kept),
        median_s=float(median),
        p90_s=float(p90),
        p99_s=float(p99),
        mean_s=float(kept.mean()),
        images_per_s=float(images_per_step * len(kept) / kept.sum()),
        data_wait_share=float(waits[counted].sum() / kept.sum()),
        compile_s=float(times[~counted].sum()),
        pauses_s=dict(pauses_s or {}),
    )
