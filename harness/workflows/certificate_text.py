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
    exact: bool,
    audit: Audit | None,
) -> str:
    """What was replayed, how far it agrees, the first difference, and what an audit proves."""
    steps = sum(s.end_step - s.first_step for s in segments)
    how = "to the bit" if exact else "within a tolerance, on a machine where bits may differ"
    parts = [f"{steps} steps replayed, compared {how}: {LEVELS[level]}."]
    if not agrees:
        parts += [_difference(s) for s in segments if not s.agrees]
    if not exact:
        parts.append("This is a weaker certificate than one from the run's own machine.")
    if audit is not None:
        parts.append(
            f"{audit.segments_replayed} of {audit.segments_in_run} segments were drawn by the "
            "nonce, without replacement."
        )
        parts += [
            f"Had {c.altered_share:.0%} of the steps been altered, in the worst case contiguous "
            f"within {c.altered_segments} segments, this draw would have caught it with "
            f"chance {c.chance:.1%}."
            for c in audit.chances
        ]
    return " ".join(parts)


def _difference(segment: Segment) -> str:
    words = []
    if segment.altered_state:
        words.append(
            f"The saved state of step {segment.first_step} is not what the journal recorded: "
            f"{_named(segment.altered_state)}."
        )
    if segment.difference:
        d = segment.difference
        words.append(
            f"The first differing step is {d.step}, in its {d.part}: {d.found} here, "
            f"{d.expected} in the journal."
        )
    if segment.differing_tensors:
        words.append(f"After step {segment.end_step}: {_named(segment.differing_tensors)}.")
    return " ".join(words)


def _named(tensors: tuple[str, ...], shown: int = 3) -> str:
    more = f" and {len(tensors) - shown} more" if len(tensors) > shown else ""
    return f"{', '.join(tensors[:shown])}{more} differ" + ("s" if len(tensors) == 1 else "")
