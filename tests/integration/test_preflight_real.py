"""Preflight with this machine's own probes."""

from pathlib import Path

import pytest

from harness.preflight.estimate import preflight
from harness.preflight.probes import machine_probes, time_real_step
from harness.recipes.catalogue import find_recipe
from harness.record.schema import DataIdentity


def test_the_smoke_passes_on_any_machine(tmp_path: Path) -> None:
    recipe = find_recipe("smoke")
    data = DataIdentity(
        name="digits",
        kind="digits",
        root_digest="0" * 64,
        train_images=1400,
        val_images=397,
        classes=tuple("0123456789"),
        class_order="folder",
    )
    found = preflight(recipe, data, (1, 2), runs=tmp_path / "not" / "yet")
    assert 0 < found.hours[0] < 10
    assert found.gemm_flops_per_s > 1e8
    assert found.disk_free_bytes > found.disk_needed_bytes


def test_a_real_step_is_timed_after_its_compilation() -> None:
    recipe = find_recipe("smoke")
    small = recipe.model_copy(update={"batch": 2})
    seconds = time_real_step(small, 10)
    assert 0 < seconds < 60


def test_this_machine_has_probes_that_answer(tmp_path: Path) -> None:
    probes = machine_probes(find_recipe("smoke"), 10)
    assert probes.free_bytes(tmp_path / "a" / "b") > 0
    assert isinstance(probes.system_gpus(), tuple)
    assert probes.visible_gpus() >= 0


def test_an_empty_device_list_means_no_gpu_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine_probes(find_recipe("smoke"), 10).system_gpus() == ()
