"""The workers of one job: they agree before the first step, stop together and never hang.

The chief (worker 0) alone writes: journal, checkpoints, predictions, tracker.
It knows each worker by a connection of its own beside TensorFlow's; what
TensorFlow does when a worker dies differs by version and takes minutes.
"""

import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from harness.distributed.channel import SILENCE_S, Channel, Message
from harness.distributed.cluster import Cluster, job_token
from harness.distributed.job import PREEMPTED, Say
from harness.distributed.preemption_sync import StepGate
from harness.distributed.signals import StopRequest
from harness.errors import HarnessError, PreemptedError, UsageError
from harness.numerics.tensorflow_import import show_stderr

LOOK_S = 0.5
"""Between two looks whether a signal came while workers wait for each other at the start."""
GRACE_S = 15.0
"""How long a worker may take to end by itself after another has failed."""
ENDS_OF_ALL = (0, 4)
"""Exit codes at which all workers arrive by themselves: done, diverged."""
Die = Callable[[int], None]


class PeerFailedError(HarnessError):
    """Another worker of the job ended with an error."""


def end_process(code: int) -> None:
    """End at once: the training's thread may be held in a reduction that never ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Crew(ABC):
    """What chief and followers share. See `Job`.

    Args:
        cluster: Addresses and this worker's number.
        stop: Signals of this process.
        say: Messages for a person.
        die: Ends the process; another one in tests.
    """

    chief = False

    def __init__(
        self, cluster: Cluster, stop: StopRequest, say: Say, die: Die = end_process
    ) -> None:
        self.cluster = cluster
        self._token = job_token(cluster, os.environ)
        self._stop = stop
        self._say = say
        self._die = die
        self._gate = StepGate()
        self._changed = threading.Condition()
        self._values: dict[str, Any] = {}
        self._failure: tuple[int, int, str] | None = None
        self._left: set[int] = set()
        self._stop_text: str | None = None
        self._record_loss: Callable[[str], None] = lambda _text: None
        self._channels: dict[int, Channel] = {}
        self._leaving = False

    def stops(self, done: int) -> bool:
        """Whether all workers stop after `done` steps; a signal here reaches all."""
        self.asked_by()
        return self._gate.stops(done)

    def asked_by(self) -> str | None:
        """Which signal came to which worker; one that came here is passed on to all."""
        if self._stop.requested() and self._stop_text is None:
            self._ask_for_stop(f"{self._stop.signal_name} at worker {self.cluster.worker}")
        return self._stop_text

    def stopped_by(self) -> str | None:
        """The same once the common end is known."""
        return self._stop_text if self._gate.stop_at is not None else None

    def started(self) -> None:
        """All workers have opened their devices: silence is a loss from now on."""
        for channel in self._channels.values():
            channel.started()

    def on_loss(self, record: Callable[[str], None]) -> None:
        """Call `record` with the reason before a lost worker ends this process."""
        self._record_loss = record

    def explain(self) -> None:
        """Give the watching thread time to end the process for a lost worker."""
        with self._changed:
            # TensorFlow may notice a worker that hangs long before its silence is a loss.
            self._changed.wait_for(lambda: self._failure is not None, SILENCE_S + GRACE_S)
        self._raise_failure()

    def _hear_stop(self) -> None:
        """Raise `PreemptedError` when a signal came while the workers assemble."""
        if self._stop.requested():
            raise PreemptedError(
                f"stopped before the first step: {self._stop.signal_name} at worker "
                f"{self.cluster.worker}",
                where=self.cluster.addresses[self.cluster.worker],
                expected=f"{self.cluster.workers} workers",
                remedy="give the same command again",
            )

    def _received(self, channel: Channel, deadline: float, worker: int) -> Message:
        """The next message of the assembly.

        Raises:
            UsageError: a refusal, or a lost worker.
            PreemptedError: a signal came here, or to that worker.
        """
        message: Message | None = None
        while message is None and time.monotonic() < deadline:
            self._hear_stop()
            try:
                message = channel.receive(LOOK_S)
            except TimeoutError:
                continue
            break
        if message is None:
            raise UsageError(
                f"worker {worker} ended before the first step",
                expected="all workers to agree on code, recipe and data",
                remedy="see that worker's own message",
            )
        if message["kind"] == "leaving":
            kind = PreemptedError if message["code"] == PREEMPTED else UsageError
            raise kind(f"worker {worker} ended before the first step: {message['text']}")
        if message["kind"] == "refused":
            raise UsageError(str(message["text"]))
        return message

    @abstractmethod
    def _ask_for_stop(self, text: str) -> None:
        """Tell the others that a stop was asked for here."""

    def _wait_value(self, name: str) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: name in self._values or self._failure is not None)
            if name in self._values:
                return self._values.pop(name)
        self._raise_failure()
        return None

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        worker, code, text = self._failure
        error = PeerFailedError(
            f"worker {worker} ended with exit code {code}: {text}",
            where=self.cluster.addresses[worker],
            expected="all workers to reach the end",
            remedy="see that worker's own message",
        )
        error.exit_code = code  # type: ignore[misc]  # this one error speaks for the other worker
        raise error

    def _peer_left(self, worker: int, message: Message) -> None:
        code, text = int(message["code"]), str(message["text"])
        with self._changed:
            self._left.add(worker)
            together = code == PREEMPTED and self.chief and self._gate.stop_at is not None
            if code not in ENDS_OF_ALL and not together:
                self._failure = (worker, code, text)
                timer = threading.Timer(GRACE_S, self._give_up, (worker, text))
                timer.daemon = True
                timer.start()
            self._changed.notify_all()

    def _give_up(self, worker: int, reason: str) -> None:
        """End this process because a worker is gone."""
        with self._changed:
            if self._leaving:
                return
            self._leaving = True
        text = f"worker {worker} at {self.cluster.addresses[worker]} was lost: {reason}"
        self._tell_loss(worker, text)
        try:
            self._record_loss(text)
        except (HarnessError, OSError) as error:
            self._say(f"the loss could not be recorded: {error}")
        show_stderr()
        self._say(
            f"harness: {text}\n"
            f"  where:      worker {self.cluster.worker} of {self.cluster.workers}\n"
            "  expected:   every worker to reach the end\n"
            "  what to do: give the same command again; it resumes from the last checkpoint"
        )
        self._die(PREEMPTED)

    @abstractmethod
    def join(self, fingerprints: list[int]) -> list[int]:
        """Add fingerprints of the same steps over all workers, modulo 2^64.

        Every worker calls it for the same windows in the same order. The chief gets the sums;
        another worker, which records nothing, gets its own back and does not wait.

        Raises:
            PeerFailedError: a worker ended instead.
        """

    @abstractmethod
    def _tell_loss(self, worker: int, text: str) -> None:
        """Tell the others that a worker is gone."""
