"""Energy counters of a made-up machine."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.measure.energy import EnergyMeter


def counter(powercap: Path, name: str, microjoules: int, wrap: int = 10_000_000) -> Path:
    domain = powercap / name
    domain.mkdir(parents=True, exist_ok=True)
    (domain / "max_energy_range_uj").write_text(f"{wrap}\n")
    (domain / "energy_uj").write_text(f"{microjoules}\n")
    return domain / "energy_uj"


def test_packages_add_up_and_their_parts_do_not_count_twice(tmp_path: Path) -> None:
    first = counter(tmp_path, "intel-rapl:0", 1_000_000)
    second = counter(tmp_path, "intel-rapl:1", 5_000_000)
    core = counter(tmp_path, "intel-rapl:0:0", 0)
    meter = EnergyMeter(tmp_path)
    meter.start()
    first.write_text("3000000")
    second.write_text("5500000")
    core.write_text("1500000")
    assert meter.stop() == pytest.approx(2.5)


def test_a_counter_that_wrapped_goes_on(tmp_path: Path) -> None:
    file = counter(tmp_path, "intel-rapl:0", 9_000_000)
    meter = EnergyMeter(tmp_path)
    meter.start()
    file.write_text("500000")
    assert meter.stop() == pytest.approx(1.5)


def test_a_machine_that_tells_nothing_says_so(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path / "none")
    meter.start()
    assert not meter.available
    assert meter.stop() is None


class Nvml(ModuleType):
    """A made-up driver with GPUs that tell millijoules, or refuse to."""

    NVMLError = type("NVMLError", (Exception,), {})

    def __init__(self, millijoules: list[int], *, refuses: bool = False) -> None:
        super().__init__("pynvml")
        self.gpus = [SimpleNamespace(millijoules=m) for m in millijoules]
        self.refuses = refuses

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's name
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802 - NVML's name
        return self.gpus[index]

    def nvmlDeviceGetUUID(self, gpu: Any) -> bytes:  # noqa: N802 - NVML's name
        return f"GPU-{self.gpus.index(gpu)}0000000".encode()

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Any) -> int:  # noqa: N802 - NVML's name
        if self.refuses:
            raise self.NVMLError
        return int(gpu.millijoules)


@pytest.mark.parametrize(
    ("listed", "joules"),
    [(None, 3.0), ("1", 0.5), ("GPU-00000000", 2.5), ("1,0", 3.0), ("", 0.0), ("NoDevFiles", 0.0)],
)
def test_only_the_gpus_of_this_process_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str | None, joules: float
) -> None:
    package = counter(tmp_path, "intel-rapl:0", 1_000_000)
    driver = Nvml([4_000, 10_000])
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    meter = EnergyMeter(tmp_path)
    meter.start()
    package.write_text("2000000")
    driver.gpus[0].millijoules += 2_500
    driver.gpus[1].millijoules += 500
    assert meter.stop() == pytest.approx(1 + joules)


def test_gpus_add_up_beside_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    package = counter(tmp_path, "intel-rapl:0", 1_000_000)
    driver = Nvml([4_000, 10_000])
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    meter = EnergyMeter(tmp_path)
    meter.start()
    package.write_text("2000000")
    driver.gpus[0].millijoules += 2_500
    driver.gpus[1].millijoules += 500
    assert meter.stop() == pytest.approx(1 + 2.5 + 0.5)


def test_a_gpu_without_a_counter_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml([1], refuses=True))
    assert not EnergyMeter(tmp_path).available
