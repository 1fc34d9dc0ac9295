"""Chief and workers over real loopback connections, without TensorFlow."""

import queue
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.distributed import channel as worker_channel
from harness.distributed.channel import Channel
from harness.distributed.cluster import Cluster
from harness.distributed.coordination import ChiefCrew, FollowerCrew
from harness.distributed.launcher import free_addresses
from harness.distributed.peers import Crew, PeerFailedError
from harness.distributed.reception import signature
from harness.distributed.signals import StopRequest
from harness.errors import HarnessError, MachineError, PreemptedError, UsageError

IDENTITY = {"code": "c1", "recipe digest": "r1"}
PLAN = {"intra_op_threads": 1}
WAIT_S = 20.0


@dataclass
class Side:
    """One worker of a job under test: what it says, records and ends with."""

    crew: Crew
    stop: StopRequest
    said: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    died: threading.Event = field(default_factory=threading.Event)
    error: HarnessError | None = None
    result: Any = None


def sides(workers: int) -> list[Side]:
    addresses = free_addresses(workers)
    made = []
    for worker in range(workers):
        stop = StopRequest()
        side = Side(None, stop)  # type: ignore[arg-type]

        def die(code: int, side: Side = side) -> None:
            side.codes.append(code)
            side.died.set()

        kind = FollowerCrew if worker else ChiefCrew
        side.crew = kind(Cluster(addresses, worker), stop, side.said.append, die)
        side.crew.on_loss(side.recorded.append)
        made.append(side)
    return made


def assemble(side: Side, identity: Mapping[str, str]) -> None:
    if isinstance(side.crew, ChiefCrew):
        side.crew.assemble(PLAN, identity)
        return
    assert isinstance(side.crew, FollowerCrew)
    plan = side.crew.assemble()
    assert plan["intra_op_threads"] == 1
    side.crew.agree(identity)


def each(made: list[Side], act: Callable[[Side], Any]) -> None:
    """Do something on all workers at once, as their main threads would."""

    def run(side: Side) -> None:
        try:
            side.result = act(side)
        except HarnessError as error:
            side.error = error

    threads = [threading.Thread(target=run, args=(side,), daemon=True) for side in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


@pytest.fixture
def three() -> Any:
    made = sides(3)
    each(made, lambda side: assemble(side, IDENTITY))
    assert [side.error for side in made] == [None] * 3
    yield made
    for side in reversed(made):
        side.crew.close(0, "")  # type: ignore[attr-defined]


def test_values_of_the_chief_reach_all(three: list[Side]) -> None:
    each(three, lambda s: s.crew.share("start", [7, 9] if s.crew.chief else None))  # type: ignore[attr-defined]
    assert [side.result for side in three] == [[7, 9]] * 3


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_signal_at_any_worker_stops_all_after_the_same_step(
    three: list[Side], asked: int
) -> None:
    barrier = threading.Barrier(3)

    def train(side: Side) -> int:
        for done in range(1, 500):
            barrier.wait(WAIT_S)
            if side is three[asked] and done == 20:
                side.stop.signal_name = "SIGTERM"
            if side.crew.stops(done):
                return done
        return 500

    each(three, train)
    ends = {side.result for side in three}
    assert len(ends) == 1
    assert 20 <= ends.pop() < 500
    assert {side.crew.stopped_by() for side in three} == {f"SIGTERM at worker {asked}"}


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_worker_ends_all_others_with_75(three: list[Side], lost: int) -> None:
    for channel in three[lost].crew._channels.values():
        channel._closed.set()
        channel._socket.shutdown(socket.SHUT_RDWR)  # as the system does for a killed process
    for number, side in enumerate(three):
        if number != lost:
            assert side.died.wait(WAIT_S)
            assert side.codes == [75]
            assert f"worker {lost} at" in side.said[-1]
            assert "give the same command again" in side.said[-1]
            assert len(side.recorded) == 1


@pytest.mark.parametrize(
    ("started", "limit"), [(False, "START_SILENCE_S"), (True, "SILENCE_S")], ids=str
)
def test_a_silent_worker_is_lost_early_only_once_devices_are_open(
    monkeypatch: pytest.MonkeyPatch, started: bool, limit: str
) -> None:
    limits = {"START_SILENCE_S": float("inf"), "SILENCE_S": float("inf"), limit: 0.5}
    for name, seconds in {**limits, "LISTEN_S": 0.1, "BEAT_S": 30.0}.items():
        monkeypatch.setattr(worker_channel, name, seconds)
    made = sides(2)
    each(made, lambda side: assemble(side, IDENTITY))
    if started:
        made[0].crew.started()
    assert made[0].died.wait(WAIT_S)
    assert "silent for 0.5 s" in made[0].said[-1]
    for side in made:
        side.crew.close(0, "")  # type: ignore[attr-defined]


def test_fingerprints_of_all_workers_are_added_by_the_chief(three: list[Side]) -> None:
    """Modulo 2^64, window by window, however far ahead another worker is."""
    most = (1 << 64) - 1
    windows = {0: ([most, 5], [1]), 1: ([3, 0], [2]), 2: ([most, 7], [4])}

    def joined(side: Side) -> list[list[int]]:
        return [side.crew.join(marks) for marks in windows[three.index(side)]]

    each(three[1:], joined)
    each(three[:1], joined)
    assert three[0].result == [[1, 12], [7]]
    assert three[2].result == [[most, 7], [4]]


def test_a_worker_that_fails_is_not_waited_for_at_a_windows_edge(three: list[Side]) -> None:
    each(three[1:2], lambda side: side.crew.join([1]))
    three[2].crew.close(2, "an image vanished")  # type: ignore[attr-defined]
    each(three[:1], lambda side: side.crew.join([1]))
    assert isinstance(three[0].error, PeerFailedError)
    assert "worker 2 ended with exit code 2: an image vanished" in str(three[0].error)


class Scripted(socket.socket):
    """A socket that gives what a script says; None is a wait in which nothing came."""

    def __init__(self, script: list[bytes | None]) -> None:
        super().__init__()
        self.script = script

    def recv(self, *_arguments: int) -> bytes:
        data = self.script.pop(0)
        if data is None:
            raise TimeoutError
        return data

    def sendall(self, *_arguments: Any) -> None:
        """Nobody hears the signs of life."""


def test_silence_is_counted_in_waits_between_signs_of_life() -> None:
    most = int(worker_channel.SILENCE_S / worker_channel.LISTEN_S)
    almost: list[bytes | None] = [None] * (most - 1)
    beat, value = b'{"kind": "beat"}\n', b'{"kind": "value"}\n'
    script = [*almost, beat, *almost, value, *almost, None]
    channel = Channel(Scripted(script))
    heard: list[Any] = []
    ended: queue.Queue[str] = queue.Queue()
    channel.started()
    channel.serve(heard.append, ended.put)
    assert ended.get(timeout=WAIT_S) == f"it was silent for {worker_channel.SILENCE_S:g} s"
    assert (script, heard) == ([], [{"kind": "value"}])
    channel.close()


@pytest.mark.parametrize("key", IDENTITY)
def test_a_worker_that_differs_is_refused_by_all(key: str) -> None:
    made = sides(3)
    each(
        made,
        lambda s: assemble(s, {**IDENTITY, key: "other"} if s is made[2] else IDENTITY),
    )
    for side in made:
        assert isinstance(side.error, UsageError)
        assert f"worker 2 has another {key}: other" in str(side.error)
        assert side.error.exit_code == 2
        side.crew.close(2, "")  # type: ignore[attr-defined]


def test_an_error_of_one_worker_is_told_by_the_others(three: list[Side]) -> None:
    three[1].crew.close(2, "the data set is missing")  # type: ignore[attr-defined]
    each(three[:1], lambda side: side.crew.meet("same data"))  # type: ignore[attr-defined]
    assert isinstance(three[0].error, PeerFailedError)
    assert three[0].error.exit_code == 2
    assert "worker 1 ended with exit code 2: the data set is missing" in str(three[0].error)


@pytest.mark.parametrize("worker", [0, 1])
def test_a_port_in_use_is_named(worker: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        free = free_addresses(1)[0]
        addresses = (free, taken) if worker else (taken, free)
        kind = FollowerCrew if worker else ChiefCrew
        crew = kind(Cluster(addresses, worker), StopRequest(), lambda _text: None)
        with pytest.raises(MachineError, match=f"cannot listen at {taken}"):
            crew.assemble() if worker else crew.assemble(PLAN, IDENTITY)  # type: ignore[call-arg]


@pytest.mark.parametrize("asked", [0, 1])
def test_a_signal_at_a_worker_that_waits_for_the_others_ends_it(asked: int) -> None:
    made = sides(3)
    waiting = threading.Thread(target=each, args=([made[asked]], lambda s: assemble(s, IDENTITY)))
    waiting.start()
    made[asked].stop.signal_name = "SIGTERM"
    waiting.join(WAIT_S)
    assert not waiting.is_alive()
    error = made[asked].error
    assert isinstance(error, PreemptedError)
    assert f"SIGTERM at worker {asked}" in str(error)
    assert error.exit_code == 75


def test_a_signal_at_the_chief_ends_a_worker_that_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sides(3)
    chief, follower = made[0], made[1]

    def come_and_go() -> None:
        assert isinstance(chief.crew, ChiefCrew)
        try:
            chief.crew.assemble(PLAN, IDENTITY)
        except HarnessError as error:
            chief.crew.close(error.exit_code, error.found)

    hello = follower.crew._received

    def told(*args: Any) -> Any:
        chief.stop.signal_name = "SIGTERM"  # the connection stands
        return hello(*args)

    monkeypatch.setattr(follower.crew, "_received", told)
    waiting = threading.Thread(target=come_and_go)
    waiting.start()
    each([follower], lambda side: assemble(side, IDENTITY))
    waiting.join(WAIT_S)
    assert isinstance(follower.error, PreemptedError)
    assert "worker 0 ended before the first step" in str(follower.error)
    follower.crew.close(75, "")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "hello", "worker": "me"},
        {"kind": "hello", "worker": 1},
        {"kind": "hello", "worker": 1, "signature": "0" * 64},
        {"kind": "hello", "worker": 1, "signature": signature(b"another job", "nonce", 1)},
        {"kind": "hello", "worker": 1, "signature": "\u00e4"},
        None,
    ],
    ids=["no number", "unsigned", "wrong", "of another job", "no text", "silent"],
)
def test_a_stranger_at_the_port_is_sent_away_and_holds_nobody_up(
    answer: dict[str, Any] | None,
) -> None:
    made = sides(2)
    host, port = made[0].crew.cluster.host_and_port(0)
    chief = threading.Thread(target=assemble, args=(made[0], IDENTITY), daemon=True)
    chief.start()
    stranger = worker_channel.connect((host, port), deadline_s=float("inf"))
    assert (stranger.receive(WAIT_S) or {})["kind"] == "challenge"
    if answer is not None:
        stranger.send(answer)
        assert (stranger.receive(WAIT_S) or {})["kind"] == "refused"
    assemble(made[1], IDENTITY)
    chief.join(WAIT_S)
    assert not chief.is_alive()
    stranger.close()
    for side in reversed(made):
        side.crew.close(0, "")  # type: ignore[attr-defined]


def test_a_worker_of_another_job_is_told_so() -> None:
    made = sides(2)
    chief = threading.Thread(target=each, args=([made[0]], lambda s: assemble(s, IDENTITY)))
    chief.start()
    made[1].crew._token = b"another"
    each([made[1]], lambda side: assemble(side, IDENTITY))
    assert "belongs to another job" in str(made[1].error)
    made[0].stop.signal_name = "SIGTERM"
    chief.join(WAIT_S)
    assert not chief.is_alive()
    made[1].crew.close(2, "")  # type: ignore[attr-defined]


def test_the_chief_is_reached_where_its_name_means_another_address() -> None:
    """As with Debian's 127.0.1.1: the name is that of one loopback address, the way another."""
    port = int(free_addresses(1)[0].rpartition(":")[2])
    own = Cluster((f"localhost:{port}", free_addresses(1)[0]), 0)
    seen = Cluster((f"127.0.1.1:{port}", own.addresses[1]), 1)
    made = sides(2)
    made[0].crew = ChiefCrew(own, made[0].stop, made[0].said.append)
    made[1].crew = FollowerCrew(seen, made[1].stop, made[1].said.append)
    made[1].crew._token = made[0].crew._token
    each(made, lambda side: assemble(side, IDENTITY))
    assert [side.error for side in made] == [None, None]
    for side in reversed(made):
        side.crew.close(0, "")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.0.1.1", True), ("::1", True), ("localhost", False),
     ("10.0.0.5", False), ("gpu9", False)],
)  # fmt: skip
def test_only_a_loopback_address_itself_keeps_others_out(host: str, loopback: bool) -> None:
    assert worker_channel.is_loopback(host) == loopback
