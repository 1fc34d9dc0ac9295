"""A child process that ends with its parent. Needs the standard library only."""

import os
import signal
import threading
import time

LOOK_S = 1.0
GRACE_S = 300.0
"""How long a child may take to write its checkpoint before it is killed."""


def end_with_parent(parent: int) -> None:
    """Send SIGTERM to this process once `parent` is no longer its parent, and later SIGKILL.

    A leader of a session has children of its own that nothing else would end: the whole
    group gets the signals. Asking for the parent's id works on every system; Linux' own
    signal for it fires when the parent's thread ends, not its process.

    Args:
        parent: Process id.
    """
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    _signal_all(signal.SIGTERM)
    time.sleep(GRACE_S)
    _signal_all(signal.SIGKILL)


def _signal_all(number: int) -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), number)
    else:
        os.kill(os.getpid(), number)
