"""`harness bench scaling` names recipe and machine, as every benchmark does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.bench.scaling import measurement
from harness.bench.scaling.measurement import MeasuredScaling
from harness.bench.scaling.process import ReductionTimes
from harness.cli.speed.bench_scaling import command
from harness.recipes.recipe import Recipe


def test_text_and_json_name_recipe_and_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measure(recipe: Recipe, _data: Path, **_options: int) -> MeasuredScaling:
        times = (ReductionTimes(0.1, 0.0, 0.0, 0.0, 4, 3.0),) * 2
        return MeasuredScaling(recipe.name, 2, 8, recipe.model.image_size, times, times)

    monkeypatch.setattr(measurement, "measure_scaling", measure)
    words = ["--recipe", "smoke", "--data", str(tmp_path)]
    document = json.loads(CliRunner().invoke(command, [*words, "--json"]).stdout)
    assert document["recipe"] == "smoke"
    assert document["machine"]["cores"] > 0
    told = CliRunner().invoke(command, words).stdout
    assert told.startswith("smoke, 2 workers")
    assert "\nmachine: " in told
