"""Parts of a job in a process of their own: flags and threads bind when TensorFlow is imported."""

import signal
import subprocess
import sys


def run_harness(*words: str) -> str:
    """Run a command of the harness; see `run_python`."""
    return run_python("-m", "harness", *words)


def run_python(*words: str) -> str:
    """Run Python in a process of its own; its messages pass through, and so does its failure.

    Ctrl-C reaches that process too, which writes its checkpoint; this one waits for it.

    Returns:
        What it printed to stdout.
    """
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        output, _ = child.communicate()
    finally:
        signal.signal(signal.SIGINT, before)
    if child.returncode:
        raise SystemExit(child.returncode)
    return output
