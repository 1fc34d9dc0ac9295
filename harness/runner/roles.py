"""What a process of a job writes: the chief all of it, a follower nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from harness.distributed.job import Job
from harness.record.journal import JournalWriter
from harness.record.schema import AnyEvent
from harness.training.background import CheckpointWriter, Snapshot


@dataclass(frozen=True)
class Nothing:
    """Stands for a follower's journal and checkpoints. The chief writes the same."""

    path: Path

    def append(self, event: AnyEvent) -> None:
        """Drop the event."""

    def write(self, step: int, snapshot: Snapshot) -> None:
        """Leave the state on the devices."""

    def sync(self) -> None:
        """Do nothing."""

    poll = wait = sync


@dataclass(frozen=True)
class Role:
    """How a process of a job opens what it writes.

    Attributes:
        journal: Opens the journal at a path.
        checkpoints: Opens the checkpoints; arguments as of `CheckpointWriter`.
        evaluates: Whether it evaluates. A follower meets the chief again in the
            next step's reduction.
    """

    journal: Callable[[Path], AbstractContextManager[JournalWriter | Nothing]]
    checkpoints: Callable[..., AbstractContextManager[CheckpointWriter | Nothing]]
    evaluates: bool


CHIEF = Role(JournalWriter, CheckpointWriter, evaluates=True)
FOLLOWER = Role(
    journal=lambda path: nullcontext(Nothing(path)),
    checkpoints=lambda path, *_, **__: nullcontext(Nothing(path)),
    evaluates=False,
)


def role_of(job: Job) -> Role:
    """The role of this process in its job."""
    return CHIEF if job.chief else FOLLOWER
