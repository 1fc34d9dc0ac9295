"""A certificate in words."""

from harness.record.certificate import Audit, Level, Segment

LEVELS: dict[Level, str] = {
    "none": "not even the batches agree",
    "data": "the batches agree, the losses do not",
    "forward": "batches and losses agree, gradients or weights do not",
    "step": "every replayed step agrees",
    "whole_run": "every step, the final weights and each image's prediction agree",
}


def statement_of(
    segments: tuple[Segment, ...],
    level: Level,
    *,
    agrees: bool,
    tolerance: float | None,
    audit: Audit | None,
    changes: tuple[int, ...] = (),
    unreachable_steps: int = 0,
    evaluations: int = 0,
    differing_evaluations: tuple[int, ...] = (),
) -> str:
    """What was replayed, how far it agrees, the first difference, and what an audit proves.

    Args:
        segments: As replayed.
        level: The lowest of theirs.
        agrees: Whether nothing differs.
        tolerance: Relative; None where compared to the bit.
        audit: How the segments were drawn, if they were.
        changes: Steps from which the run was recorded under other numerics.
        unreachable_steps: Steps that could not be replayed.
        evaluations: How many within the replayed steps were repeated.
        differing_evaluations: Steps after which one gave other predictions.
    """
    steps = sum(s.end_step - s.first_step for s in segments)
    how = "to the bit" if tolerance is None else f"within a relative tolerance of {tolerance:g}"
    parts = [f"{_count(steps, 'step')} replayed, compared {how}: {LEVELS[level]}."]
    if not agrees:
        parts += [_difference(s, tolerance) for s in segments if not s.agrees]
    if tolerance is not None:
        parts.append(
            "Loss and gradient norm were compared on a machine where bits may differ: this is a "
            "weaker certificate than one from the run's own machine."
        )
    parts += _repeated(evaluations, differing_evaluations)
    parts += _stretches(changes, unreachable_steps)
    if audit is not None:
        parts += _audited(audit, "that can be replayed " if unreachable_steps else "")
    return " ".join(parts)


def _repeated(evaluations: int, differing: tuple[int, ...]) -> list[str]:
    if not evaluations:
        return []
    were = "was" if evaluations == 1 else "were"
    words = f"{_count(evaluations, 'evaluation')} on the way {were} repeated"
    if not differing:
        return [f"{words}: each image's prediction agrees."]
    steps = ", ".join(map(str, differing[:3]))
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    return [
        f"{words}: those after step {steps}{more} gave other predictions than the recorded ones."
    ]


def _stretches(changes: tuple[int, ...], unreachable_steps: int) -> list[str]:
    words = []
    if changes:
        at = " and ".join(map(str, changes))
        words.append(
            f"The run went on under other numerics at step {at}: bits are promised only between "
            "such changes, and each step was replayed under the numerics it was recorded under."
        )
    if unreachable_steps:
        words.append(
            f"{_count(unreachable_steps, 'further step')} could not be replayed: no whole "
            "checkpoint is left of the states that they were computed from."
        )
    return words


def _audited(audit: Audit, which: str) -> list[str]:
    drawn = (
        f"{audit.segments_replayed} of {audit.segments_in_run} segments were drawn by the nonce, "
        "without replacement."
    )
    return [drawn] + [
        f"Had {c.altered_share:.0%} of the steps {which}been altered, in the worst case contiguous "
        f"within {_count(c.altered_segments, 'segment')}, this draw would have caught it with "
        f"chance {c.chance:.1%}."
        for c in audit.chances
    ]


def _difference(segment: Segment, tolerance: float | None) -> str:
    words = []
    if segment.altered_state:
        words.append(
            f"The saved state of step {segment.first_step} is not what the journal recorded: "
            f"{_named(segment.altered_state)}."
        )
    if segment.difference:
        d = segment.difference
        first = "differing step" if tolerance is None else "step beyond the tolerance"
        words.append(
            f"The first {first} is {d.step}, in its {d.part}: {d.found} here, "
            f"{d.expected} in the journal."
        )
    if segment.differing_tensors:
        words.append(f"After step {segment.end_step}: {_named(segment.differing_tensors)}.")
    return " ".join(words)


def _named(tensors: tuple[str, ...], shown: int = 3) -> str:
    more = f" and {len(tensors) - shown} more" if len(tensors) > shown else ""
    return f"{', '.join(tensors[:shown])}{more} differ" + ("s" if len(tensors) == 1 else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
