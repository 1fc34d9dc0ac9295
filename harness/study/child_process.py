"""Parts of a job in a process of their own: flags and threads bind when TensorFlow is imported."""

import subprocess

from harness.system.children import start_python
from harness.system.signals import Stopped, exit_code_of_child, passed_on


def run_harness(*words: str) -> str:
    """Run a command of the harness; see `run_module`."""
    return run_module("harness", *words)


def run_module(module: str, *words: str) -> str:
    """Run a module in a process of its own; its messages pass through, and so does its failure.

    A signal is passed on to that process, which writes its checkpoint; this one waits for it.

    Returns:
        What it printed to stdout.

    Raises:
        SystemExit: it failed; with its exit code.
        Stopped: a signal came, and it ended anyway.
    """
    child = start_python(module, *words, stdout=subprocess.PIPE, text=True)
    with passed_on(lambda: (child,)) as passed:
        output, _ = child.communicate()
    if child.returncode:
        raise SystemExit(exit_code_of_child(child.returncode, passed))
    if passed.signal_name is not None:
        raise Stopped(passed.signal_name)
    return str(output)
