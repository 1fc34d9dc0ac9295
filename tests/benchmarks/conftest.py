"""Benchmarks carry the machine and the numerics they were measured under."""

from typing import Any

from harness.measure.environment import capture_environment, effective_numerics
from harness.recipes.recipe import Numerics, Precision


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Add what decides speed to the stored JSON."""
    del config
    numerics = effective_numerics(Numerics(), Precision())
    machine_info["numerics"] = numerics.model_dump(mode="json")
    machine_info["numerics_digest"] = numerics.digest
    machine_info["environment"] = capture_environment()
    machine_info.pop("node", None)
