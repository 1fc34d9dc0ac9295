"""Use of the machine as MLflow shows it: of the GPUs that are named, not of all."""

import sys
from types import SimpleNamespace

import pytest

from harness.tracking.system import open_sampler


def test_gpus_of_other_jobs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with four GPUs, of which this process has two; one does not tell its power."""

    class NVMLError(Exception):
        pass

    def power(place: int) -> int:
        if place == 3:
            raise NVMLError
        return 1000 * place

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda place: place,
        nvmlDeviceGetUtilizationRates=lambda place: SimpleNamespace(gpu=10 * place),
        nvmlDeviceGetMemoryInfo=lambda place: SimpleNamespace(used=place * 1e6),
        nvmlDeviceGetPowerUsage=power,
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    sampled = {k: v for k, v in open_sampler((1, 3))().items() if "gpu" in k}
    assert sampled == {
        "system/gpu_1_utilization_percentage": 10.0,
        "system/gpu_1_memory_usage_megabytes": 1.0,
        "system/gpu_1_power_usage_watts": 1.0,
        "system/gpu_3_utilization_percentage": 30.0,
        "system/gpu_3_memory_usage_megabytes": 3.0,
    }
    assert not [key for key in open_sampler(())() if "gpu" in key]
