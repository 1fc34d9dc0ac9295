"""The speed gate: did a revision lose speed? Pure functions from recorded blocks to an answer.

A block is the median of a few repetitions of a benchmark, divided by the median
of a calibration kernel that ran in alternation with them: what slows the whole
machine slows both and cancels. A loss is called only when it is significant and
larger than the declared smallest effect that matters.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.errors import UsageError
from harness.recipes.values import Frozen
from harness.statistics.ratio import MIN_BLOCKS, RatioInterval, ratio_interval

SMALLEST_EFFECT = 0.05
FALSE_ALARM = 0.002
"""One-sided error of a comparison, shared by its benchmarks.

A fifth of the 1 % that is allowed: blocks of one process are alike, which an
interval over independent blocks does not know.
"""

RESAMPLES = 4000

Outcome = Literal["loss", "gain", "no difference", "cannot tell", "nothing measured"]
EXIT_CODES: dict[Outcome, int] = {
    "no difference": 0,
    "gain": 0,
    "loss": 1,
    "cannot tell": 3,
    "nothing measured": 5,
}


class Timings(Frozen):
    """Blocks of one benchmark in the order in which they were measured."""

    block_s: tuple[float, ...]
    calibration_s: tuple[float, ...]

    @model_validator(mode="after")
    def _equal_lengths(self) -> "Timings":
        if len(self.block_s) != len(self.calibration_s):
            raise ValueError("block_s and calibration_s must have the same length")
        if not all(value > 0 for value in (*self.block_s, *self.calibration_s)):
            raise ValueError("times must be above 0")
        return self

    def normalised(self) -> tuple[float, ...]:
        """Each block in units of the calibration kernel beside it."""
        return tuple(b / c for b, c in zip(self.block_s, self.calibration_s, strict=True))


class SpeedRecord(Frozen):
    """Timings of one revision on one machine."""

    schema_version: Literal[1] = 1
    revision: str
    machine: str = Field(description="processor, devices and thread counts")
    benchmarks: dict[str, Timings]

    def joined(self, other: "SpeedRecord") -> "SpeedRecord":
        """This record with the blocks of a later process of the same revision."""
        names = {*self.benchmarks, *other.benchmarks}
        empty = Timings(block_s=(), calibration_s=())
        pairs = {
            name: (self.benchmarks.get(name, empty), other.benchmarks.get(name, empty))
            for name in sorted(names)
        }
        return self.model_copy(
            update={
                "benchmarks": {
                    name: Timings(
                        block_s=a.block_s + b.block_s,
                        calibration_s=a.calibration_s + b.calibration_s,
                    )
                    for name, (a, b) in pairs.items()
                }
            }
        )


@dataclass(frozen=True)
class BenchmarkAnswer:
    """What the gate says about one benchmark.

    Attributes:
        name: The benchmark.
        outcome: Never "nothing measured".
        interval: Time of head over that of base; above 1 head is slower. None
            with too few blocks.
    """

    name: str
    outcome: Outcome
    interval: RatioInterval | None

    def text(self) -> str:
        """One line for a person."""
        if self.interval is None:
            return f"{self.name:14} {self.outcome}: fewer than {MIN_BLOCKS} blocks"
        change, low, high = (
            100 * (value - 1)
            for value in (self.interval.ratio, self.interval.low, self.interval.high)
        )
        return f"{self.name:14} {self.outcome}: {change:+.1f} % time [{low:+.1f}, {high:+.1f}]"


@dataclass(frozen=True)
class SpeedAnswer:
    """What the gate says about a comparison.

    Attributes:
        base: Revision.
        head: Revision.
        benchmarks: One answer each.
        smallest_effect: A loss must be larger, as a fraction of base's time.
    """

    base: str
    head: str
    benchmarks: tuple[BenchmarkAnswer, ...]
    smallest_effect: float

    @property
    def outcome(self) -> Outcome:
        """A loss of any benchmark is a loss; one that cannot be told leaves the rest open."""
        found = {answer.outcome for answer in self.benchmarks}
        if not found:
            return "nothing measured"
        order: tuple[Outcome, ...] = ("loss", "cannot tell", "gain", "no difference")
        return next(outcome for outcome in order if outcome in found)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {"outcome": self.outcome, **asdict(self)}

    def text(self) -> str:
        """For a person."""
        title = f"{self.base} -> {self.head}: {self.outcome}"
        return "\n".join([title, *(f"  {answer.text()}" for answer in self.benchmarks)])


def judge_speed(
    base: SpeedRecord,
    head: SpeedRecord,
    *,
    smallest_effect: float = SMALLEST_EFFECT,
    false_alarm: float = FALSE_ALARM,
    resamples: int = RESAMPLES,
) -> SpeedAnswer:
    """Compare two records.

    Args:
        base: The revision before.
        head: The revision after.
        smallest_effect: A loss must be larger, as a fraction of base's time.
        false_alarm: One-sided error of the whole comparison, shared by its benchmarks.
        resamples: Of the bootstrap.

    Raises:
        UsageError: the records are of different machines.
    """
    if base.machine != head.machine:
        raise UsageError(
            f"the records are of different machines: {base.machine} and {head.machine}",
            expected="both measured on one machine with the same threads",
            remedy="measure both revisions here: harness gate BASE_REVISION HEAD_REVISION",
        )
    names = sorted(base.benchmarks.keys() & head.benchmarks.keys())
    confidence = 1 - 2 * false_alarm / max(1, len(names))
    answers = tuple(
        _answer(
            name,
            base.benchmarks[name].normalised(),
            head.benchmarks[name].normalised(),
            confidence,
            smallest_effect,
            resamples,
        )
        for name in names
    )
    return SpeedAnswer(base.revision, head.revision, answers, smallest_effect)


def _answer(
    name: str,
    base: tuple[float, ...],
    head: tuple[float, ...],
    confidence: float,
    smallest_effect: float,
    resamples: int,
) -> BenchmarkAnswer:
    if min(len(base), len(head)) < MIN_BLOCKS:
        return BenchmarkAnswer(name, "cannot tell", None)
    interval = ratio_interval(base, head, confidence=confidence, resamples=resamples)
    return BenchmarkAnswer(name, _outcome(interval, smallest_effect), interval)


def _outcome(interval: RatioInterval, smallest_effect: float) -> Outcome:
    bound = 1 + smallest_effect
    if interval.low > 1 and interval.ratio > bound:
        return "loss"
    if interval.high < 1 and interval.ratio < 1 / bound:
        return "gain"
    # An interval that reaches twice the smallest effect could hide a real loss.
    return "no difference" if interval.high < 1 + 2 * smallest_effect else "cannot tell"
