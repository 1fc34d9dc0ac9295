"""Jobs of a study on this machine: each has GPUs of its own, of those that are there."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.measure import machine
from harness.measure.gpu_list import local_gpus
from harness.study import jobs
from harness.study.jobs import LocalExecutor, Resources, jobs_at_once

UUIDS = tuple(f"GPU-{letter * 8}" for letter in "abcd")


@pytest.fixture(autouse=True)
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ({"name": "Made-up GPU"},) * 4)
    monkeypatch.setattr(machine, "gpu_uuids", lambda: UUIDS)


@pytest.mark.parametrize(
    ("listed", "entries"),
    [
        (None, ("0", "1", "2", "3")),
        ("2,3", ("2", "3")),
        ("", ()),
        ("NoDevFiles", ()),
        (f"{UUIDS[1]},{UUIDS[0]}", (UUIDS[1], UUIDS[0])),
        ("MIG-a, MIG-b", ("MIG-a", "MIG-b")),
    ],
)
def test_the_gpus_that_the_environment_leaves(listed: str | None, entries: tuple[str, ...]) -> None:
    environ = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    assert local_gpus(environ) == entries
    assert jobs_at_once(1, environ) == max(1, len(entries))
    assert jobs_at_once(2, environ) == max(1, len(entries) // 2)
    assert jobs_at_once(0, environ) == 1


class Process:
    """A child that lasts until it is told to end."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.pid = 1

    def poll(self) -> int | None:
        return self.code


def test_each_job_sees_gpus_that_no_other_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[tuple[Process, str]] = []

    def start(*_words: str, environ: dict[str, str], **_options: Any) -> Process:
        started.append((Process(), environ["CUDA_VISIBLE_DEVICES"]))
        return started[-1][0]

    monkeypatch.setattr(jobs, "start_python", start)
    executor = LocalExecutor(tmp_path, Resources(gpus=2), gpus=("4", "5", "6", "7"))
    executor.submit(1, ())
    executor.submit(2, ())
    assert [seen for _, seen in started] == ["4,5", "6,7"]
    with pytest.raises(UsageError, match="asks for 2 GPUs and 0 of 4 are free"):
        executor.submit(3, ())
    started[0][0].code = 0
    executor.submit(3, ())
    assert started[-1][1] == "4,5"


def test_without_gpus_a_job_sees_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[str] = []

    def start(*_words: str, environ: dict[str, str], **_options: Any) -> Any:
        seen.append(environ["CUDA_VISIBLE_DEVICES"])
        return subprocess.Popen(["true"])

    monkeypatch.setattr(jobs, "start_python", start)
    LocalExecutor(tmp_path, Resources(gpus=0)).submit(1, ()).process.wait()
    assert seen == [""]
