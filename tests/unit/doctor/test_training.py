"""What the doctor says about the host beside a GPU, on a clock of the test's own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.doctor import training
from harness.doctor.scene import Scene
from harness.recipes.catalogue import find_recipe
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


def test_a_step_and_pictures_of_a_network_of_one_channel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training, "INPUT_S", 0.1)
    recipe = find_recipe("zhong2020-fashion-resnet20")
    step = training._made(recipe, 2, fingerprints=False)
    assert step.image.shape == (2, 28, 28, 1)
    assert step.run().loss.numpy() > 0
    split = training._pictures(recipe, tmp_path)
    assert split.channels == 1
    assert set(split.heights) == set(split.widths) == {28}
    assert {Path(path).read_bytes()[1:4] for path in split.paths} == {b"PNG"}
    assert training._input_rate(recipe, tmp_path, 2) > 0
