"""Signals that ask a process to stop, and parents that pass them on."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from harness.system.signal_thread import PREEMPTED, SIGNAL_STATE

STOPPING = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU,
)  # fmt: skip
"""Ctrl-C, a request, a terminal that is gone, a cluster's two warnings, used up processor time."""

Handler = Callable[[int, FrameType | None], Any]


class Stopped(KeyboardInterrupt):
    """A signal asks for the end; no library takes it for an error that can be passed over."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


def heeded() -> tuple[signal.Signals, ...]:
    """The signals to take: all, without a hang-up that was ignored at the start (`nohup`)."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(n for n in STOPPING if n is not signal.SIGHUP or not ignored)


def raise_stopped(number: int, _frame: FrameType | None) -> None:
    """Handle a signal: raise `Stopped`."""
    SIGNAL_STATE.raised = signal.Signals(number).name
    raise Stopped(SIGNAL_STATE.raised)


def answering(handler: Handler) -> Handler:
    """The same handler, which notes that it runs."""

    def handle(number: int, frame: FrameType | None) -> None:
        SIGNAL_STATE.answered()
        handler(number, frame)

    return handle


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Handle the signals by `handler` until the end; off the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in heeded()}
    for number in before:
        signal.signal(number, answering(handler))
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@dataclass
class Passed:
    """Which signal a parent has passed on first, if any."""

    signal_name: str | None = None


def exit_code_of_child(code: int, passed: Passed) -> int:
    """What a parent answers for its child's `returncode`.

    A child that a signal killed is an interruption where this process passed one on, and
    else counts as the shell counts it.
    """
    if code >= 0:
        return code
    return PREEMPTED if passed.signal_name is not None else 128 - code


@contextmanager
def passed_on(children: Callable[[], Iterable[subprocess.Popen[Any]]]) -> Iterator[Passed]:
    """Pass each signal on to the children that run, as SIGTERM, and live on.

    SIGTERM, because Ctrl-C reaches children of the same terminal by itself and a
    second one means at once.

    Args:
        children: Those to tell, asked when a signal comes.
    """
    passed = Passed()

    def handle(number: int, _frame: FrameType | None) -> None:
        passed.signal_name = passed.signal_name or signal.Signals(number).name
        for child in children():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    with handled(handle):
        yield passed
