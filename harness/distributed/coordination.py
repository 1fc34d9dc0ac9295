"""Chief and followers: how the workers of one job assemble, and what they tell each other."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from harness.distributed.channel import Message, check_port, connect
from harness.distributed.peers import LOOK_S, Crew
from harness.distributed.reception import Reception, hello
from harness.errors import HarnessError, UsageError

ASSEMBLY_S = 600.0
"""How long workers wait for each other at the start; a cluster may start them minutes apart."""


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
        reception = Reception(self.cluster.host_and_port(0), self._token)
        try:
            self._admit_all(reception, deadline)
        except HarnessError as error:
            reception.close({"kind": "leaving", "code": error.exit_code, "text": error.found})
            raise
        reception.close()
        self._broadcast({"kind": "plan", **plan})
        try:
            self._compare(identity, deadline)
        except UsageError as error:
            self._broadcast({"kind": "refused", "text": str(error)})
            self.close(error.exit_code, error.found)
            raise
        self._replies: dict[int, int] = {}
        self._arrived: dict[str, set[int]] = {}
        self._fingerprints: dict[int, list[list[int]]] = {worker: [] for worker in self._channels}
        self._broadcast({"kind": "agreed"})
        for worker, channel in self._channels.items():
            channel.serve(partial(self._on_message, worker), partial(self._on_end, worker))

    def _admit_all(self, reception: Reception, deadline: float) -> None:
        channels = self._channels
        while len(channels) < self.cluster.workers - 1:
            self._hear_stop()
            came = reception.next(LOOK_S)
            if came is not None:
                channel, worker = came
                if worker in channels or not 0 < worker < self.cluster.workers:
                    channel.send({"kind": "refused", "text": f"a second worker is {worker}"})
                    channel.close()
                else:
                    channels[worker] = channel
            elif time.monotonic() > deadline:
                missing = sorted(set(range(1, self.cluster.workers)) - set(channels))
                raise UsageError(
                    f"worker {missing[0]} did not come within {ASSEMBLY_S:g} s",
                    where=self.cluster.addresses[missing[0]],
                    expected=f"{self.cluster.workers} workers",
                    remedy="start all of them with the same TF_CONFIG but for the index",
                )
        self._channels = dict(sorted(channels.items()))

    def _compare(self, identity: Mapping[str, str], deadline: float) -> None:
        for worker, channel in self._channels.items():
            theirs = self._received(channel, deadline, worker).get("identity", {})
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
            case "window":
                with self._changed:
                    self._fingerprints[worker].append(message["fingerprints"])
                    self._changed.notify_all()
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

    def join(self, fingerprints: list[int]) -> list[int]:
        """Wait for those of every worker and add them."""
        with self._changed:
            self._changed.wait_for(
                lambda: all(self._fingerprints.values()) or self._failure is not None
            )
            self._raise_failure()
            theirs = [windows.pop(0) for windows in self._fingerprints.values()]
        return [sum(marks) % (1 << 64) for marks in zip(fingerprints, *theirs, strict=True)]

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
        self._channel = connect(
            self.cluster.host_and_port(0), self._deadline, between=self._hear_stop
        )
        self._channels = {0: self._channel}
        challenge = self._received(self._channel, self._deadline, 0)
        hello(self._channel, challenge, self._token, self.cluster.worker)
        return self._received(self._channel, self._deadline, 0)

    def agree(self, identity: Mapping[str, str]) -> None:
        """Hand in this worker's identity and wait for the chief's answer.

        Raises:
            UsageError: some worker differs.
        """
        self._channel.send({"kind": "identity", "identity": dict(identity)})
        self._received(self._channel, self._deadline, 0)
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

    def join(self, fingerprints: list[int]) -> list[int]:
        """Hand them to the chief."""
        self._channel.send({"kind": "window", "fingerprints": fingerprints})
        return fingerprints

    def _tell_loss(self, worker: int, text: str) -> None:
        """No-op: the chief informs the others."""

    def close(self, code: int, text: str) -> None:
        """Say goodbye to the chief and close."""
        self._leaving = True
        for channel in self._channels.values():
            channel.send({"kind": "leaving", "code": code, "text": text})
            channel.close()
