"""A signal is answered within two seconds, also where no Python runs.

Python runs the handler of a signal between two instructions of the main thread.
While TensorFlow compiles, or a million rows are sorted, that can take longer. So
a thread is told by the C handler (through the wakeup descriptor) and answers:
where nothing would be lost it ends the process, else it says what is waited for.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from harness.system.streams import SHOWN

GRACE_S = 1.5
"""How long the main thread has to run its handler where nothing would be lost."""

PREEMPTED = 75
SHOW_CURSOR = "\x1b[?25h"

ENDED = (
    "harness: stopped by {name}\n"
    "  where:      process {pid}, in the middle of what could not be interrupted\n"
    "  expected:   time to end; nothing half-written is used\n"
    "  what to do: give the same command again\n"
)


class SignalState:
    """What this process does when a signal comes.

    Attributes:
        answered_s: When a handler ran last, on the monotonic clock.
        raised: Name of the signal that a handler ended the command with, if one did.
    """

    def __init__(self) -> None:
        self.answered_s = float("-inf")
        self.raised: str | None = None
        self._saving: str | None = None
        self._told = False

    def answered(self) -> None:
        """Note that a handler runs: the main thread is not held."""
        self.answered_s = time.monotonic()

    @contextmanager
    def saving(self, what: str) -> Iterator[None]:
        """Say that a signal waits for something in the block; `what` is told at once then."""
        before, self._saving, self._told = self._saving, what, False
        try:
            yield
        finally:
            self._saving = before

    def see(self, number: int, end: Callable[[str], None], wait: Callable[[float], None]) -> None:
        """Answer one signal, beside the main thread.

        Args:
            number: Of the signal.
            end: Ends the process with words.
            wait: Waits a number of seconds.
        """
        came_s, name = time.monotonic(), signal.Signals(number).name
        if self._saving is not None and not self._told:
            self._told = True
            _write(f"harness: {name} received: {self._saving}\n")
            return
        if self._saving is not None and number != signal.SIGINT:
            return
        while time.monotonic() - came_s < GRACE_S:
            # The handler may have run before this thread began to look.
            if self.answered_s >= came_s - GRACE_S:
                return
            wait(0.05)
        if self._saving is None or number == signal.SIGINT:
            end(ENDED.format(name=name, pid=os.getpid()))


SIGNAL_STATE = SignalState()


@contextmanager
def signal_thread(signals: tuple[int, ...]) -> Iterator[None]:
    """Answer signals beside the main thread in the block, which the main thread runs.

    Where no descriptor or thread is left nothing is answered beside it; the block reports that
    itself.
    """
    over = threading.Event()
    try:
        reading, writing = os.pipe()
        threading.Thread(
            target=_listen, args=(reading, frozenset(signals), over), name="signals", daemon=True
        ).start()
    except (OSError, RuntimeError):
        yield
        return
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writing)  # ends the thread


def _listen(reading: int, signals: frozenset[int], over: threading.Event) -> None:
    def end(words: str) -> None:
        if not over.is_set():
            _end(words)

    while data := os.read(reading, 64):
        for number in data:
            if number in signals:
                threading.Thread(
                    target=SIGNAL_STATE.see, args=(number, end, time.sleep), daemon=True
                ).start()
    os.close(reading)


def _end(words: str) -> None:
    _write((SHOW_CURSOR if sys.stderr.isatty() else "") + words)
    os._exit(PREEMPTED)


def _write(text: str) -> None:
    with suppress(OSError, ValueError):
        os.write(SHOWN[-1] if SHOWN else 2, text.encode())
