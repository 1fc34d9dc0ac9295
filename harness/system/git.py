"""git about one folder, whatever a hook or an editor has set for another."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LONGEST_S = 20.0


@dataclass(frozen=True)
class GitAnswer:
    """What git said.

    Attributes:
        output: Standard output without the last line end; None where git failed.
        problem: Why it failed, in git's own words; empty where it did not.
    """

    output: str | None
    problem: str = ""


def git(root: Path, *arguments: str) -> GitAnswer:
    """Ask git about the checkout at `root` and no other.

    Variables `GIT_*` are left out: `GIT_DIR` would turn every answer into one about another
    repository. A refusal, such as that of a folder with another owner, is reported.
    """
    if shutil.which("git") is None:
        return GitAnswer(None, "git is not installed")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    ours = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            env={**inherited, **ours},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return GitAnswer(None, f"git could not be asked: {error}")
    if done.returncode:
        return GitAnswer(None, done.stderr.strip() or f"git ended with code {done.returncode}")
    return GitAnswer(done.stdout.strip())
