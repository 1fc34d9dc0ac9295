"""Checkpoints in the background: one at a time, reported from the training's thread."""

import threading
from pathlib import Path

import numpy as np
import pytest

from harness.training.background import CheckpointWriter
from harness.training.checkpoint import Written, list_checkpoints


class Reports:
    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []
        self.threads: set[int] = set()

    def __call__(self, written: Written, stall_s: float) -> None:
        self.seen.append((written.step, stall_s))
        self.threads.add(threading.get_ident())

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.seen]


def snapshot() -> dict[str, np.ndarray]:
    return {"weights/a": np.arange(5, dtype=np.float32)}


def writer(folder: Path, reports: Reports, **changes: object) -> CheckpointWriter:
    return CheckpointWriter(folder, "0123456789abcdef", lambda: None, reports, **changes)


def test_each_is_written_and_reported_once(tmp_path: Path) -> None:
    reports = Reports()
    with writer(tmp_path, reports) as checkpoints:
        for step in (3, 6, 9, 12):
            checkpoints.write(step, snapshot)
    assert reports.steps == [3, 6, 9, 12]
    assert reports.threads == {threading.get_ident()}
    assert [int(p.name[5:]) for p in list_checkpoints(tmp_path)] == [6, 9, 12]


def test_training_stands_still_for_the_snapshot_alone(tmp_path: Path) -> None:
    """The clock advances only within the snapshot; writing goes on in a thread that waits."""
    time_s = 0.0
    released = threading.Event()

    def slow_snapshot() -> dict[str, np.ndarray]:
        nonlocal time_s
        time_s += 0.25
        return snapshot()

    reports = Reports()
    checkpoints = CheckpointWriter(
        tmp_path, "0123456789abcdef", released.wait, reports, now=lambda: time_s
    )
    with checkpoints:
        checkpoints.write(3, slow_snapshot)
        checkpoints.poll()
        assert reports.steps == []
        released.set()
    assert reports.seen == [(3, 0.25)]


def test_a_failed_write_is_raised_in_the_training(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    checkpoints = CheckpointWriter(tmp_path, "0123456789abcdef", fail, Reports())
    checkpoints.write(3, snapshot)
    with pytest.raises(OSError, match="No space"), checkpoints:
        checkpoints.write(6, snapshot)
    assert list_checkpoints(tmp_path) == []


def test_an_error_of_the_training_is_not_hidden_by_one_of_the_writing(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    checkpoints = CheckpointWriter(tmp_path, "0123456789abcdef", fail, Reports())
    checkpoints.write(3, snapshot)
    with pytest.raises(RuntimeError, match="the training's"), checkpoints:
        raise RuntimeError("the training's")
