"""Parts of a job in a process of their own: flags and threads bind when TensorFlow is imported."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.system.children import start_python
from harness.system.signals import Stopped, exit_code_of_child, passed_on
from harness.system.streams import ShownError


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


def run_together(words: Sequence[str], beside: Sequence[str], messages: Path) -> tuple[str, str]:
    """Run two commands of the harness at once, as `run_module` runs one.

    Args:
        words: Of the one whose messages pass through.
        beside: Of the other.
        messages: Where the other's messages go; they are shown where it fails.

    Returns:
        What each printed to stdout.

    Raises:
        SystemExit: one failed, after both have ended; with its exit code.
        Stopped: a signal came, and both ended all the same.
    """
    messages.parent.mkdir(parents=True, exist_ok=True)
    with messages.open("w", encoding="utf-8") as file:
        children = (
            start_python("harness", *words, stdout=subprocess.PIPE, text=True),
            start_python("harness", *beside, stdout=subprocess.PIPE, stderr=file, text=True),
        )
        with passed_on(lambda: children) as passed:
            first, second = (str(child.communicate()[0]) for child in children)
    if children[1].returncode and passed.signal_name is None:
        print(messages.read_text(encoding="utf-8"), file=ShownError(), flush=True)
    for child in children:
        if child.returncode:
            raise SystemExit(exit_code_of_child(child.returncode, passed))
    if passed.signal_name is not None:
        raise Stopped(passed.signal_name)
    return first, second
