"""A signal as a request that the training loop asks for after each step, or as an end at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from harness.system.signal_thread import SIGNAL_STATE
from harness.system.signals import Stopped, answering, handled, heeded, raise_stopped

SAVING = (
    "ending after the step or batch that is being computed, with a checkpoint; a second Ctrl-C "
    "ends at once"
)


@dataclass
class StopRequest:
    """Whether and by which signal a stop was requested.

    Attributes:
        signal_name: Of the first signal, or None.
        patient: Whether a signal only asks, because there is something to save; without
            it, it raises `Stopped`.
    """

    signal_name: str | None = None
    patient: bool = True

    def requested(self) -> bool:
        """Whether to stop at the next step."""
        return self.signal_name is not None

    def listen(self) -> None:
        """Take the signals; again, where a library has taken them meanwhile."""
        for number in heeded():
            signal.signal(number, answering(self.handle))

    @contextmanager
    def saving_first(self) -> Iterator[None]:
        """Let signals only ask in the block.

        Raises:
            Stopped: one came in the last moment before.
        """
        if self.signal_name is not None:
            raise Stopped(self.signal_name)
        before, self.patient = self.patient, True
        try:
            with SIGNAL_STATE.saving(SAVING):
                yield
        finally:
            self.patient = before

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        again = self.requested() and number == signal.SIGINT
        self.signal_name = self.signal_name or signal.Signals(number).name
        if again or not self.patient:
            raise_stopped(number, _frame)


@contextmanager
def stop_on_signals(*, patient: bool = True) -> Iterator[StopRequest]:
    """Turn the first signal into a request; a second SIGINT interrupts at once.

    Args:
        patient: See `StopRequest`.
    """
    request = StopRequest(patient=patient)
    with handled(request.handle):
        yield request
