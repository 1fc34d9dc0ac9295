"""What to type to reach the same installation again."""

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
        path: The search path; default that of the environment.
    """
    started = Path(sys.argv[0] if program is None else program).absolute()
    if started.name != "harness" or not started.is_file():
        return f"{shlex.quote(sys.executable)} -m harness"
    found = shutil.which("harness", path=path)
    if found is not None and Path(found).resolve() == started.resolve():
        return "harness"
    here = Path.cwd() if folder is None else folder
    near = started.relative_to(here) if started.is_relative_to(here) else started
    return shlex.quote(str(near))
