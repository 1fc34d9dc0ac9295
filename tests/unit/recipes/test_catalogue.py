"""The recipes of every source: learning rates at the edges, and what their sources fix.

Rates are computed here in float64 from the sources' own formulas, with ImageNet's
numbers: floor(1,281,167 / 128) = 10,009 and floor(1,281,167 / 256) = 5,004 steps an epoch.
"""

import math

import numpy as np
import pytest

from harness.baselines.loading import load_target
from harness.models.catalogue import describe, find_architecture
from harness.recipes.catalogue import RECIPES
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Augmentation
from harness.training.schedule import learning_rates, momentum_kept

E = 10_009


def cosine(step: int, steps: int) -> float:
    """tf.keras.experimental.CosineDecay(0.05, steps, alpha=1e-4)."""
    return 0.05 * ((1 - 1e-4) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-4)


RATES_2019 = {
    0: 1e-4,
    1: 1e-4 + (0.05 - 1e-4) / E,
    E - 1: 1e-4 + (0.05 - 1e-4) * (E - 1) / E,
    E: 0.05,
    E + 1: cosine(1, 50 * E),
    26 * E: cosine(25 * E, 50 * E),
    51 * E - 1: cosine(50 * E - 1, 50 * E),
}
RATES_2020 = {
    0: 0.0,
    1: 0.05 / E,
    E - 1: 0.05 * (E - 1) / E,
    E: 0.05,
    E + 1: cosine(1, 49 * E),
    50 * E - 1: cosine(49 * E - 1, 49 * E),
}
RATES_2015 = {
    0: 0.1,
    30 * 5004 - 1: 0.1,
    30 * 5004: 0.01,
    60 * 5004 - 1: 0.01,
    60 * 5004: 0.001,
    90 * 5004 - 1: 0.001,
    90 * 5004: 0.0001,
    120 * 5004 - 1: 0.0001,
}
TABLES = {
    "apm5-resnet50": (E, 51 * E, RATES_2019),
    "apm5-resnet18": (E, 51 * E, RATES_2019),
    "keras-resnet50": (E, 51 * E, RATES_2019),
    "apm5-resnet50-2020": (E, 50 * E, RATES_2020),
    "apm5-resnet18-2020": (E, 50 * E, RATES_2020),
    "he2015-resnet50": (5004, 600_480, RATES_2015),
}


@pytest.mark.parametrize("name", TABLES)
def test_learning_rates_at_the_edges(name: str) -> None:
    epoch, steps, rates = TABLES[name]
    recipe = RECIPES[name]
    assert 1_281_167 // recipe.batch == epoch
    assert recipe.total_steps(epoch) == steps
    for step, rate in rates.items():
        (found,) = learning_rates(recipe.phases, epoch, step, 1)
        np.testing.assert_allclose(found, np.float32(rate), rtol=1e-7, err_msg=f"step {step}")


def test_the_floor_of_2019_is_a_fraction_of_the_peak() -> None:
    (last,) = learning_rates(RECIPES["apm5-resnet50"].phases, E, 51 * E - 1, 1)
    assert last == pytest.approx(5e-6, rel=1e-5)


def test_momentum_is_reset_after_the_extra_warm_up_epoch_alone() -> None:
    for name, (epoch, _, _) in TABLES.items():
        kept = momentum_kept(RECIPES[name].phases, epoch, epoch - 1, 3)
        expected = [1, 1, 1] if name.endswith("2020") or name.startswith("he") else [1, 0, 1]
        assert kept.tolist() == expected, name


@pytest.mark.parametrize("name", TABLES)
def test_a_recipe_names_a_network_and_feeds_it_as_it_evaluates_it(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.model.image_size == describe(recipe.model.name).image_size
    for protocol in recipe.protocols().values():
        assert protocol.normalisation == recipe.normalisation
    assert "ten_crop" in recipe.protocols()
    assert recipe.notes.citation
    assert recipe.notes.expected
    assert recipe.notes.deviations


SMALL_EDGES = {
    "zhong2020-fashion-resnet20": (469, {0: 0.1, 150: 0.01, 225: 0.001}, 300),
    "he2015-cifar10-resnet56": (1, {0: 0.1, 32_000: 0.01, 48_000: 0.001}, 64_000),
    "he2015-cifar10-resnet110": (1, {0: 0.01, 400: 0.1, 32_000: 0.01, 48_000: 0.001}, 64_000),
}
"""Steps in the unit of the table, the rate from each edge on, and where training ends."""


@pytest.mark.parametrize("name", SMALL_EDGES)
def test_rates_of_the_small_networks_fall_where_their_sources_say(name: str) -> None:
    unit, edges, end = SMALL_EDGES[name]
    recipe = RECIPES[name]
    begins = [unit * edge for edge in edges]
    for begin, following, rate in zip(
        begins, [*begins[1:], unit * end], edges.values(), strict=True
    ):
        found = [learning_rates(recipe.phases, unit, step, 1)[0] for step in (begin, following - 1)]
        assert found == [np.float32(rate)] * 2
    assert recipe.total_steps(unit) == unit * end
    assert momentum_kept(recipe.phases, unit, 0, unit * end).all()


def test_the_fashion_recipe_is_the_protocol_of_its_source() -> None:
    recipe, deeper = (RECIPES[f"zhong2020-fashion-resnet{depth}"] for depth in (20, 32))
    assert recipe.identity(exclude={"name", "notes", "model"}) == deeper.identity(
        exclude={"name", "notes", "model"}
    )
    channels = recipe.normalisation.channel_count
    assert describe(recipe.model.name, 10, channels).trainable == 272_186
    assert (recipe.model.image_size, recipe.model.initializer) == (28, "he_normal_fan_out")
    assert (recipe.batch, recipe.steps_in_epoch(60_000)) == (128, 469)
    assert recipe.total_steps(469) == 140_700
    optimizer = (recipe.optimizer.momentum, recipe.optimizer.nesterov, recipe.optimizer.form)
    assert optimizer == (0.9, False, "rate_outside")
    loss = (recipe.loss.label_smoothing, recipe.loss.weight_decay, recipe.loss.decayed)
    assert loss == (0.0, 5e-4, "all")
    augmentation = Augmentation(aspect=None, short_side=(28, 29), flip=True, padding=4)
    assert recipe.augmentation == augmentation
    assert recipe.normalisation == Normalisation(
        channels="grey", mean=(0.1307,), std=(0.3081,), scale=255.0
    )
    assert (recipe.selection, recipe.evaluate_every_epochs) == ("best_epoch", 1)
    (final,) = recipe.final_protocols
    assert final == recipe.epoch_protocol
    assert (final.crops, final.short_sides, final.crop_size) == ("center", (28,), 28)


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_the_cifar_recipes_are_the_protocol_of_the_paper(depth: int) -> None:
    recipe = RECIPES[f"he2015-cifar10-resnet{depth}"]
    assert recipe.model.name == f"he2015-cifar-resnet{depth}-a"
    assert (recipe.model.image_size, recipe.batch) == (32, 128)
    assert (recipe.optimizer.momentum, recipe.optimizer.form) == (0.9, "rate_inside")
    loss = (recipe.loss.label_smoothing, recipe.loss.weight_decay, recipe.loss.decayed)
    assert loss == (0.0, 1e-4, "all")
    augmentation = Augmentation(aspect=None, short_side=(32, 33), flip=True, padding=4)
    assert recipe.augmentation == augmentation
    assert recipe.selection == "last"
    (final,) = recipe.final_protocols
    assert (final.crops, final.short_sides, final.crop_size) == ("center", (32,), 32)
    warm_up = [text for text in recipe.notes.deviations if "400 steps" in text]
    assert len(warm_up) == (depth == 110)


@pytest.mark.parametrize("name", [n for n in RECIPES if "cifar10" in n or "fashion" in n])
def test_a_small_recipe_says_where_it_is_from(name: str) -> None:
    recipe = RECIPES[name]
    assert find_architecture(recipe.model.name) is not None
    assert name in recipe.notes.command
    assert "error" in recipe.notes.expected
    assert any("run across passes" in text for text in recipe.notes.deviations)


def test_what_the_sources_differ_in() -> None:
    he, old, new = (RECIPES[n] for n in ("he2015-resnet50", "apm5-resnet50", "apm5-resnet50-2020"))
    assert (old.optimizer.nesterov, new.optimizer.nesterov) == (True, False)
    assert (he.loss.decayed, he.loss.label_smoothing, old.loss.label_smoothing) == ("all", 0, 0.1)
    assert he.augmentation.short_side == (256, 481)
    assert he.model.initializer == "he_normal"


@pytest.mark.parametrize("suffix", ["bf16", "tf32"])
def test_cheaper_arithmetic_is_another_recipe_with_a_target_of_its_own(suffix: str) -> None:
    plain, cheaper = RECIPES["apm5-resnet50"], RECIPES[f"apm5-resnet50-{suffix}"]
    assert cheaper.digest != plain.digest
    assert cheaper.model_copy(update={"precision": plain.precision}).digest == plain.digest
    assert "precision" in cheaper.notes.deviations[0]
    target, ours = (load_target(name) for name in (
        "apm5-resnet50-ten-crop", f"apm5-resnet50-{suffix}-ten-crop"))  # fmt: skip
    assert ours.recipe == cheaper.name
    same = {"name", "recipe", "recipe_digest", "reasons"}
    assert ours.model_dump(exclude=same) == target.model_dump(exclude=same)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("he2015-resnet50", "bd96f0a92291f7aa911126bb"),
        (
            "he2015-cifar10-resnet20",
            "b33723f16e7ade4f44efde550775a99093f1a21d721ce92933fbd9f5cd72d11f",
        ),
        (
            "he2015-cifar10-resnet110",
            "84e0deef0453975305780686b2c0d079cf68f1719d019e0d176a9a75d6391fb2",
        ),
    ],
)
def test_words_about_a_recipe_are_in_no_digest(name: str, digest: str) -> None:
    assert RECIPES[name].digest.startswith(digest)


@pytest.mark.parametrize(
    "words",
    [
        "the last crop offset is never drawn", "in BGR order", "decay on all parameters",
        "rate inside the momentum", "epsilon 1e-5, weight 0.1", "the last layer's too",
        "batches run across passes", "probabilities are averaged over the scales",
    ],
)  # fmt: skip
def test_what_a_report_prints_of_the_network_of_2015_is_complete(words: str) -> None:
    assert any(words in text for text in RECIPES["he2015-resnet50"].notes.deviations)


def test_the_cifar_recipes_say_over_how_many_images_they_normalise() -> None:
    notes = RECIPES["he2015-cifar10-resnet20"].notes
    assert any("two GPUs" in text for text in notes.deviations)
