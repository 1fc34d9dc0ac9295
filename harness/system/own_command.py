"""What to type to reach the same installation again."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def own_command(
    program: str | None = None, folder: Path | None = None, path: str | None = None
) -> str:
    """The words that begin a command of this installation, to be pasted where this one was given.

    Args:
        program: What this process was started as; default `sys.argv[0]`.
        folder: The working directory; default the present one.
        path: The search path; default that of the environment, or none under tox, which puts
            its environment's programs there for its own commands alone.
    """
    started = Path(sys.argv[0] if program is None else program).absolute()
    if started.name != "harness" or not started.is_file():
        return f"{shlex.quote(sys.executable)} -m harness"
    if path is None and "TOX_ENV_NAME" in os.environ:
        path = ""
    found = shutil.which("harness", path=path)
    if found is not None and Path(found).resolve() == started.resolve():
        return "harness"
    return shlex.quote(str(near(started, folder)))


def near(path: Path, folder: Path | None = None) -> Path:
    """A path as it may be pasted: relative where it lies in the working directory.

    Args:
        path: A file or a folder.
        folder: The working directory; default the present one.
    """
    here = Path.cwd() if folder is None else folder
    return path.relative_to(here) if path.is_relative_to(here) else path
