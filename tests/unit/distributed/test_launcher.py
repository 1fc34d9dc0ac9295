"""What the launcher of a job answers and tells when its workers end."""

import subprocess
import sys

import pytest

from harness.distributed import launcher

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def ends(code: int) -> str:
    return f"raise SystemExit({code})"


@pytest.mark.parametrize(
    ("workers", "code", "told"),
    [
        ((ends(0), ends(0)), 0, []),
        (
            (ends(75), ends(0)),
            75,
            ["worker 0 ended with exit code 75; worker 1 ended with exit code 0"],
        ),
        (
            (ends(75), KILLED),
            75,
            ["worker 0 ended with exit code 75; worker 1 was killed by SIGKILL"],
        ),
        (
            (KILLED, ends(75)),
            75,
            ["worker 0 was killed by SIGKILL; worker 1 ended with exit code 75"],
        ),
        ((KILLED, KILLED), 137, ["worker 0 was killed by SIGKILL; worker 1 was killed by SIGKILL"]),
    ],
)
def test_a_job_that_fails_tells_how_each_worker_ended(
    monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...], code: int, told: list[str]
) -> None:
    started = tuple(subprocess.Popen([sys.executable, "-c", text]) for text in workers)
    monkeypatch.setattr(launcher, "start_workers", lambda *_arguments: started)
    said: list[str] = []
    assert launcher.launch((), len(workers), {}, said.append) == code
    assert said == told
