"""A limit that holds where no Python runs: the block sleeps in C and keeps the interpreter."""

import os
import signal
import subprocess
import sys

import pytest

from harness.system.children import child_environment

HEAD = """
import ctypes, os, resource, signal, sys
from harness.numerics.tensorflow_import import withheld_stderr
from harness.system.watchdog import watched
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # of a file in memory too
def hold(seconds):
    ctypes.PyDLL(None).usleep(int(1e6 * seconds))
"""
STOPPED = """
signal.signal(signal.SIGTERM, lambda *_: None)
with watched('opening the devices', grace_s=0.2):
    os.kill(os.getpid(), signal.SIGTERM); hold(60); hold(60)
"""
ENDED = """
held = os.memfd_create('held'); os.write(held, b'last words')
with watched('a thing', held=held): os._exit(134)
"""
WITHHELD = """
with withheld_stderr() as held, watched('looking for devices', held=held):
    os.write(2, b'last words'); os._exit(134)
"""
KILLED = WITHHELD.replace("os._exit(134)", "os.kill(os.getpid(), signal.SIGKILL)")
HELD_LONG = """
with withheld_stderr() as held, watched('looking for devices', limit_s=0.2, held=held):
    os.write(2, b'last words'); hold(60); hold(60)
"""
LONG = "with watched('opening the devices', limit_s=0.2): hold(60); hold(60)"
CASES = {
    "in time": ("with watched('a thing'): pass\nprint('after')", 0, "after", ""),
    "an error": ("with watched('a thing'): raise SystemExit(3)", 3, "", ""),
    "too long": (LONG, -signal.SIGKILL, "", "opening the devices took longer than 0 s"),
    "asked to stop": (STOPPED, -signal.SIGKILL, "", "opening the devices was stopped by SIGTERM"),
    "an end in the block": (ENDED, 134, "", "last words"),
    "an end while words are withheld": (WITHHELD, 134, "", "last words"),
    "killed while words are withheld": (KILLED, -signal.SIGKILL, "", "last words"),
    "too long while words are withheld": (
        HELD_LONG,
        -signal.SIGKILL,
        "",
        "last wordsharness: looking for devices took longer",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_watcher(name: str) -> None:
    body, code, printed, told = CASES[name]
    done = subprocess.run(
        [sys.executable, "-c", HEAD + body],
        env=child_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.strip() == printed
    assert told in done.stderr
    assert done.stderr.count("last words") == told.count("last words")
    assert bool(told) == bool(done.stderr)
