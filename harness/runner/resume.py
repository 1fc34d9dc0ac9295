"""What a resume passes over, and which recorded steps it must reproduce bit for bit."""

from collections.abc import Iterator

from harness.errors import CheckpointError, HarnessError, RecordError
from harness.record.journal import Journal
from harness.record.run_folder import RunFolder
from harness.record.schema import Resumed, Steps


def damage(
    folder: RunFolder, journal: Journal, passed_over: tuple[str, ...], first: int
) -> Iterator[HarnessError]:
    """What is told and does not end the run.

    Args:
        folder: The run's.
        journal: As it was before anything was appended.
        passed_over: Newer checkpoints, each with the reason.
        first: Step that the run goes on from.
    """
    if journal.torn_bytes:
        yield RecordError(
            f"the journal's last line was torn; its {journal.torn_bytes} bytes were dropped",
            where=str(folder.journal),
            expected="whole lines; a process that is killed while it writes can leave such an end",
            remedy="nothing: what the line recorded is done again",
        )
    if passed_over:
        yield CheckpointError(
            f"{len(passed_over)} of the newest checkpoints could not be gone on from: "
            + "; ".join(passed_over),
            where=str(folder.checkpoints),
            expected="whole checkpoints that are not ahead of the journal",
            remedy=f"nothing: the run goes on from step {first} and computes the steps after it "
            "again; where it happens often, look at the disk",
        )


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
