"""Which GPUs a process may use, and why TensorFlow uses none of them."""

import os
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.measure import machine
from harness.measure.gpu_list import SystemGpus, driver_error, gpu_memory_bytes, system_gpus
from harness.measure.gpu_reason import (
    FREE_THE_GPU,
    GIVE_CONTAINER_THE_GPU,
    INSTALL,
    LOOK_AT_ACCESS,
    OTHER_CARD,
    RELOAD_DRIVER,
    UPDATE_DRIVER,
    reason_of,
)
from tests.fake_driver import ROW, write_nvidia_smi


def first_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")


@pytest.mark.parametrize(
    ("visible", "count"),
    [({}, 2), ({"CUDA_VISIBLE_DEVICES": "1"}, 1), ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, 0)],
    ids=["all", "one", "Slurm gave none"],
)
def test_hidden_gpus_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: dict[str, str], count: int
) -> None:
    write_nvidia_smi(tmp_path, f"{ROW}\n{ROW}")
    first_on_path(monkeypatch, tmp_path)
    found = system_gpus(visible)
    assert found.names == ("Made-up GPU",) * count
    assert (found.driver, found.error) == ("550.54.15", None)


@pytest.mark.parametrize(
    ("used", "memory_mib"),
    [
        (["Made-up GPU"], 81559),
        (["Made-up GPU MIG 1g.10gb"], 81559),
        (["Made-up GPU", "Display"], 4096),
        (["Display"], 4096),
        (["Another name of it"], 4096),
        ([], 4096),
    ],
)
def test_the_memory_is_that_of_the_cards_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: list[str], memory_mib: int
) -> None:
    display = ROW.replace("Made-up GPU", "Display").replace("81559 MiB", "4096 MiB")
    write_nvidia_smi(tmp_path, f"{display}\n{ROW}")
    first_on_path(monkeypatch, tmp_path)
    assert gpu_memory_bytes(used) == memory_mib << 20


def test_a_list_of_devices_that_are_not_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_nvidia_smi(tmp_path)
    first_on_path(monkeypatch, tmp_path)
    with pytest.raises(MachineError, match="CUDA_VISIBLE_DEVICES=5 names no GPU"):
        system_gpus({"CUDA_VISIBLE_DEVICES": "5"})


def test_a_driver_that_answers_with_an_error_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's module still tells the model."""
    words = "Failed to initialize NVML: Driver/library version mismatch"
    write_nvidia_smi(tmp_path, words, exit_code=18)
    first_on_path(monkeypatch, tmp_path)
    card = {"Model": "NVIDIA Something", "IRQ": "10"}
    monkeypatch.setattr(machine, "gpus", lambda: (card,))
    assert system_gpus({}) == SystemGpus(("NVIDIA Something",), error=words)


def test_a_driver_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is waited for once, not at each of a run's questions."""
    asked = tmp_path / "asked"
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho >> {asked}\nexec sleep 60\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    first_on_path(monkeypatch, tmp_path)
    monkeypatch.setattr(machine, "QUERY_TIMEOUT_S", 1.0)
    assert driver_error() == "no answer within 1.0 s"
    assert system_gpus({}) == SystemGpus(error="no answer within 1.0 s")
    assert asked.read_text() == "\n"


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(machine, "gpus", lambda: ())
    assert system_gpus({}) == SystemGpus()


STAMP = "W0000 00:00:1795732563.641573   16904 gpu_device.cc:2341] "
LIBRARIES = """\
W0000 00:00:1.5 1 dso_loader.cc:60] Could not load dynamic library 'libcudnn.so.9'; dlerror: none
W0000 00:00:1795732563.641573   16904 gpu_device.cc:2341] Cannot dlopen some GPU libraries.
Skipping registering GPU devices...
"""
OLD_CARD = (
    "Ignoring visible gpu device (device: 0, name: Tesla K80) with compute capability 3.7. "
    "The minimum required Cuda capability is 6.0."
)


@pytest.mark.parametrize(
    ("written", "driver", "words", "remedy"),
    [
        (LIBRARIES, None, "libcudnn.so.9", INSTALL),
        (f"{STAMP}Could not find cuda drivers on your machine, GPU will not be used.", None,
         "Could not find cuda drivers", GIVE_CONTAINER_THE_GPU),
        (f"{STAMP}failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
         None, "no CUDA-capable", LOOK_AT_ACCESS),
        (f"{STAMP}CUDA driver version is insufficient for CUDA runtime version", None,
         "insufficient", UPDATE_DRIVER),
        (f"{STAMP}{OLD_CARD}", None, "Tesla K80", OTHER_CARD),
        (f"{STAMP}CUDA error: all CUDA-capable devices are busy or unavailable", None, "busy",
         FREE_THE_GPU),
        ("", "Failed to initialize NVML: Driver/library version mismatch", "version mismatch",
         RELOAD_DRIVER),
        ("", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
         "communicate", GIVE_CONTAINER_THE_GPU),
        ("", None, "gives no reason", INSTALL),
    ],
    ids=["libraries", "no driver", "no device", "old driver", "old card", "busy", "mismatch",
         "driver not loaded", "silent"],
)  # fmt: skip
def test_each_reason_has_its_own_remedy(
    written: str, driver: str | None, words: str, remedy: str
) -> None:
    reason = reason_of(written, driver)
    assert words in reason.words
    assert reason.remedy == remedy
    assert "gpu_device.cc" not in reason.words
    assert "\n" not in reason.words
