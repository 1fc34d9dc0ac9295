"""A run that another process made again: the same seed, compared bit for bit."""

from pathlib import Path

from harness.errors import DifferenceFoundError
from harness.record.journal import journal_in, read_journal

REPEAT = "repeat"
"""Folder beside the studies in which the smoke makes runs again."""


def compare_bits(first: Path, second: Path) -> int:
    """Compare two runs' steps, final weights and evaluations.

    Returns:
        The number of steps compared.

    Raises:
        DifferenceFoundError: something differs; the first step is named.
    """
    a, b = read_journal(first), read_journal(second)
    recorded = a.fingerprints()
    others = b.fingerprints()
    parted = [step for step in recorded if recorded[step] != others.get(step)]
    hits = [[(e.protocol_digest, e.top1_correct) for e in j.evaluations] for j in (a, b)]
    ends = [j.finished.weights_fingerprint if j.finished else None for j in (a, b)]
    if parted or hits[0] != hits[1] or ends[0] != ends[1] or not recorded:
        what = f"step {parted[0]}" if parted else "the evaluation"
        raise DifferenceFoundError(
            f"two runs of one seed differ, first at {what}",
            where=f"{first} and {second}",
            expected="equal bits",
            remedy=f"run `harness diff {first} {second}`",
        )
    return len(recorded)


def repetition(folder: Path) -> str:
    """What the repetition beside a run shows, compared now; nothing where there is none."""
    study = folder.parent
    other = study.parent / REPEAT / study.name / folder.name
    if not journal_in(other):
        return ""
    try:
        steps = compare_bits(folder, other)
    except DifferenceFoundError as error:
        return f"made again in another process, with a difference: {error.found}"
    return f"{steps:,} step{'s' * (steps != 1)} repeated in another process, bit for bit equal"
