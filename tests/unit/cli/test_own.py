"""`harness recipe show` and `harness target new`, and files where a RECIPE is taken."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.judge.plan import command as plan
from harness.cli.own.recipe import command as recipe
from harness.cli.own.target import command as target
from harness.cli.train.run import command as run
from harness.cli.train.study import command as study
from harness.errors import BaselineError, RecipeError
from harness.recipes.catalogue import RECIPES, find_recipe


def test_a_recipe_is_shown_changed_and_shown_again(tmp_path: Path) -> None:
    words = ["show", "smoke", "--name", "mine", "--set", "batch=16"]
    shown = CliRunner().invoke(recipe, words, catch_exceptions=False)
    path = tmp_path / "mine.toml"
    path.write_text(shown.stdout)
    assert find_recipe(str(path)).batch == 16
    again = CliRunner().invoke(recipe, ["show", str(path)], catch_exceptions=False)
    assert again.stdout == shown.stdout


def test_a_target_is_written_for_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CliRunner().invoke(recipe, ["show", "smoke", "--name", "mine"]).stdout)
    words = ["new", "--recipe", str(path), "--name", "my-result"]
    shown = CliRunner().invoke(target, words, catch_exceptions=False)
    assert f'recipe_digest = "{RECIPES["smoke"].digest}"' in shown.stdout


@pytest.mark.parametrize("command", [run, study, plan])
def test_each_command_that_takes_a_recipe_takes_a_file(command: object, tmp_path: Path) -> None:
    seeds = ["--seeds", "3"] if command in (study, plan) else ["--seed", "1"]
    data = [] if command is plan else ["--data", str(tmp_path)]
    words = [str(tmp_path / "none.toml"), *seeds, *data]
    with pytest.raises(RecipeError, match="cannot be read"):
        CliRunner().invoke(command, words, catch_exceptions=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [run, study])
def test_an_unfinished_target_is_refused_before_anything_is_run(
    command: object, tmp_path: Path
) -> None:
    words = ["new", "--recipe", "smoke", "--name", "my-result"]
    path = tmp_path / "target.toml"
    path.write_text(CliRunner().invoke(target, words).stdout)
    seeds = ["--seeds", "1"] if command is study else ["--seed", "1"]
    given = ["smoke", *seeds, "--data", str(tmp_path), "--target", str(path)]
    with pytest.raises(BaselineError, match="top1"):
        CliRunner().invoke(command, given, catch_exceptions=False)  # type: ignore[arg-type]
