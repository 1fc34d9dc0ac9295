"""Energy counters of a made-up machine."""

from pathlib import Path

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
