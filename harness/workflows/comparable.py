"""Which recorded steps a resumed run must reproduce bit for bit."""

from harness.record.journal import Journal
from harness.record.schema import Resumed, Steps


def comparable_steps(journal: Journal, numerics_digest: str, first: int) -> dict[int, str]:
    """Fingerprints that steps computed again from `first` on must have.

    They end at the first step that was recorded under other numerics: from
    there on a run that accepted the change may differ.
    """
    recorded: dict[int, str] = {}
    digest = journal.started.numerics_digest
    for event in journal.events:
        if isinstance(event, Resumed):
            digest = event.numerics_digest
        elif isinstance(event, Steps) and digest == numerics_digest:
            recorded.update(zip(event.step, event.fingerprint, strict=True))
    last = first
    while last in recorded:
        last += 1
    return {step: recorded[step] for step in range(first, last)}
