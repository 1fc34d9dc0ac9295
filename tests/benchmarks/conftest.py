"""Benchmarks carry the machine and the numerics they were measured under."""

from typing import Any

import pytest

from harness.measure.environment import capture_environment, effective_numerics
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.recipes.recipe import Numerics, Precision


def pytest_configure(config: pytest.Config) -> None:
    """Pin threads and op determinism as a run does, so that a run's step is what is measured.

    Only where benchmarks are measured, and before any test module makes a tensor:
    threads bind once.
    """
    if config.getoption("benchmark_enable"):
        numerics = resolved(Numerics())
        set_import_flags(numerics)
        pin_runtime(numerics, Precision())


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Add what decides speed to the stored JSON."""
    del config
    numerics = effective_numerics(Numerics(), Precision())
    machine_info["numerics"] = numerics.model_dump(mode="json")
    machine_info["numerics_digest"] = numerics.digest
    machine_info["environment"] = capture_environment()
    machine_info.pop("node", None)
