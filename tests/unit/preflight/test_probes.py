"""What the probes ask of this machine, with stand-ins for what it has not."""

from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from harness.measure import machine
from harness.preflight import probes
from harness.preflight.probes import machine_probes, time_real_step
from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.training import step

SMALL = ("model.name=he2015-cifar-resnet20-a", "batch=2")


def test_a_small_card_that_is_not_used_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = ({"name": "Display", "memory.total": "4096 MiB"},
             {"name": "Large", "memory.total": "81920 MiB"})  # fmt: skip
    monkeypatch.setattr(machine, "gpus", lambda: cards)
    monkeypatch.setattr(probes, "_visible_gpus", lambda: 1)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _kind: ["GPU:0"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _gpu: {"device_name": "Large"}
    )
    assert machine_probes(SMOKE, 10).free_memory_bytes() == 81920 << 20


@pytest.mark.parametrize(("trunk", "learned"), [("from_seed", 59), ("imported_frozen", 2)])
def test_the_step_that_is_timed_learns_what_the_recipe_learns(
    monkeypatch: pytest.MonkeyPatch, trunk: str, learned: int
) -> None:
    states = []

    def build(state: Any, *_arguments: Any) -> Any:
        states.append(state)
        return lambda *_batch: SimpleNamespace(loss=tf.constant(0.0))

    monkeypatch.setattr(step, "build_step", build)
    times = iter(range(0, 60, 6))
    recipe = with_settings(SMOKE, (*SMALL, f"model.trunk={trunk}"))
    assert time_real_step(recipe, 10, now=lambda: next(times)) == 6
    (state,) = states
    assert len(state.trainable) == learned
