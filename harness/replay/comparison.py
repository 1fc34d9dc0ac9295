"""Comparing steps with those recorded, and drawing segments: pure functions."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.record.certificate import DetectionChance, Level, Part, StepDifference
from harness.statistics.audit import chance_of_catching, fewest_segments

if TYPE_CHECKING:
    from harness.record.schema import Steps

AUDITED_SHARES = (0.01, 0.1)


@dataclass(frozen=True)
class StepRecord:
    """What is known of one step; `batch` is None in journals of early versions."""

    learning_rate: float
    batch: str | None
    loss: float
    gradient_norm: float
    fingerprint: str


def records_of(window: "Steps") -> dict[int, StepRecord]:
    """One record for each step of a window."""
    batches = window.batch_fingerprint or (None,) * len(window.loss)
    columns = (window.learning_rate, batches, window.loss, window.gradient_norm, window.fingerprint)
    values = zip(*columns, strict=True)
    return {step: StepRecord(*of) for step, of in zip(window.step, values, strict=True)}


def first_difference(
    expected: dict[int, StepRecord], found: dict[int, StepRecord]
) -> StepDifference | None:
    """The first step recorded in both that is not equal to the bit, and what parted there.

    The learning rate is in no fingerprint: a difference in it is one of its own.
    """
    for step in sorted(expected.keys() & found.keys()):
        part = parted(expected[step], found[step])
        if part is not None:
            one, other = (_shown(record[step], part) for record in (found, expected))
            return StepDifference(step=step, part=part, found=one, expected=other)
    return None


def parted(one: StepRecord, other: StepRecord) -> Part | None:
    """What differs first between two records of the same step."""
    if one.learning_rate != other.learning_rate:
        return "learning rate"
    if one.fingerprint == other.fingerprint:
        return None
    if one.batch != other.batch and None not in (one.batch, other.batch):
        return "batch"
    if _differ(one.loss, other.loss):
        return "loss"
    if _differ(one.gradient_norm, other.gradient_norm):
        return "gradients"
    return "gradients or weights"


def _differ(one: float, other: float) -> bool:
    return one != other and not (math.isnan(one) and math.isnan(other))


def _shown(record: StepRecord, part: Part) -> str:
    shown = {
        "learning rate": repr(record.learning_rate),
        "batch": record.batch or "",
        "loss": repr(record.loss),
        "gradients": f"norm {record.gradient_norm!r}",
    }
    return shown.get(part, record.fingerprint)


def exact_level(difference: StepDifference | None) -> Level:
    """How far steps agreed when the first difference is this one."""
    if difference is None:
        return "step"
    levels: dict[Part, Level] = {"batch": "none", "loss": "data", "learning rate": "data"}
    return levels.get(difference.part, "forward")


def first_beyond(
    expected: dict[int, StepRecord], found: dict[int, StepRecord], tolerance: float
) -> StepDifference | None:
    """The first step recorded in both of which a number differs by more than a relative tolerance.

    Batches are left out: decoders of other machines round otherwise, and what
    matters of it shows in the loss.
    """
    for step in sorted(expected.keys() & found.keys()):
        part = _part_beyond(expected[step], found[step], tolerance)
        if part is not None:
            one, other = (_shown(record[step], part) for record in (found, expected))
            return StepDifference(step=step, part=part, found=one, expected=other)
    return None


def _part_beyond(one: StepRecord, other: StepRecord, tolerance: float) -> Part | None:
    numbers: tuple[tuple[Part, float, float], ...] = (
        ("learning rate", one.learning_rate, other.learning_rate),
        ("loss", one.loss, other.loss),
        ("gradients", one.gradient_norm, other.gradient_norm),
    )
    beyond = (part for part, a, b in numbers if not _near(a, b, tolerance))
    return next(beyond, None)


def tolerant_level(
    expected: dict[int, StepRecord], found: dict[int, StepRecord], tolerance: float
) -> Level:
    """How far steps agreed where bits may differ.

    `step`: every learning rate, loss and gradient norm lies within the relative
    tolerance; `forward`: so does the first loss; `data`: the batches have equal
    bits.
    """
    if first_beyond(expected, found, tolerance) is None:
        return "step"
    steps = sorted(expected.keys() & found.keys())
    if _near(expected[steps[0]].loss, found[steps[0]].loss, tolerance):
        return "forward"
    return "data" if all(expected[s].batch == found[s].batch for s in steps) else "none"


def _near(one: float, other: float, tolerance: float) -> bool:
    return math.isclose(one, other, rel_tol=tolerance) or (math.isnan(one) and math.isnan(other))


Drawn = TypeVar("Drawn")


def drawn_segments(
    journal_digest: str, nonce: str, count: int, segments: Sequence[Drawn]
) -> list[Drawn]:
    """The segments that a nonce chooses, in the run's order.

    Each segment's lot is the sha256 of journal digest, nonce and number; the
    `count` smallest are drawn. Nobody who wrote the journal before the nonce
    was known could choose them.
    """

    def lot(number: int) -> str:
        return hashlib.sha256(f"{journal_digest}:{nonce}:{number}".encode()).hexdigest()

    chosen = sorted(range(len(segments)), key=lot)[:count]
    return [segments[number] for number in sorted(chosen)]


def audit_chances(segments: Sequence[tuple[int, int]], drawn: int) -> tuple[DetectionChance, ...]:
    """Probability that the drawn segments detect 1 % and 10 % of altered steps."""
    lengths = [end - first for first, end in segments]
    chances = []
    for share in AUDITED_SHARES:
        altered = fewest_segments(lengths, math.ceil(share * sum(lengths)))
        chance = chance_of_catching(len(segments), drawn, altered)
        chances.append(
            DetectionChance(altered_share=share, altered_segments=altered, chance=chance)
        )
    return tuple(chances)


def lowest(levels: Iterable[Level]) -> Level:
    """The lowest of several levels."""
    order: tuple[Level, ...] = ("none", "data", "forward", "step", "whole_run")
    return order[min(order.index(level) for level in levels)]
