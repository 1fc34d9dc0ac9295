"""Recipes as files: written, read back, refused with the field and what it takes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.own.recipe import show
from harness.errors import HarnessError, RecipeError
from harness.recipes.catalogue import RECIPES, find_recipe
from harness.recipes.own import begun_from
from harness.recipes.settings import with_settings
from harness.recipes.toml_text import recipe_text


def written(folder: Path, *changes: tuple[str, str], of: str = "smoke") -> str:
    """A recipe file under a name of its own, with pieces of its text exchanged."""
    text = recipe_text(begun_from(RECIPES[of], "mine"))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_reads_back_from_its_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text(RECIPES[name]))
    assert find_recipe(str(path)) == RECIPES[name]


def test_text_with_quotes_and_lines_reads_back(tmp_path: Path) -> None:
    odd = 'a "word", a \\ and\na line \x7f und Umlaute äöü'
    recipe = begun_from(RECIPES["smoke"], "mine")
    recipe = recipe.model_copy(update={"notes": recipe.notes.model_copy(update={"title": odd})})
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text(recipe), encoding="utf-8")
    assert find_recipe(str(path)).notes.title == odd


def test_a_recipe_of_ones_own_computes_what_it_was_begun_from(tmp_path: Path) -> None:
    own = find_recipe(written(tmp_path))
    assert own.name == "mine"
    assert own.digest == RECIPES["smoke"].digest


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = Path(written(tmp_path))
    text = path.read_text()
    path.write_text(text[: text.index("[numerics]")])
    assert find_recipe(str(path)) == begun_from(RECIPES["smoke"], "mine")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch = 32", "bacth = 32", ["no field 'bacth'", "did you mean batch?"]),
        ("momentum = 0.9", "momentun = 0.9", ["did you mean optimizer.momentum?"]),
        ("start = 0.0001", "strat = 0.0001", ["phases.0.rate.strat", "phases.0.rate.start?"]),
        ("batch = 32", "batch = 0", ["field batch", "an integer from 1"]),
        ("batch = 32", 'batch = "many"', ["field batch", "an integer from 1", "many"]),
        ("momentum = 0.9", "momentum = 1.5", ["optimizer.momentum", "a number from 0, below 1"]),
        ('decayed = "kernels"', 'decayed = "some"', ["loss.decayed", "one of kernels, all"]),
        ("flip = true", "flip = 3", ["augmentation.flip", "true or false"]),
        ("[34, 39]", "[34]", ["augmentation.short_side.1 is missing", "an integer"]),
        ("epochs = 8", "epochs = 8.0", ["phases.1.epochs", "an integer from 1 or none"]),
        ("\nepochs = 1 ", '\nepochs = "none" ', ["phases.0", "either epochs or steps"]),
        ("image_size = 32", "", ["model.image_size is missing", "an integer from 8"]),
        ("batch = 32", "batch = ", ["cannot be read", "line"]),
        ('name = "mine"', 'name = "My recipe"', ["field name", "lower case letters, digits"]),
        ("[0.9, 1.1]", "[1.1, 0.9]", ["augmentation: aspect must be", "values that fit"]),
        ("std = [58.393", "std = [0.0", ["normalisation.std.0", "a number above 0"]),
        ("start = 0.05, alpha", "strat = 0.05, alpha", ["did you mean phases.1.rate.start?"]),
    ],
)  # fmt: skip
def test_a_wrong_file_names_the_field_and_what_it_takes(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    path = written(tmp_path, (old, new))
    with pytest.raises(RecipeError) as caught:
        find_recipe(path)
    for word in [*words, path]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("crop_size = 32", "crop_size = 64", ["center_crop takes crops of 64", "up to 34"]),
        ("crop_size = 32", 'crop_size = "none"', ["crops of no size", 'crops = "full"']),
        ('name = "ten_crop"', 'name = "center_crop"', ["two protocols are named center_crop"]),
        *(
            ('name = "ten_crop"', f'name = "{name}"', ["cannot name a file and a metric"])
            for name in ("10-crop 224/256", "ten, logits", "größe", "scale:256", r"a\\b", "..", "")
        ),
        ("[34, 39]", "[10, 12]", ["the short side can be 10", "lower the model's image_size"]),
        ('"apm5-resnet18-v2"', '"apm5-resnet19-v2"', ["did you mean apm5-resnet18-v2"]),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused_when_a_file_is_shown(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    with pytest.raises(HarnessError) as caught:
        CliRunner().invoke(show, [written(tmp_path, (old, new))], catch_exceptions=False)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "instead"),
    [("model=he2015-resnet34-b", "model.name"), ("precision=bfloat16", "precision.compute")],
)
def test_a_table_that_gets_one_value_names_a_field_of_it(setting: str, instead: str) -> None:
    with pytest.raises(RecipeError, match=f"such as {instead}"):
        with_settings(RECIPES["smoke"], (setting,))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read") as caught:
        find_recipe(str(tmp_path / "none.toml"))
    assert "none.toml" in str(caught.value)


def test_another_computation_needs_another_name(tmp_path: Path) -> None:
    path = written(tmp_path, ('name = "mine"', 'name = "smoke"'), ("batch = 32", "batch = 16"))
    with pytest.raises(RecipeError, match="something else than the recipe smoke"):
        find_recipe(path)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match="'My recipe' is no name"):
        begun_from(RECIPES["smoke"], "My recipe")


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("epochs=2", "--set phases.0.epochs=... or --set phases.1.epochs=..."),
        ("steps=2", "--set phases.0.steps=..."),
        ("lr=0.1", "--set phases.0.rate.start=... or --set phases.1.rate.start=..."),
        ("learning_rate=0.1", "--set phases.0.rate.start=..."),
        ("batch_size=8", "--set batch=..."),
        ("weight-decay=0", "--set loss.weight_decay=..."),
        ("wd=0", "--set loss.weight_decay=..."),
        ("image_size=64", "--set model.image_size=..."),
        ("optimizer.momentun=0.8", "--set optimizer.momentum=..."),
        ("momentun=0.8", "--set optimizer.momentum=..."),
        ("amp=1", "--set precision.compute=..."),
        ("short_side=[64, 72]", "--set augmentation.short_side=..."),
    ],
)
def test_common_words_lead_to_the_right_key(setting: str, meant: str) -> None:
    with pytest.raises(RecipeError) as caught:
        with_settings(RECIPES["smoke"], (setting,))
    assert f"did you mean {meant}" in str(caught.value)
