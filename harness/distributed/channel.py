"""JSON messages, one a line, between the chief and a worker over one TCP connection."""

import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from harness.errors import MachineError

BEAT_S = 1.0
"""Pause between two signs of life."""
LISTEN_S = 1.0
"""Between two looks whether a sign of life came."""
SILENCE_S = 30.0
"""A worker that was silent for so long is taken for dead."""
START_SILENCE_S = 600.0
"""The same until devices are open: TensorFlow holds the interpreter while it waits for others."""
RETRY_S = 0.1
MAX_MESSAGE_BYTES = 1 << 20

Message = dict[str, Any]
OnMessage = Callable[[Message], None]
OnEnd = Callable[[str], None]


class Channel:
    """One connection; a thread reads, another sends signs of life.

    A peer that dies closes its connection at once, because the system does it;
    one that hangs, or whose machine is gone, is silent. Both end the channel.
    Silence is counted in waits of this process: where it gets no processor
    itself, it blames no worker.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        # A sign of life is a few bytes and must not wait for a full packet.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._started = threading.Event()
        self._buffer = b""
        self._threads: list[threading.Thread] = []

    def send(self, message: Message) -> None:
        """Send one message; a connection that is gone is noticed by the reader."""
        line = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                self._socket.sendall(line)
        except OSError:
            return

    def receive(self, timeout_s: float) -> Message | None:
        """The next message that is no sign of life; None at the end of the connection.

        Raises:
            TimeoutError: nothing at all came for so long.
        """
        while True:
            message = self._next(timeout_s)
            if message is None or message.get("kind") != "beat":
                return message

    def _next(self, timeout_s: float) -> Message | None:
        while b"\n" not in self._buffer:
            try:
                # Another thread may have closed the socket, which is the connection's end.
                self._socket.settimeout(timeout_s)
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                raise
            except OSError:
                return None
            if not data or len(self._buffer) > MAX_MESSAGE_BYTES:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            return None
        return message if isinstance(message, dict) else None

    def serve(self, on_message: OnMessage, on_end: OnEnd) -> None:
        """Read and beat in threads from now on; `on_end` gets the reason, once."""
        for target in (lambda: self._read(on_message, on_end), self._beat):
            thread = threading.Thread(target=target, daemon=True, name="worker-channel")
            thread.start()
            self._threads.append(thread)

    def started(self) -> None:
        """From now on the peer's signs of life come in time."""
        self._started.set()

    def _read(self, on_message: OnMessage, on_end: OnEnd) -> None:
        silent_s = 0.0
        while not self._closed.is_set():
            try:
                message = self._next(LISTEN_S)
            except TimeoutError:
                silent_s += LISTEN_S
                allowed_s = SILENCE_S if self._started.is_set() else START_SILENCE_S
                if silent_s < allowed_s:
                    continue
                reason = f"it was silent for {allowed_s:g} s"
                break
            if message is None:
                reason = "its connection was closed"
                break
            silent_s = 0.0
            if message.get("kind") != "beat":
                on_message(message)
        else:
            return
        if not self._closed.is_set():
            on_end(reason)

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_S):
            self.send({"kind": "beat"})

    def close(self) -> None:
        """Close; the reader does not report it."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(BEAT_S + 1)


@dataclass
class Listener:
    """The chief's listening socket, at the port that the cluster names for it.

    It listens at all addresses of this machine, as TensorFlow does, because the
    cluster's name for it may mean another address here (Debian's 127.0.1.1, address
    translation); a job within one machine listens at its loopback address alone.
    It is closed before TensorFlow listens there; the connections stay.
    """

    address: tuple[str, int]
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Listen. Raises `MachineError` when the port is in use."""
        host, port = self.address
        try:
            # It lets TensorFlow listen at the port while these connections live.
            self._socket = _listening_socket(host if is_loopback(host) else "", port)
        except OSError as error:
            raise port_error(self.address, error) from error

    def accept(self, deadline_s: float, now: Callable[[], float] = time.monotonic) -> Channel:
        """Accept one connection. Raises `TimeoutError` after the deadline."""
        self._socket.settimeout(max(deadline_s - now(), 0.01))
        connection, _ = self._socket.accept()
        return Channel(connection)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def is_loopback(host: str) -> bool:
    """Whether a host is given as a loopback address; a name may mean one here by accident."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening_socket(host: str, port: int) -> socket.socket:
    """Listen at one address, or with an empty host at all of both families, where there are two."""
    if host == "" and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def port_error(address: tuple[str, int], error: OSError) -> MachineError:
    """The error for an address at which this process cannot listen."""
    host, port = address
    return MachineError(
        f"this worker cannot listen at {host}:{port} ({error.strerror or error})",
        where=f"{host}:{port}",
        expected="a port that no other process uses",
        remedy="end that process, or name another port for this worker on all workers",
    )


def check_port(address: tuple[str, int]) -> None:
    """Raise `MachineError` when this process could not listen at the address."""
    Listener(address).close()


def connect(
    address: tuple[str, int],
    deadline_s: float,
    now: Callable[[], float] = time.monotonic,
    between: Callable[[], None] = lambda: None,
) -> Channel:
    """Connect to the chief, waiting until it listens.

    `between` is called before each attempt and may raise to give up.

    Raises:
        MachineError: it does not listen before the deadline.
    """
    while True:
        between()
        try:
            return Channel(socket.create_connection(address, timeout=5.0))
        except OSError as error:
            if now() < deadline_s:
                time.sleep(RETRY_S)
                continue
            raise MachineError(
                f"the chief does not answer ({error})",
                where=f"{address[0]}:{address[1]}",
                expected="worker 0 of the same job",
                remedy="start all workers of the job; check the addresses",
            ) from error
