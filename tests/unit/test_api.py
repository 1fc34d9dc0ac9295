"""The public functions give what the commands give."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.analysis.verdict import verdict
from harness.errors import RecipeError, RecordError
from harness.record.journal import read_journal
from harness.runner.request import RunRequest
from harness.runner.run import RunReport, SeedOutcome
from tests.record_samples import SampleRun, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "study" / "seed-1", SampleRun())


def test_only_five_names_are_public() -> None:
    assert {name for name in dir(harness) if not name.startswith("_")} >= {
        "judge", "load_recipe", "read_steps", "render", "run",
    }  # fmt: skip
    with pytest.raises(AttributeError, match="train"):
        harness.train  # noqa: B018 - the access is the test


def test_a_recipe_with_settings() -> None:
    assert harness.load_recipe("smoke", ["batch=8"]).batch == 8
    with pytest.raises(RecipeError, match="smok"):
        harness.load_recipe("smok")


def test_one_row_a_step_with_units_in_the_names(run: Path) -> None:
    table = harness.read_steps(run)
    journal = read_journal(run)
    assert list(table.index) == list(range(journal.last_step))
    assert list(table.columns) == [
        "epoch", "step_time_s", "data_wait_s", "loss", "learning_rate", "gradient_norm", "correct",
        "images", "images_per_s", "train_accuracy", "compiled",
    ]  # fmt: skip
    window = journal.steps[1]
    rows = table.loc[list(window.step)]
    np.testing.assert_array_equal(rows.loss, window.loss)
    np.testing.assert_array_equal(rows.step_time_s, window.step_time_s)
    np.testing.assert_allclose(rows.train_accuracy, np.array(window.correct) / 32)
    assert table.compiled.sum() == 1
    assert table.epoch.iloc[-1] == pytest.approx(239 / 80)
    with pytest.raises(RecordError, match="cannot read the journal"):
        harness.read_steps(run.parent / "seed-2")


def test_judging_and_rendering(run: Path, tmp_path: Path) -> None:
    assert harness.judge(run).document() == verdict([run]).document()
    report = harness.render(run, out=tmp_path / "page.html", markdown=tmp_path / "page.md")
    assert report.headlines[0].sentence in (tmp_path / "page.html").read_text()
    assert (tmp_path / "page.md").read_text().startswith("# ")


def test_the_example_of_the_page_as_it_stands(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it but the training, whose arguments are checked."""
    page = Path(__file__).parents[2] / "docs" / "api.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)

    def trained(recipe: Any, data: str, seeds: list[int], **fields: Any) -> RunReport:
        request = RunRequest(
            recipe=recipe, data=Path(data), seeds=tuple(seeds), runs=tmp_path, **fields
        )
        outcome = SeedOutcome(request.seeds[0], run, "completed")
        return RunReport(run.parent, (outcome,))

    monkeypatch.setattr("harness.api.run", trained)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, page.name, "exec"), {})
    assert (tmp_path / "page.html").is_file()
