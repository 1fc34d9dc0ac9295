"""What a wrong word is answered: the advice names what the command has, and leads on."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.baselines.loading import baselines_folder
from harness.baselines.own import read_own_target
from harness.cli.judge.bundle import command as bundle
from harness.cli.judge.plan import command as plan
from harness.cli.judge.report import command as report
from harness.cli.judge.verdict import command as verdict
from harness.cli.options import DataFolder
from harness.cli.own.recipe import command as recipe
from harness.errors import HarnessError
from harness.recipes.catalogue import find_recipe
from harness.study.status import study_status
from harness.weights.source import read_weights
from tests.manipulations import real_runs
from tests.planted_journals import plant, smoke_runs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A target, a recipe, a study of two seeds and a file."""
    shutil.copy(baselines_folder() / "target.toml", tmp_path / "registered.toml")
    shown = CliRunner().invoke(recipe, ["show", "smoke", "--name", "mine"]).output
    (tmp_path / "mine.toml").write_text(shown)
    own = (baselines_folder() / "smoke.toml").read_text().replace("smoke-digits-ten-crop", "own")
    (tmp_path / "own.toml").write_text(own.replace("95a37860", "00000000"))
    for run in smoke_runs(350, 352):
        plant(tmp_path / "study" / f"seed-{run.seed}", run)
    (tmp_path / "file.bin").write_bytes(b"x")
    return tmp_path


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises((HarnessError, click.ClickException)) as caught:
        work()
    return str(caught.value)


def invoked(command: click.Command, *words: str) -> Callable[[], object]:
    return lambda: CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_recipe_is_no_target_and_a_target_no_recipe(place: Path) -> None:
    study, mine, registered = (str(place / n) for n in ("study", "mine.toml", "registered.toml"))
    said = refusal(invoked(verdict, study, "--target", mine))
    assert "holds a recipe, not a target" in said
    assert "harness target new" in said
    said = refusal(invoked(recipe, "show", registered))
    assert "holds a target or baselines (kind 'published'), not a recipe" in said


def test_a_plan_refuses_a_target_of_another_state_of_its_recipe(place: Path) -> None:
    said = refusal(invoked(plan, "smoke", "--seeds", "2", "--target", str(place / "own.toml")))
    assert "asks for the recipe 00000000, smoke is 95a37860: the recipe was changed since" in said


def test_no_advice_names_an_option_that_a_command_may_lack(place: Path) -> None:
    smoke = find_recipe("smoke")
    for name in ("own.toml", "registered.toml"):
        for of in (smoke.name, "apm5-resnet50"):
            words = (place / name, of, find_recipe(of).digest)
            assert "--target" not in refusal(partial(read_own_target, *words))
    assert "--set" not in refusal(lambda: smoke.steps_in_epoch(3))


def test_a_file_where_a_folder_of_data_is_expected_names_its_folder(place: Path) -> None:
    said = refusal(lambda: DataFolder().convert(str(place / "file.bin"), None, None))
    assert f"name the folder that holds it: {place}" in said


def test_page_and_markdown_are_two_files(tmp_path: Path) -> None:
    runs, out = str(real_runs(tmp_path)), str(tmp_path / "page.html")
    said = refusal(invoked(report, runs, "--out", out, "--markdown", f"{tmp_path}/./page.html"))
    assert "page and Markdown are to be one file" in said
    assert not Path(out).exists()


def test_arrays_that_are_not_there_any_more_are_named(tmp_path: Path) -> None:
    words = (str(real_runs(tmp_path)), "--out", str(tmp_path / "x.tar"), "--weights")
    told = CliRunner().invoke(bundle, words).stderr
    assert told.count("no arrays packed, its last checkpoint is not kept") == 3


def test_one_seed_is_no_study_and_a_path_that_is_wrong_is_checked(place: Path) -> None:
    seed = place / "study" / "seed-1"
    assert "name the one above it" in refusal(lambda: study_status(seed))
    assert "that still has its checkpoints" in refusal(lambda: read_weights(seed))
    assert "check the path" in refusal(lambda: read_weights(place / "nowhere"))
