"""Cores and memory as granted, from made files of control groups of both versions."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import tensorflow as tf

from harness.data.input_pipeline import mapping
from harness.measure.cgroups import cgroup_cores, cgroup_free_memory_bytes, cgroup_memory_bytes
from harness.measure.machine import scheduled_cores, usable_cores
from harness.numerics.pins import resolved
from harness.recipes.recipe import Numerics

SIXTEEN = "1600000 100000"
V1 = "4:memory:/docker/c\n3:cpu,cpuacct:/docker/c\n"
GIB = 1 << 30


def made(tmp_path: Path, own: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """Control groups with these files; returns their root and the file of the own group."""
    root = tmp_path / "cgroup"
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    (tmp_path / "own").write_text(own)
    return root, tmp_path / "own"


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/job/step\n", {"job/step/cpu.max": SIXTEEN}, 16.0),
        ("0::/job/step\n", {"job/cpu.max": SIXTEEN, "job/step/cpu.max": "max 100000"}, 16.0),
        ("0::/job/step\n", {"job/cpu.max": "400000 100000", "job/step/cpu.max": SIXTEEN}, 4.0),
        ("0::/../..\n", {"cpu.max": SIXTEEN}, 16.0),
        ("0::/system\n", {"unified/system/cpu.max": SIXTEEN}, 16.0),
        (
            V1,
            {
                "cpu,cpuacct/docker/c/cpu.cfs_quota_us": "1600000",
                "cpu,cpuacct/docker/c/cpu.cfs_period_us": "100000",
            },
            16.0,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("", {}, None),
        ("0::/\n", {"cpu.max": "torn"}, None),
    ],
    ids=[
        "version 2", "no limit", "own group", "group above", "least of both", "another namespace",
        "hybrid", "version 1", "version 1 in a container", "version 1 without", "none", "torn",
    ],
)  # fmt: skip
def test_the_quota_in_cores(
    tmp_path: Path, own: str, files: dict[str, str], cores: float | None
) -> None:
    assert cgroup_cores(*made(tmp_path, own, files)) == cores


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"memory.max": str(GIB)}, GIB),
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/job\n", {"memory.max": str(2 * GIB), "job/memory.max": "max"}, 2 * GIB),
        (V1, {"memory/docker/c/memory.limit_in_bytes": str(GIB)}, GIB),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
    ids=["version 2", "no limit", "group above", "version 1", "version 1 without"],
)
def test_the_memory_limit(
    tmp_path: Path, own: str, files: dict[str, str], limit: int | None
) -> None:
    assert cgroup_memory_bytes(*made(tmp_path, own, files)) == limit


STAT = "\n".join(
    f"{name} {n * GIB}"
    for name, n in [("anon", 3), ("inactive_file", 1), ("active_file", 1), ("shmem", 1),
                    ("total_inactive_file", 2), ("total_active_file", 1)]
)  # fmt: skip


@pytest.mark.parametrize(
    ("own", "files", "free"),
    [
        ("0::/\n", {"memory.max": str(8 * GIB), "memory.current": str(5 * GIB),
                    "memory.stat": STAT}, 5 * GIB),
        ("0::/\n", {"memory.max": str(8 * GIB)}, 8 * GIB),
        ("0::/\n", {"memory.max": "max", "memory.current": str(5 * GIB)}, None),
        ("0::/\n", {"memory.max": str(GIB), "memory.current": str(2 * GIB)}, 0),
        ("0::/job\n", {"memory.max": str(8 * GIB), "memory.current": str(7 * GIB),
                       "job/memory.max": str(2 * GIB), "job/memory.current": "0"}, GIB),
        (V1, {"memory/docker/c/memory.limit_in_bytes": str(8 * GIB),
              "memory/docker/c/memory.usage_in_bytes": str(5 * GIB),
              "memory/docker/c/memory.stat": STAT}, 6 * GIB),
    ],
    ids=["version 2", "nothing told", "no limit", "above it", "group above", "version 1"],
)  # fmt: skip
def test_memory_in_use_is_not_free(
    tmp_path: Path, own: str, files: dict[str, str], free: int | None
) -> None:
    assert cgroup_free_memory_bytes(*made(tmp_path, own, files)) == free


@pytest.mark.parametrize(
    ("scheduled", "quota", "told", "cores"),
    [(128, 16.0, "", 16), (8, 16.0, "", 8), (128, 1.5, "", 1), (4, 0.25, "", 1),
     (128, 16.0, "8", 8), (128, 16.0, "64", 16), (2, 16.0, "none", 2), (2, 16.0, "0", 2)],
)  # fmt: skip
def test_the_least_of_affinity_quota_and_what_is_told_counts(
    scheduled: int, quota: float, told: str, cores: int
) -> None:
    assert usable_cores(scheduled, quota, {"HARNESS_CORES": told}) == cores


def test_what_is_granted_decides_threads_and_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CORES", "1")
    assert usable_cores() == 1
    assert resolved(Numerics()).intra_op_threads == 1
    assert mapping.parallel_calls() == mapping.CALLS_PER_CORE
    monkeypatch.delenv("HARNESS_CORES")
    assert 1 <= usable_cores() <= scheduled_cores()


@pytest.mark.parametrize("gpus", [[], ["a GPU"]])
def test_only_beside_a_gpu_the_input_has_threads_of_its_own(
    monkeypatch: pytest.MonkeyPatch, gpus: list[str]
) -> None:
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _kind: gpus)
    made = mapping.parallel(tf.data.Dataset.range(3), lambda x: {"x": x * x})
    assert [int(e["x"]) for e in made] == [0, 1, 4]
    private = made.options().threading.private_threadpool_size
    assert private == (usable_cores() if gpus else None)
    assert mapping.input_settings()["private_threads"] == (private or 0)
