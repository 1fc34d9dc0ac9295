"""The chief's door: whoever connects must show that it belongs to the same job.

The port is open to all hosts, because a name may mean another address here than
elsewhere (Debian's 127.0.1.1, address translation). So each connection is asked to
sign a fresh number with the token that all workers of a job share; the token itself
never travels. Each is greeted in a thread, so that a stranger that says nothing holds
nobody up.
"""

import hashlib
import hmac
import queue
import secrets
import threading
import time
from contextlib import suppress

from harness.distributed.channel import Channel, Listener, Message

HELLO_S = 60.0
"""How long a connection may say nothing at first; a busy machine takes its time."""
LISTEN_S = 0.5
NONCE_BYTES = 32


def signature(token: bytes, nonce: str, worker: object) -> str:
    """What worker `worker` of the job answers to `nonce`. Hex of an HMAC-SHA256."""
    return hmac.new(token, f"{nonce} {worker}".encode(), hashlib.sha256).hexdigest()


def hello(channel: Channel, challenge: Message, token: bytes, worker: int) -> None:
    """Answer the chief's first message."""
    signed = signature(token, str(challenge.get("nonce")), worker)
    channel.send({"kind": "hello", "worker": worker, "signature": signed})


class Reception:
    """Listens, greets in threads, and hands over who has shown the token.

    Args:
        address: Of the chief.
        token: Of the job.

    Raises:
        MachineError: the port is in use.
    """

    def __init__(self, address: tuple[str, int], token: bytes) -> None:
        self._token = token
        self._listener = Listener(address)
        self._greeted: queue.Queue[tuple[Channel, int]] = queue.Queue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True, name="reception")
        self._thread.start()

    def next(self, timeout_s: float) -> tuple[Channel, int] | None:
        """A connection of this job and the worker that it is; None after the timeout."""
        try:
            return self._greeted.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self, farewell: Message | None = None) -> None:
        """Stop listening; whoever was not handed over gets the reason, also who is late.

        Args:
            farewell: What they hear; None says that the job has all its workers.
        """
        self._farewell = farewell or {"kind": "refused", "text": COMPLETE}
        self._closed.set()
        self._thread.join()
        self._listener.close()
        while not self._greeted.empty():
            channel, _ = self._greeted.get()
            self._send_away(channel, self._farewell)

    def _accept(self) -> None:
        while not self._closed.is_set():
            with suppress(TimeoutError, OSError):
                channel = self._listener.accept(time.monotonic() + LISTEN_S)
                threading.Thread(target=self._greet, args=(channel,), daemon=True).start()

    def _greet(self, channel: Channel) -> None:
        nonce = secrets.token_hex(NONCE_BYTES)
        channel.send({"kind": "challenge", "nonce": nonce})
        try:
            answer = channel.receive(HELLO_S) or {}
        except TimeoutError:
            answer = {}
        worker = answer.get("worker")
        signed = str(answer.get("signature")).encode()
        expected = signature(self._token, nonce, worker).encode()
        if not (hmac.compare_digest(signed, expected) and isinstance(worker, int)):
            self._send_away(channel, {"kind": "refused", "text": REFUSED})
        elif self._closed.is_set():
            self._send_away(channel, self._farewell)
        else:
            self._greeted.put((channel, worker))

    def _send_away(self, channel: Channel, message: Message) -> None:
        channel.send(message)
        channel.close()


COMPLETE = "the job has all its workers already"
REFUSED = (
    "the chief at this address belongs to another job\n"
    "  expected:   the same addresses in TF_CONFIG, and the same HARNESS_JOB_TOKEN or none, on all "
    "workers\n"
    "  what to do: correct them, or name another port for this job"
)
