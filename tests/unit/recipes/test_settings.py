"""Recipes: validation, digests, `--set`, and what the catalogue says of unknown names."""

import json

import pytest
from pydantic import ValidationError

from harness.cli import options
from harness.errors import RecipeError
from harness.recipes.catalogue import RECIPES, find_recipe
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import APM5_NORMALISATION, Normalisation, center_crop, ten_crop
from harness.recipes.recipe import Recipe
from harness.recipes.settings import parse_recipe, with_settings


@pytest.fixture
def recipe() -> Recipe:
    return find_recipe("apm5-resnet50")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]
    again = parse_recipe(json.loads(recipe.model_dump_json()))
    assert again == recipe
    assert again.digest == recipe.digest


PUBLISHED_DIGESTS = {
    "apm5-resnet50": (
        "79b8aec79cecf71d4f7e58884f3c5790b3061ab88262307486ace43abe352ecb",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "apm5-resnet18": (
        "c8ad13301327db6b8a24317183809fb4476cb358e702262eae46b93ae83b61fa",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "apm5-resnet50-2020": (
        "6a10665e1f8e994ed579e842bfc728a6ccbc0bbbf93f1fa5b9e6ee0d8a1fdbea",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "apm5-resnet18-2020": (
        "389e7c70b163d15d6c0399440052e7cc23cbdcfa2c3257bed2b67a246699cf0e",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "keras-resnet50": (
        "5b96b2f636a5a28e4ca109d7cdca1407ce7a25c4f7c0082ae7905be6a245281c",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "he2015-resnet50": (
        "bd96f0a92291f7aa911126bb72889ebff4fb169207a62a79558d3d57f52cac9d",
        ("ba6362985b", "dd1075c389", "996748fd6c"),
    ),
    "smoke": (
        "95a37860019f6b8fc2c646632682262c0d91780b2e0da429f5a557bf5c5f83e3",
        ("5b30aedc51", "5e0dac66d0"),
    ),
    "transfer": (
        "ca25537413b555e1f3333689adfaa340b7dbbc2af14a5af72e1a8b43c5694007",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "transfer-frozen": (
        "b5ae284ba5bb075a959759b22f34f505b54ebcbe5e908682332ab596ccbce4f4",
        ("4a5832f808", "18fa7fc9a9"),
    ),
    "transfer-scratch": (
        "8d2937909ac354abbb6f2796acb8dd9315f47a58ce2a053d9ceff4ed2f116171",
        ("4a5832f808", "18fa7fc9a9"),
    ),
}
"""Of each recipe, and the beginning of those of its final protocols: journals hold them."""


@pytest.mark.parametrize("name", PUBLISHED_DIGESTS)
def test_recipes_that_runs_exist_of_keep_their_digests(name: str) -> None:
    digest, protocols = PUBLISHED_DIGESTS[name]
    assert RECIPES[name].digest == digest
    found = {protocol.digest[:10] for protocol in RECIPES[name].protocols().values()}
    assert found == set(protocols)


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


def test_one_protocol_of_several_of_its_name_can_be_changed_as_before(recipe: Recipe) -> None:
    """Runs that were begun with such a setting go on."""
    changed = with_settings(recipe, ("epoch_protocol.crop_size=16",))
    assert changed.epoch_protocol.name == changed.final_protocols[0].name
    assert changed.epoch_protocol.crop_size == 16


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
    same = {name for name in Recipe.model_fields if getattr(changed, name) == getattr(recipe, name)}
    assert set(Recipe.model_fields) - same == {"model", "phases", "augmentation"}


ONE_PHASE = '{"epochs": 1, "rate": {"kind": "constant", "rate": 0.1}}'


@pytest.mark.parametrize(
    ("settings", "lengths"),
    [
        (("phases.0.steps=7",), [(None, 7), (50, None)]),
        (("phases.1.steps=7", "phases.1.steps=8"), [(1, None), (None, 8)]),
        (("phases.0.steps=7", "phases.0.epochs=3"), None),
        ((f"phases=[{ONE_PHASE}]", "phases.0.epochs=3"), [(3, None)]),
        ((f"phases=[{ONE_PHASE}]", "phases.0.steps=3"), [(None, 3)]),
        (("phases.0.epochs=3", "phases.0.steps=7"), None),
        (("phases.0.epochs=null", "phases.0.steps=7"), [(None, 7), (50, None)]),
        (("phases.0.steps=null",), None),
        (("phases.0.steps=0",), None),
    ],
)
def test_a_phase_is_counted_in_steps_instead_of_epochs(
    recipe: Recipe, settings: tuple[str, ...], lengths: list[tuple[int | None, int | None]] | None
) -> None:
    if lengths is None:
        with pytest.raises(RecipeError, match="phases"):
            with_settings(recipe, settings)
        return
    changed = with_settings(recipe, settings)
    assert [(phase.epochs, phase.steps) for phase in changed.phases] == lengths
    assert changed.digest != recipe.digest


def test_steps_are_exchanged_for_epochs_too() -> None:
    changed = with_settings(find_recipe("he2015-cifar10-resnet20"), ("phases.2.epochs=3",))
    assert [(phase.epochs, phase.steps) for phase in changed.phases] == [
        (None, 32_000), (None, 16_000), (3, None),
    ]  # fmt: skip


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


def test_the_option_names_every_normalisation() -> None:
    assert set(options.NORMALISATIONS) == set(NORMALISATIONS)


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
    assert "a batch up to 100" in str(caught.value)
