"""Python in a process of its own: the parent's code, away from the working directory.

Whatever starts Python goes through here. Such a child imports what its parent
would import, even inside a folder with another `harness`, does not ask a
proxy for the way to this machine, and ends with its parent.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO, Any

import harness
from harness.errors import MachineError
from harness.system.proxies import without_proxies

CHILD = "harness.system.child"
PACKAGE_ROOT = Path(harness.__file__).resolve().parents[1]


def start_python(
    module: str,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    stdin: IO[Any] | int | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
    text: bool = False,
    cwd: Path | None = None,
    start_new_session: bool = False,
) -> "subprocess.Popen[Any]":
    """Start `python -m module arguments` as a child; the rest as `subprocess.Popen` has it.

    Args:
        module: Name of a module that can be run.
        arguments: Its own.
        environ: Of the child before what isolates it is added; None is this process's.
        stdin: See `subprocess`, as for the following.
        stdout: Its output.
        stderr: Its messages.
        text: Whether pipes carry text.
        cwd: Its working directory.
        start_new_session: Whether signals of the terminal do not reach it.
    """
    return subprocess.Popen(
        python_words(module, *arguments),
        env=child_environment(environ),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=text,
        cwd=cwd,
        start_new_session=start_new_session,
    )


def run_python(
    module: str,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    input_text: str | None = None,
    timeout_s: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run such a child to its end and keep what it writes.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout_s` and was killed.
    """
    return subprocess.run(
        python_words(module, *arguments),
        env=child_environment(environ),
        input=input_text,
        stdin=subprocess.DEVNULL if input_text is None else None,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def python_words(module: str, *arguments: str, parent: int | None = None) -> list[str]:
    """The command line of a child.

    Args:
        module: Name of a module that can be run.
        arguments: Its own.
        parent: Process that the child ends with; None is this one.
    """
    end_with = str(os.getpid() if parent is None else parent)
    return [sys.executable, "-P", "-m", CHILD, end_with, module, *arguments]


def child_environment(
    environ: Mapping[str, str] | None = None, *, first: Path | None = None
) -> dict[str, str]:
    """The environment of a child: this process's modules, no working directory among them.

    Args:
        environ: To begin with; None is this process's.
        first: Folder whose modules come before this process's.

    Raises:
        MachineError: the package's folder cannot be named in a search path.
    """
    inherited = os.environ if environ is None else environ
    return without_proxies({**inherited, **isolation(first)})


def isolation(first: Path | None = None) -> dict[str, str]:
    """The variables alone that give a child this process's modules; see `child_environment`."""
    path = module_path() if first is None else [str(first), *module_path()]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(path)}


def module_path() -> list[str]:
    """Where this process finds modules, as absolute paths.

    Raises:
        MachineError: the package's folder has the separator of search paths in its name.
    """
    entries = [entry for entry in sys.path if entry and os.pathsep not in entry]
    path = list(dict.fromkeys(str(Path(entry).absolute()) for entry in entries))
    found = PathFinder.find_spec("harness", path)
    if (
        found is not None
        and found.origin
        and Path(found.origin).resolve().parents[1] == (PACKAGE_ROOT)
    ):
        return path
    if os.pathsep in str(PACKAGE_ROOT):
        raise MachineError(
            f"a folder's name holds {os.pathsep!r}, which ends a name in a search path",
            where=str(PACKAGE_ROOT),
            expected="a folder that a child process can be told of",
            remedy="move the harness to a folder with a plain name",
        )
    return [str(PACKAGE_ROOT), *path]
