"""Training speed against published hardware rows and against the user's own earlier runs.

Two speeds are compared only when device, precision, batch, input and numerics
are equal; otherwise the answer is *incomparable* and names what differs. No
source states its numerics and some not their input: those rows are compared
and say so. A row whose batch is not stated is incomparable.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.baselines.schema import ThroughputRow
from harness.errors import RecordError
from harness.frozen import Frozen
from harness.record.schema import RunStarted
from harness.statistics.ratio import MIN_BLOCKS, RatioInterval, block_medians, ratio_interval
from harness.verdict.judgement import Bounds

BLOCK_STEPS = 100
MIN_EFFECT = 0.05
"""A ratio of step times within 5 % of 1 is called as fast."""
CONFIDENCE = 0.95

SpeedWord = Literal["as_fast", "faster", "slower", "cannot_tell", "incomparable", "published"]
SPEED_EXIT_CODES: dict[SpeedWord, int] = {
    "as_fast": 0,
    "faster": 0,
    "published": 0,
    "incomparable": 0,
    "slower": 1,
    "cannot_tell": 3,
}


class Speed(Frozen):
    """How fast a run was: its identity and the step times that count, in seconds.

    `step_time_s` leaves out steps that hold compilation; `images_per_step` is
    the global batch.
    """

    run: str
    started: RunStarted
    images_per_step: int
    step_time_s: tuple[float, ...]

    @property
    def median_step_time_s(self) -> float:
        """Seconds."""
        return float(np.median(self.step_time_s))

    @property
    def images_per_s(self) -> float:
        """Images of a step over the median step time."""
        return self.images_per_step / self.median_step_time_s


class SpeedComparison(Frozen):
    """One comparison. `ratio` is our images per second over the other's.

    Step times are medians of ours and of an earlier run; a published one follows
    from rate and batch and is None without a stated batch. `differs` names the
    keys that make the two incomparable; `unstated` what the source does not
    say. Published rows carry no verdict word beyond
    `published`: one printed figure has no spread.
    """

    other: str
    word: SpeedWord
    images_per_s: float
    other_images_per_s: float
    step_time_s: float
    other_step_time_s: float | None
    ratio: float | None
    interval: Bounds | None
    differs: tuple[str, ...]
    unstated: tuple[str, ...] = ()


def speed_of(
    run: str, started: RunStarted, step_time_s: np.ndarray, images: np.ndarray, compiled: np.ndarray
) -> Speed:
    """The speed of a recorded run.

    Args:
        run: Its name, for output.
        started: Its identity.
        step_time_s: float [n], seconds.
        images: float [n], images of each step.
        compiled: bool [n], true where a step holds compilation.

    Raises:
        RecordError: no steps beyond compiled ones.
    """
    kept = ~compiled
    if not kept.any():
        raise RecordError(
            "the run has no steps to take a rate from",
            where=run,
            expected="a run with recorded steps beyond the compiled ones",
            remedy="name another run",
        )
    return Speed(
        run=run,
        started=started,
        images_per_step=int(np.median(images[kept])),
        step_time_s=tuple(step_time_s[kept].tolist()),
    )


def compare_with_published(speed: Speed, row: ThroughputRow) -> SpeedComparison:
    """Our speed against one published row of the same kind of machine and work."""
    started = speed.started
    numerics = started.numerics
    device = " ".join(numerics.devices).casefold()
    found = {
        "network": (row.network in started.recipe.model.name, True),
        "device": (all(word in device for word in row.device_match), True),
        "devices": (len(numerics.devices) * numerics.workers, row.devices),
        "precision": (_precision(started), row.precision),
        "input": ("real", row.input if row.input != "unstated" else "real"),
    }
    if row.batch_per_device is not None:
        per_device = speed.images_per_step / max(1, len(numerics.devices) * numerics.workers)
        found["batch"] = (per_device, row.batch_per_device)
    differs = tuple(key for key, (ours, theirs) in found.items() if ours != theirs)
    silent = {"input": row.input == "unstated", "batch": row.batch_per_device is None}
    incomparable = bool(differs) or silent["batch"]
    batch = row.batch_per_device and row.batch_per_device * row.devices
    return SpeedComparison(
        other=f"{row.name}: {row.device}, {row.software}",
        word="incomparable" if incomparable else "published",
        images_per_s=speed.images_per_s,
        other_images_per_s=row.images_per_s,
        step_time_s=speed.median_step_time_s,
        other_step_time_s=batch / row.images_per_s if batch else None,
        ratio=None if incomparable else speed.images_per_s / row.images_per_s,
        interval=None,
        differs=differs,
        unstated=(*(key for key, unsaid in silent.items() if unsaid), "spread", "numerics"),
    )


def compare_with_run(speed: Speed, other: Speed) -> SpeedComparison:
    """Our speed against an earlier run's, by Welch's interval on log medians of 100-step blocks.

    The interval covers what varies within the two runs, not what may differ
    between two days of one machine.
    """
    differs = _differences(speed, other)
    interval = None if differs else _interval(speed, other)
    word: SpeedWord = "incomparable" if differs else _word(interval)
    bounds = None
    if interval is not None:
        low, high = 1 / interval.high, 1 / interval.low
        bounds = Bounds(low=low, high=high, confidence=CONFIDENCE)
    return SpeedComparison(
        other=other.run,
        word=word,
        images_per_s=speed.images_per_s,
        other_images_per_s=other.images_per_s,
        step_time_s=speed.median_step_time_s,
        other_step_time_s=other.median_step_time_s,
        ratio=None if differs else speed.images_per_s / other.images_per_s,
        interval=bounds,
        differs=differs,
    )


def fitting_rows(speed: Speed, rows: Sequence[ThroughputRow]) -> tuple[SpeedComparison, ...]:
    """Comparisons with the rows of the run's network, comparable ones first."""
    network = speed.started.recipe.model.name
    found = [compare_with_published(speed, row) for row in rows if row.network in network]
    return tuple(sorted(found, key=lambda c: (c.word == "incomparable", len(c.differs))))


def _precision(started: RunStarted) -> str:
    numerics = started.numerics
    if numerics.compute == "float32":
        return "tf32" if numerics.tf32 else "float32"
    return {"float16": "amp_float16"}.get(numerics.compute, numerics.compute)


def _differences(speed: Speed, other: Speed) -> tuple[str, ...]:
    one, two = speed.started, other.started
    pairs = {
        "device": (one.numerics.devices, two.numerics.devices),
        "precision": (_precision(one), _precision(two)),
        "batch": (speed.images_per_step, other.images_per_step),
        "model": (one.recipe.model, two.recipe.model),
        "input": (_input(one), _input(two)),
        "numerics": (one.numerics_digest, two.numerics_digest),
    }
    return tuple(key for key, (ours, theirs) in pairs.items() if ours != theirs)


def _input(started: RunStarted) -> tuple[object, ...]:
    recipe = started.recipe
    return recipe.augmentation, recipe.normalisation, started.data.root_digest


def _interval(speed: Speed, other: Speed) -> RatioInterval | None:
    """Step time of `speed` over that of `other`; None with too few steps."""
    blocks = []
    for one in (other, speed):
        block = min(BLOCK_STEPS, len(one.step_time_s) // MIN_BLOCKS)
        if block < 1:
            return None
        blocks.append(block_medians(one.step_time_s, block))
    return ratio_interval(blocks[0], blocks[1], confidence=CONFIDENCE)


def _word(interval: RatioInterval | None) -> SpeedWord:
    if interval is None:
        return "cannot_tell"
    if interval.low > 1 / (1 + MIN_EFFECT) and interval.high < 1 + MIN_EFFECT:
        return "as_fast"
    if interval.low > 1 and interval.ratio > 1 + MIN_EFFECT:
        return "slower"
    if interval.high < 1 and interval.ratio < 1 / (1 + MIN_EFFECT):
        return "faster"
    return "cannot_tell"
