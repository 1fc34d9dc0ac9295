"""What the doctor says about the host beside a GPU, on a clock of the test's own."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness.doctor import training
from harness.doctor.scene import Scene
from harness.recipes.smoke import SMOKE


@pytest.mark.parametrize(("step_s", "state", "share"), [(0.5, "ok", "20%"), (0.11, "slow", "91%")])
def test_the_host_share_is_the_time_of_a_step_of_two_images(
    monkeypatch: pytest.MonkeyPatch, step_s: float, state: str, share: str
) -> None:
    made: list[tuple[int, bool]] = []

    def small(_recipe: Any, batch: int, *, fingerprints: bool) -> Any:
        made.append((batch, fingerprints))
        return None

    monkeypatch.setattr(training, "_made", small)
    monkeypatch.setattr(training, "_seconds", lambda _step, on_gpu: 0.1 if on_gpu else 9.0)
    scene = Scene(SMOKE, gpus=["GPU:0"], step=SimpleNamespace(step_s=step_s))
    line = training.host_line(scene)
    assert made == [(2, False)]
    assert line.state == state
    assert line.found.startswith(f"{share} of a step (100.0 ms)")
    assert training.host_line(Scene(SMOKE, step=scene.step)).state == "note"
