"""The speed gate: did a revision lose speed? Pure functions from recorded blocks to an answer.

A block is the median of a few repetitions of a benchmark, divided by the median
of a calibration kernel that ran in alternation with them: what slows the whole
machine slows both and cancels. Blocks of one process are alike, so a process is one
observation: the median of its blocks. A round is a process of each revision, one after
the other; Student's interval of the log ratios of rounds decides. While it cannot tell,
more rounds are measured, at most `LOOKS` times in all, among which both errors are
shared. A loss is called only when it is significant and larger than the declared
smallest effect that matters.
"""

import statistics
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.errors import UsageError
from harness.frozen import Frozen
from harness.statistics.ratio import MIN_BLOCKS, RatioInterval, paired_ratio_interval

SMALLEST_EFFECT = 0.05
FALSE_ALARM = 0.005
"""One-sided error of a comparison, shared by its benchmarks and looks; 1 % is allowed."""

MISSED_LOSS = 0.05
"""One-sided error of a benchmark's "no loss above 10 %", shared by its looks."""

LOOKS = 3

Outcome = Literal["loss", "gain", "no loss above bound", "cannot tell", "nothing measured"]
EXIT_CODES: dict[Outcome, int] = {
    "no loss above bound": 0,
    "gain": 0,
    "loss": 1,
    "cannot tell": 3,
    "nothing measured": 5,
}


class Timings(Frozen):
    """Blocks of one benchmark in the order in which they were measured.

    Attributes:
        block_s: Time of each block.
        calibration_s: Time of the calibration kernel beside it.
        blocks_by_process: How many of them each process measured, in order;
            empty where each block had a process of its own.
    """

    block_s: tuple[float, ...]
    calibration_s: tuple[float, ...]
    blocks_by_process: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _equal_lengths(self) -> "Timings":
        if len(self.block_s) != len(self.calibration_s):
            raise ValueError("block_s and calibration_s must have the same length")
        if not all(value > 0 for value in (*self.block_s, *self.calibration_s)):
            raise ValueError("times must be above 0")
        if min(self.blocks, default=1) < 1 or sum(self.blocks) != len(self.block_s):
            raise ValueError("blocks_by_process must share out all blocks")
        return self

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many blocks each process measured."""
        return self.blocks_by_process or (1,) * len(self.block_s)

    def normalised(self) -> tuple[float, ...]:
        """Each process's median block in units of the calibration kernel beside it."""
        ratios = iter([b / c for b, c in zip(self.block_s, self.calibration_s, strict=True)])
        return tuple(statistics.median(islice(ratios, count)) for count in self.blocks)

    def joined(self, other: "Timings") -> "Timings":
        """These blocks and those of later processes."""
        return Timings(
            block_s=self.block_s + other.block_s,
            calibration_s=self.calibration_s + other.calibration_s,
            blocks_by_process=self.blocks + other.blocks,
        )


class SpeedRecord(Frozen):
    """Timings of one revision on one machine."""

    schema_version: Literal[1] = 1
    revision: str
    machine: str = Field(description="processor, devices and thread counts")
    benchmarks: dict[str, Timings]

    def joined(self, other: "SpeedRecord") -> "SpeedRecord":
        """This record with the blocks of a later process of the same revision."""
        names = sorted({*self.benchmarks, *other.benchmarks})
        empty = Timings(block_s=(), calibration_s=())
        both = {
            name: self.benchmarks.get(name, empty).joined(other.benchmarks.get(name, empty))
            for name in names
        }
        return self.model_copy(update={"benchmarks": both})


@dataclass(frozen=True)
class BenchmarkAnswer:
    """What the gate says about one benchmark.

    Attributes:
        name: The benchmark.
        outcome: Never "nothing measured".
        interval: Time of head over that of base; above 1 head is slower. None
            where nothing could be compared.
        reason: Why nothing could be compared, else empty.
    """

    name: str
    outcome: Outcome
    interval: RatioInterval | None
    reason: str = ""

    def text(self) -> str:
        """One line for a person."""
        if self.interval is None:
            return f"{self.name:14} {self.outcome}: {self.reason}"
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
        release: Head against a pinned release, so that small losses cannot add up.
    """

    base: str
    head: str
    benchmarks: tuple[BenchmarkAnswer, ...]
    smallest_effect: float
    release: "SpeedAnswer | None" = None

    @property
    def outcome(self) -> Outcome:
        """A loss of any benchmark is a loss; one that cannot be told leaves the rest open."""
        found = {answer.outcome for answer in self.benchmarks}
        if not found:
            return "nothing measured"
        if self.release is not None:
            found.add(self.release.outcome)
        order: tuple[Outcome, ...] = ("loss", "cannot tell", "gain", "no loss above bound")
        return next(outcome for outcome in order if outcome in found)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {"outcome": self.outcome, **asdict(self)}

    def text(self) -> str:
        """For a person."""
        bound = f"no loss above {200 * self.smallest_effect:.0f} %"
        title = f"{self.base} -> {self.head}: {self.outcome}"
        lines = [title, *(f"  {answer.text()}" for answer in self.benchmarks)]
        text = "\n".join(lines).replace("no loss above bound", bound)
        return text if self.release is None else f"{text}\n{self.release.text()}"


def judge_speed(
    base: SpeedRecord,
    head: SpeedRecord,
    *,
    smallest_effect: float = SMALLEST_EFFECT,
    false_alarm: float = FALSE_ALARM,
) -> SpeedAnswer:
    """Compare two records, round by round: process i of base beside process i of head.

    Args:
        base: The revision before.
        head: The revision after.
        smallest_effect: A loss must be larger, as a fraction of base's time.
        false_alarm: One-sided error of the whole comparison, shared by its benchmarks and looks.

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
    confidence = 1 - 2 * false_alarm / LOOKS / max(1, len(names))
    answers = [
        _answer(
            name,
            base.benchmarks[name].normalised(),
            head.benchmarks[name].normalised(),
            confidence,
            smallest_effect,
        )
        for name in names
    ]
    # A benchmark that head lost could hide a loss; one that is new has nothing to lose.
    if names:
        answers += [
            BenchmarkAnswer(name, "cannot tell", None, "measured in base only")
            for name in sorted(base.benchmarks.keys() - head.benchmarks.keys())
        ]
    return SpeedAnswer(base.revision, head.revision, tuple(answers), smallest_effect)


def _answer(
    name: str,
    base: tuple[float, ...],
    head: tuple[float, ...],
    confidence: float,
    smallest_effect: float,
) -> BenchmarkAnswer:
    if min(len(base), len(head)) < MIN_BLOCKS or len(base) != len(head):
        reason = (
            f"fewer than {MIN_BLOCKS} rounds"
            if len(base) == len(head)
            else f"{len(base)} processes of base and {len(head)} of head are no rounds"
        )
        return BenchmarkAnswer(name, "cannot tell", None, reason)
    interval = paired_ratio_interval(base, head, confidence=confidence)
    excluding = paired_ratio_interval(base, head, confidence=1 - 2 * MISSED_LOSS / LOOKS)
    return BenchmarkAnswer(name, _outcome(interval, excluding.high, smallest_effect), interval)


def _outcome(interval: RatioInterval, highest: float, smallest_effect: float) -> Outcome:
    """The answer.

    Args:
        interval: At the confidence of an alarm.
        highest: Head is slower by more than this with probability `MISSED_LOSS` at most.
        smallest_effect: A loss must be larger, as a fraction of base's time.
    """
    bound = 1 + smallest_effect
    if interval.low > 1 and interval.ratio > bound:
        return "loss"
    if interval.high < 1 and interval.ratio < 1 / bound:
        return "gain"
    # Twice the smallest effect is the loss that the gate promises to find.
    return "no loss above bound" if highest < 1 + 2 * smallest_effect else "cannot tell"
