"""What a run needs to know of its job; one process alone is the simplest."""

from collections.abc import Callable
from typing import Any, Protocol

from harness.distributed.signals import StopRequest

PREEMPTED = 75
Say = Callable[[str], None]


class Job(Protocol):
    """What a run needs to know of its job; one process alone is the simplest."""

    @property
    def chief(self) -> bool:
        """Whether this process writes."""

    def share(self, name: str, value: Any = None) -> Any:
        """The chief's value, on every worker. JSON-like."""

    @property
    def join(self) -> Callable[[list[int]], list[int]] | None:
        """Adds fingerprints of the same steps over all workers; see `Crew.join`. None alone."""

    def stops(self, done: int) -> bool:
        """Whether all workers stop after `done` steps."""

    def asked_by(self) -> str | None:
        """The signal that asks for a stop, if one came."""

    def stopped_by(self) -> str | None:
        """The same once all workers know where they stop."""

    def on_loss(self, record: Callable[[str], None]) -> None:
        """Have the chief record the loss of a worker before it ends."""

    def explain(self) -> None:
        """After an error of TensorFlow: wait for the loss of a worker that may be its cause."""


class Alone:
    """A job of one process."""

    chief = True
    join = None

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def share(self, name: str, value: Any = None) -> Any:
        """Return the value itself."""
        del name
        return value

    def stops(self, done: int) -> bool:
        """Whether a signal came."""
        del done
        return self._stop.requested()

    def asked_by(self) -> str | None:
        """Name of the signal."""
        return self._stop.signal_name

    def stopped_by(self) -> str | None:
        """Name of the signal."""
        return self._stop.signal_name

    def on_loss(self, record: Callable[[str], None]) -> None:
        """Nothing can be lost."""

    def explain(self) -> None:
        """No-op: no peers."""
