"""The workers of one job: they agree before the first step, stop together and never hang.

The chief (worker 0) alone writes: journal, checkpoints, predictions, tracker.
It knows each worker by a connection of its own beside TensorFlow's; what
TensorFlow does when a worker dies differs by version and takes minutes.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from harness.errors import HarnessError, UsageError
from harness.training.cluster import Cluster
from harness.workflows.step_gate import StepGate
from harness.workflows.stopping import StopRequest
from harness.workflows.worker_channel import Channel, Listener, Message, check_port, connect

ASSEMBLY_S = 600.0
"""How long workers wait for each other at the start; a cluster may start them minutes apart."""
GRACE_S = 15.0
"""How long a worker may take to end by itself after another has failed."""
PREEMPTED = 75
ENDS_OF_ALL = (0, 4)
"""Exit codes at which all workers arrive by themselves: done, diverged."""

Say = Callable[[str], None]
Die = Callable[[int], None]


class Job(Protocol):
    """What a run needs to know of its job; one process alone is the simplest."""

    @property
    def chief(self) -> bool:
        """Whether this process writes."""

    def share(self, name: str, value: Any = None) -> Any:
        """The chief's value, on every worker. JSON-like."""

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
        """There is nobody to blame."""


class PeerFailedError(HarnessError):
    """Another worker of the job ended with an error."""


def end_process(code: int) -> None:
    """End at once: the training's thread may be held in a reduction that never ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Crew:
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
        """Which signal came to which worker; one that came here is told to all."""
        if self._stop.requested() and self._stop_text is None:
            self._ask_for_stop(f"{self._stop.signal_name} at worker {self.cluster.worker}")
        return self._stop_text

    def stopped_by(self) -> str | None:
        """The same once the common end is known."""
        return self._stop_text if self._gate.stop_at is not None else None

    def on_loss(self, record: Callable[[str], None]) -> None:
        """Call `record` with the reason before a lost worker ends this process."""
        self._record_loss = record

    def explain(self) -> None:
        """Give the watching thread time to end the process for a lost worker."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None, GRACE_S + 10)
        self._raise_failure()

    def _ask_for_stop(self, text: str) -> None:
        raise NotImplementedError

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
        self._say(
            f"harness: {text}\n"
            f"  where:      worker {self.cluster.worker} of {self.cluster.workers}\n"
            "  expected:   every worker to reach the end\n"
            "  what to do: give the same command again; it goes on from the last checkpoint"
        )
        self._die(PREEMPTED)

    def _tell_loss(self, worker: int, text: str) -> None:
        raise NotImplementedError


class ChiefCrew(Crew):
    """Worker 0: waits for the others, compares them, and is where all messages meet."""

    chief = True

    def assemble(self, plan: Mapping[str, Any], identity: Mapping[str, str]) -> None:
        """Wait for every worker, hand out `plan`, and compare identities.

        Raises:
            UsageError: a worker differs, or did not come; the worker and the
                key are named.
            MachineError: the port is in use.
        """
        deadline = time.monotonic() + ASSEMBLY_S
        listener = Listener(self.cluster.host_and_port(0))
        try:
            self._channels = self._accept_all(listener, deadline)
        finally:
            listener.close()
        self._broadcast({"kind": "plan", **plan})
        try:
            self._compare(identity, deadline)
        except UsageError as error:
            self._broadcast({"kind": "refused", "text": str(error)})
            self.close(error.exit_code, error.found)
            raise
        self._replies: dict[int, int] = {}
        self._arrived: dict[str, set[int]] = {}
        self._broadcast({"kind": "agreed"})
        for worker, channel in self._channels.items():
            channel.serve(partial(self._on_message, worker), partial(self._on_end, worker))

    def _accept_all(self, listener: Listener, deadline: float) -> dict[int, Channel]:
        channels: dict[int, Channel] = {}
        while len(channels) < self.cluster.workers - 1:
            try:
                channel = listener.accept(deadline)
                hello = channel.receive(5.0) or {}
            except TimeoutError as error:
                missing = sorted(set(range(1, self.cluster.workers)) - set(channels))
                if time.monotonic() < deadline:
                    continue
                raise UsageError(
                    f"worker {missing[0]} did not come within {ASSEMBLY_S:g} s",
                    where=self.cluster.addresses[missing[0]],
                    expected=f"{self.cluster.workers} workers",
                    remedy="start all of them with the same TF_CONFIG but for the index",
                ) from error
            worker = hello.get("worker")
            if not isinstance(worker, int) or worker in channels or worker < 1:
                channel.send({"kind": "refused", "text": f"a second worker says it is {worker}"})
                channel.close()
                continue
            channels[worker] = channel
        return dict(sorted(channels.items()))

    def _compare(self, identity: Mapping[str, str], deadline: float) -> None:
        for worker, channel in self._channels.items():
            theirs = _received(channel, deadline, worker).get("identity", {})
            for key, ours in identity.items():
                if theirs.get(key) != ours:
                    raise UsageError(
                        f"worker {worker} has another {key}: {theirs.get(key)}",
                        where=self.cluster.addresses[worker],
                        expected=f"{ours}, as worker 0 has",
                        remedy="give every worker the same code, command and data",
                    )

    def _broadcast(self, message: Message) -> None:
        for channel in self._channels.values():
            channel.send(message)

    def _on_message(self, worker: int, message: Message) -> None:
        match message["kind"]:
            case "stop":
                self._ask_for_stop(str(message["text"]))
            case "begun":
                self._collect(worker, int(message["steps"]))
            case "arrived":
                with self._changed:
                    self._arrived.setdefault(str(message["name"]), set()).add(worker)
                    self._changed.notify_all()
            case "leaving":
                self._peer_left(worker, message)

    def _on_end(self, worker: int, reason: str) -> None:
        if worker not in self._left:
            self._give_up(worker, reason)

    def _ask_for_stop(self, text: str) -> None:
        with self._changed:
            if self._stop_text is not None:
                return
            self._stop_text = text
        self._broadcast({"kind": "freeze", "text": text})
        self._collect(0, self._gate.freeze())

    def _collect(self, worker: int, begun: int) -> None:
        with self._changed:
            self._replies[worker] = begun
            if len(self._replies) < self.cluster.workers:
                return
            stop_at = max(self._replies.values())
        self._broadcast({"kind": "stop_at", "step": stop_at})
        self._gate.release(stop_at)

    def share(self, name: str, value: Any = None) -> Any:
        """Send a value to all workers."""
        self._raise_failure()
        self._broadcast({"kind": "value", "name": name, "value": value})
        return value

    def meet(self, name: str) -> None:
        """Wait until every worker that is still there has come here."""
        everyone = set(self._channels)
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._arrived.get(name, set()) | self._left >= everyone
                    or self._failure is not None
                )
            )
        self.share(name)

    def _tell_loss(self, worker: int, text: str) -> None:
        self._broadcast({"kind": "lost", "worker": worker, "text": text})

    def close(self, code: int, text: str) -> None:
        """Say goodbye to all and close."""
        self._leaving = True
        self._broadcast({"kind": "leaving", "code": code, "text": text})
        for channel in self._channels.values():
            channel.close()


class FollowerCrew(Crew):
    """Any other worker."""

    def assemble(self) -> Message:
        """Connect to the chief; returns its plan.

        Raises:
            MachineError: this worker's port is in use, or the chief does not answer.
        """
        check_port(self.cluster.host_and_port(self.cluster.worker))
        self._deadline = time.monotonic() + ASSEMBLY_S
        self._channel = connect(self.cluster.host_and_port(0), self._deadline)
        self._channels = {0: self._channel}
        self._channel.send({"kind": "hello", "worker": self.cluster.worker})
        return _received(self._channel, self._deadline, 0)

    def agree(self, identity: Mapping[str, str]) -> None:
        """Hand in this worker's identity and wait for the chief's answer.

        Raises:
            UsageError: some worker differs.
        """
        self._channel.send({"kind": "identity", "identity": dict(identity)})
        _received(self._channel, self._deadline, 0)
        self._channel.serve(self._on_message, self._on_end)

    def _on_message(self, message: Message) -> None:
        match message["kind"]:
            case "value":
                with self._changed:
                    self._values[str(message["name"])] = message["value"]
                    self._changed.notify_all()
            case "freeze":
                self._stop_text = str(message["text"])
                self._channel.send({"kind": "begun", "steps": self._gate.freeze()})
            case "stop_at":
                self._gate.release(int(message["step"]))
            case "lost":
                self._give_up(int(message["worker"]), str(message["text"]))
            case "leaving":
                self._peer_left(0, message)

    def _on_end(self, reason: str) -> None:
        if 0 not in self._left:
            self._give_up(0, reason)

    def _ask_for_stop(self, text: str) -> None:
        self._stop_text = text
        self._channel.send({"kind": "stop", "text": text})

    def share(self, name: str, value: Any = None) -> Any:
        """Wait for the chief's value.

        Raises:
            PeerFailedError: the chief ended instead.
        """
        del value
        return self._wait_value(name)

    def meet(self, name: str) -> None:
        """Wait until every worker has come here."""
        self._channel.send({"kind": "arrived", "name": name})
        self._wait_value(name)

    def _tell_loss(self, worker: int, text: str) -> None:
        """The chief tells the others."""

    def close(self, code: int, text: str) -> None:
        """Say goodbye to the chief and close."""
        self._leaving = True
        for channel in self._channels.values():
            channel.send({"kind": "leaving", "code": code, "text": text})
            channel.close()


def _received(channel: Channel, deadline: float, worker: int) -> Message:
    """The next message of the assembly. Raises `UsageError` for a refusal or a lost worker."""
    try:
        message = channel.receive(max(deadline - time.monotonic(), 0.01))
    except TimeoutError:
        message = None
    if message is not None and message["kind"] == "leaving":
        raise UsageError(f"worker {worker} ended before the first step: {message['text']}")
    if message is None:
        raise UsageError(
            f"worker {worker} ended before the first step",
            expected="all workers to agree on code, recipe and data",
            remedy="see that worker's own message",
        )
    if message["kind"] == "refused":
        raise UsageError(str(message["text"]))
    return message
