"""From what the loop measures to events in the journal and, beside it, in the tracker."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.data.dataset import Leak
from harness.errors import DifferenceFoundError
from harness.numerics.fingerprint import arrays_fingerprint
from harness.record.journal import JournalWriter
from harness.record.schema import (
    AnyEvent,
    CheckpointWritten,
    Interrupted,
    Replayed,
    RunFinished,
    Steps,
    Warned,
)
from harness.runner.roles import Nothing
from harness.system.secrets import redacted_deep
from harness.training.checkpoint import Written
from harness.training.state import TrainState, to_arrays

Reason = Literal["signal", "steps_limit", "gate", "error", "worker_lost"]

FREE_TEXT = ("command", "deviations", "detail", "text", "skipped", "environment")
"""Fields of events that hold words of a user, of the system or of a library."""


def without_secrets(event: AnyEvent) -> AnyEvent:
    """The event with every password and token in its free texts hidden."""
    free = {name: getattr(event, name) for name in FREE_TEXT if name in type(event).model_fields}
    return event.model_copy(update={name: redacted_deep(value) for name, value in free.items()})


@dataclass(frozen=True)
class Recorder:
    """Appends events to the journal and publishes them to the mirror.

    Attributes:
        writer: The journal.
        publish: The mirror's; never blocks and never raises.
        now: Time of day, seconds since 1970.
    """

    writer: JournalWriter | Nothing
    publish: Callable[[AnyEvent], None]
    now: Callable[[], float] = time.time

    def record(self, event: AnyEvent) -> None:
        """Append and publish one event, without secrets in its free texts."""
        event = without_secrets(event)
        self.writer.append(event)
        self.publish(event)

    def warning(self, step: int, topic: str, text: str) -> None:
        """Record something that a reader of the result should know."""
        self.record(Warned(time_s=self.now(), step=step, topic=topic, text=text))

    def leakage(self, found: Leak | None, say: Callable[[str], None]) -> None:
        """Record and say that validation images are training images too, where some are."""
        if found is not None:
            self.warning(0, "leakage", found.text)
            say(f"warning: {found.text}")

    def replayed(self, window: Steps, recorded: dict[int, str]) -> None:
        """Record steps that were computed again.

        Args:
            window: The steps.
            recorded: Fingerprints that they must have; see `comparable_steps`.

        Raises:
            DifferenceFoundError: a fingerprint differs from the recorded one.
        """
        replayed = Replayed(time_s=self.now(), step=window.step, fingerprint=window.fingerprint)
        self.record(replayed)
        for step, found in zip(window.step, window.fingerprint, strict=True):
            if recorded.get(step, found) != found:
                raise DifferenceFoundError(
                    f"resume is not exact: step {step} has fingerprint {found}",
                    where=str(self.writer.path),
                    expected=f"{recorded[step]}, as recorded before the interruption",
                    remedy="run `harness certify` on this folder; memory or disk may be faulty",
                )

    def checkpoint(self, written: Written, stall_s: float) -> None:
        """Record a checkpoint."""
        self.record(
            CheckpointWritten(
                time_s=self.now(),
                step=written.step,
                file=f"checkpoints/{written.folder.name}",
                digest=written.digest,
                bytes=written.bytes,
                stall_s=stall_s,
                tensor_fingerprints=written.tensor_fingerprints,
            )
        )

    def interrupted(self, step: int, reason: Reason, detail: str) -> None:
        """Record that the process stops before the last step."""
        self.record(Interrupted(time_s=self.now(), step=step, reason=reason, detail=detail))

    def finished(
        self,
        status: Literal["completed", "diverged"],
        step: int,
        state: TrainState,
        detail: str = "",
    ) -> RunFinished:
        """Record the end of the run with its weights' fingerprint; returns the event."""
        weights = {n: a for n, a in to_arrays(state).items() if n.startswith("weights/")}
        event = RunFinished(
            time_s=self.now(),
            step=step,
            status=status,
            detail=detail,
            weights_fingerprint=arrays_fingerprint(weights),
        )
        self.record(event)
        return event
