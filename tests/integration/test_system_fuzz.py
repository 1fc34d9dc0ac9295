"""Random command lines, environments and files: no traceback, 1 for its one meaning, nothing half.

`FUZZ_SEED` draws others than those that are drawn every time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def calls(seed: str, count: int, folder: Path) -> tuple[list[dict[str, object]], dict[str, int]]:
    """What broke a promise, and how often each exit code came."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzed_commands", seed, str(count), str(folder)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *broken, last = (json.loads(line) for line in done.stdout.splitlines())
    return broken, last["codes"]


def check(seed: str, count: int, folder: Path) -> None:
    broken, codes = calls(seed, count, folder)
    assert broken == []
    assert sum(codes.values()) == count
    assert codes["0"] > count / 20, "some of them are right"


def test_a_hundred_random_command_lines(tmp_path: Path) -> None:
    check("1", 100, tmp_path)


@pytest.mark.slow
def test_five_hundred_random_command_lines(tmp_path: Path) -> None:
    check(os.environ.get("FUZZ_SEED", "2"), 500, tmp_path)
