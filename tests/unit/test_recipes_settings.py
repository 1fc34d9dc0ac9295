"""Recipes: validation, digests, `--set`, and what the catalogue says of unknown names."""

import json

import pytest
from pydantic import ValidationError

from harness.errors import RecipeError
from harness.recipes.catalogue import RECIPES, find_recipe
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import (
    APM5_NORMALISATION,
    Normalisation,
    center_crop,
    ten_crop,
)
from harness.recipes.recipe import Recipe
from harness.recipes.settings import changed_fields, parse_recipe, with_settings


@pytest.fixture
def recipe() -> Recipe:
    return find_recipe("apm5-resnet50")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]
    again = parse_recipe(json.loads(recipe.model_dump_json()))
    assert again == recipe
    assert again.digest == recipe.digest


def test_recipes_differ_in_digest_unless_only_named_otherwise() -> None:
    digests = [recipe.digest for recipe in RECIPES.values()]
    assert len(set(digests)) == len(digests)


def test_the_digest_ignores_name_notes_and_numerics_and_nothing_else(recipe: Recipe) -> None:
    same = recipe.model_copy(
        update={
            "name": "other",
            "notes": recipe.notes.model_copy(update={"title": "x"}),
            "numerics": recipe.numerics.model_copy(update={"onednn": False}),
        }
    )
    assert same.digest == recipe.digest
    for setting in (
        "batch=64",
        "loss.label_smoothing=0.2",
        "optimizer.nesterov=false",
        "phases.1.epochs=49",
        "augmentation.flip=false",
        "normalisation.scale=2.0",
        "precision.tf32=true",
        "model.classes=10",
        "evaluate_every_epochs=2",
    ):
        assert with_settings(recipe, (setting,)).digest != recipe.digest, setting


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_evaluates_on_the_input_it_trains_on(name: str) -> None:
    recipe = RECIPES[name]
    assert {p.normalisation for p in recipe.protocols().values()} == {recipe.normalisation}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("normalisation=caffe",), NORMALISATIONS["caffe"]),
        ((f"normalisation={NORMALISATIONS['torch'].model_dump_json()}",), NORMALISATIONS["torch"]),
        (
            ("normalisation.std=[1.0,1.0,1.0]",),
            APM5_NORMALISATION.model_copy(update={"std": (1.0, 1.0, 1.0)}),
        ),
        (
            ("epoch_protocol.normalisation=tf", "final_protocols.1.normalisation=tf",
             "normalisation=tf"),
            NORMALISATIONS["tf"],
        ),
    ],
)  # fmt: skip
def test_a_normalisation_is_set_for_training_and_evaluation_together(
    recipe: Recipe, settings: tuple[str, ...], expected: Normalisation
) -> None:
    changed = with_settings(recipe, settings)
    assert changed.normalisation == expected
    assert {p.normalisation for p in changed.final_protocols} == {expected}
    assert changed.epoch_protocol.normalisation == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("epoch_protocol.normalisation=torch",), "center_crop feeds torch input, training .*apm5"),
        (("normalisation=tf", "final_protocols.1.normalisation=apm5"), "ten_crop feeds apm5 input"),
        (("final_protocols.0.normalisation.scale=2.0",), "center_crop feeds"),
        (("normalisation=cafe",), "no normalisation named 'cafe'[^$]*apm5, caffe, tf, torch"),
        (("normalisation=7",), "normalisation: Input should be"),
    ],
)
def test_training_and_evaluation_on_different_input_is_refused(
    recipe: Recipe, settings: tuple[str, ...], words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        with_settings(recipe, settings)


def test_settings_replace_nested_fields(recipe: Recipe) -> None:
    changed = with_settings(
        recipe, ("phases.1.epochs=3", "augmentation.short_side=[200, 240]", "model.classes=7")
    )
    assert changed.phases[1].epochs == 3
    assert changed.augmentation.short_side == (200, 240)
    assert changed.model.classes == 7
    assert changed_fields(recipe, changed) == ("model", "phases", "augmentation")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("batch", ["no setting", "key=value"]),
        ("bach=3", ["no field", "bach", "batch"]),
        ("batch=big", ["batch", "integer", "big"]),
        ("batch=0", ["batch", "greater than or equal to 1"]),
        ("optimizer.momentum=1.5", ["optimizer.momentum", "less than 1"]),
        ("phases.7.epochs=3", ["no field", "phases.7.epochs"]),
        ("batch.size=3", ["no field", "batch.size", "no deeper field"]),
        ("augmentation.aspect=[1.2, 0.8]", ["augmentation", "low <= high"]),
        ("precision.compute=float8", ["precision.compute", "float8"]),
    ],
)
def test_wrong_settings_name_the_field(recipe: Recipe, setting: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        with_settings(recipe, (setting,))
    for word in words:
        assert word in str(caught.value)


def test_unknown_recipes_offer_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean apm5-resnet50"):
        find_recipe("apm5-resnet-50")
    with pytest.raises(RecipeError, match="harness list recipes"):
        find_recipe("zzz")


def test_recipes_are_frozen(recipe: Recipe) -> None:
    with pytest.raises(ValidationError):
        recipe.batch = 1  # type: ignore[misc]


def test_the_published_recipe_is_the_code_beside_the_table(recipe: Recipe) -> None:
    assert recipe.model.name == "apm5-resnet50-v2"
    assert recipe.batch == 128
    assert recipe.total_steps(10_009) == 51 * 10_009
    assert [phase.reset_momentum for phase in recipe.phases] == [False, True]
    assert recipe.optimizer.nesterov
    assert recipe.loss.label_smoothing == 0.1
    assert recipe.final_protocols == (center_crop(), ten_crop())


def test_protocols_say_in_what_they_differ() -> None:
    assert center_crop().differences(ten_crop()) == ("crops", "mirror")
    assert ten_crop().differences(ten_crop(256, 320)) == ("crop_size",)
    renamed = ten_crop().model_copy(update={"name": "other"})
    assert renamed.digest == ten_crop().digest
    assert not renamed.differences(ten_crop())


def test_steps_of_an_epoch_are_whole_batches_or_the_recipes_own(recipe: Recipe) -> None:
    assert recipe.steps_in_epoch(1_281_167) == 10_009
    assert with_settings(recipe, ("steps_per_epoch=7",)).steps_in_epoch(3) == 7
    with pytest.raises(RecipeError, match="do not fill a batch of 128") as caught:
        recipe.steps_in_epoch(100)
    assert "--set batch=100" in str(caught.value)
