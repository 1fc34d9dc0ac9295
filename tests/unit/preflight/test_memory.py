"""Memory of a step from counts, beside what was measured, and what is refused for it."""

import pytest

from harness.errors import MachineError
from harness.preflight import memory
from harness.preflight.memory import check_memory, free_memory_bytes, training_bytes
from harness.recipes.published.apm5 import APM5_RESNET50

ACTIVATIONS = 82_902_944
"""Of ResNet-50 v2 at 224 px, by `count_operations`."""
PARAMETERS = 25_593_792
GIB = 1 << 30


@pytest.mark.parametrize(
    ("batch", "compute", "measured_mb"),
    [(8, "float32", 3_026), (32, "float32", 4_670), (32, "bfloat16", 3_721)],
)
def test_the_estimate_is_near_what_was_measured(
    batch: int, compute: str, measured_mb: float
) -> None:
    estimated = training_bytes(ACTIVATIONS, PARAMETERS, batch, compute) / 1e6
    assert estimated == pytest.approx(measured_mb, rel=0.06)


def test_a_step_that_the_system_would_kill_is_refused_with_the_figures() -> None:
    """A batch of 256 was killed at 18 GB, without a word."""
    needed = training_bytes(ACTIVATIONS, PARAMETERS, 256, "float32")
    assert needed > 18e9
    with pytest.raises(MachineError, match=r"12\.0 GiB of memory are free") as caught:
        check_memory(needed, 12 * GIB, APM5_RESNET50, 256)
    assert "18.2 GiB of memory for a step of 256 images" in str(caught.value)
    assert "--workers" in str(caught.value)


def test_workers_of_one_host_need_its_memory_together() -> None:
    told = check_memory(4e9, 16 * GIB, APM5_RESNET50, 16, 4)
    assert (
        told == "14.9 GiB of memory for a step of 16 images in each of 4 workers here (estimated)"
    )
    with pytest.raises(MachineError, match=r"12\.0 GiB of memory are free"):
        check_memory(4e9, 12 * GIB, APM5_RESNET50, 16, 4)


@pytest.mark.parametrize("left", [0, GIB])
def test_what_the_control_group_leaves_is_free(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    monkeypatch.setattr(memory, "cgroup_free_memory_bytes", lambda: left)
    assert free_memory_bytes() == left


def test_a_step_that_fits_is_told() -> None:
    assert check_memory(4e9, 16 * GIB, APM5_RESNET50, 16).startswith("3.7 GiB")
    assert free_memory_bytes() > 0
