"""Preflight with this machine's own probes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.measure.gpu_reason import ask_tensorflow
from harness.preflight.estimate import preflight
from harness.preflight.probes import machine_probes, time_real_step
from harness.recipes.catalogue import find_recipe
from harness.recipes.settings import with_settings
from harness.record.schema import DataIdentity
from tests.fake_driver import write_nvidia_smi
from tests.few_digits import every_nth_digit

SMALL = ("model.name=he2015-cifar-resnet20-a", "batch=2")


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
    small = with_settings(recipe, SMALL)
    seconds = time_real_step(small, 10)
    assert 0 < seconds < 60


def test_a_slow_step_is_timed_once() -> None:
    """Compilation, then one step of six seconds by this clock: nobody waits for more."""
    small = with_settings(find_recipe("smoke"), SMALL)
    times = iter(range(0, 60, 6))
    assert time_real_step(small, 10, now=lambda: next(times)) == 6
    assert next(times) == 24


def test_this_machine_has_probes_that_answer(tmp_path: Path) -> None:
    probes = machine_probes(find_recipe("smoke"), 10)
    assert probes.free_bytes(tmp_path / "a" / "b") > 0
    assert isinstance(probes.system_gpus().names, tuple)
    assert probes.visible_gpus() >= 0


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_hidden_devices_mean_that_no_gpu_is_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    write_nvidia_smi(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    gpus = machine_probes(find_recipe("smoke"), 10).system_gpus()
    assert (gpus.names, gpus.driver, gpus.error) == ((), "550.54.15", None)


def test_tensorflow_tells_why_it_sees_no_gpu() -> None:
    """This process and the one that is asked see the same: no GPU, for a reason."""
    reason = ask_tensorflow()
    assert "libcuda.so.1" in reason.words or "cuda" in reason.words.lower()
    assert reason.remedy


def test_a_fake_driver_does_not_stop_a_short_run(tmp_path: Path) -> None:
    """A machine with a driver and without CUDA's libraries: the smoke's recipe begins."""
    write_nvidia_smi(tmp_path / "bin")
    data = every_nth_digit(tmp_path / "digits", 12)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "smoke", "--data", data, "--seed", "1",
         "--steps", "1", "--no-tracking", "--runs", tmp_path / "runs", "--set", SMALL[0]],
        env={
            **{k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"},
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Made-up GPU" in done.stderr
    assert "runs on the processor" in done.stderr
