import keras
import numpy as np
import pytest

from harness.errors import WeightsError
from harness.models.build import build_model
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.recipe import Model, Trunk
from harness.weights.description import WeightsDescription
from harness.weights.files import WeightArrays
from harness.weights.transfer import freeze_as_told, freeze_trunk, load_trunk
from harness.weights.trunk import check_input, check_trunk

NAME = "apm5-resnet18-v1"


def build(classes: int, seed: int) -> keras.Model:
    return build_model(Model(name=NAME, image_size=32), classes=classes, seed=seed)


def weights_of(model: keras.Model, *, head: bool = True) -> WeightArrays:
    arrays = {
        v.path: np.asarray(v)
        for v in model.variables
        if head or not v.path.startswith("fully_connected")
    }
    return WeightArrays("source.h5", "legacy_h5", "", arrays)


@pytest.mark.parametrize("head", [True, False])
def test_the_trunk_is_loaded_and_the_head_keeps_its_draw(head: bool) -> None:
    source, target, untouched = build(10, 1), build(4, 2), build(4, 2)
    source.get_layer("bn").moving_mean.assign(np.ones(64))
    kept = load_trunk(target, NAME, weights_of(source, head=head))
    assert kept == ("fully_connected/kernel",)
    values = {v.path: np.asarray(v) for v in source.variables}
    for variable, before in zip(target.variables, untouched.variables, strict=True):
        expected = before if variable.path in kept else values[variable.path]
        np.testing.assert_array_equal(variable, expected)


def test_a_frozen_trunk_leaves_the_head_to_learn_and_statistics_as_they_are() -> None:
    model = build(4, 2)
    freeze_trunk(model)
    assert [v.path for v in model.trainable_variables] == ["fully_connected/kernel"]
    images = np.random.RandomState(0).randn(4, 32, 32, 3).astype(np.float32)
    np.testing.assert_array_equal(model(images, training=True), model(images, training=False))
    np.testing.assert_array_equal(model.get_layer("bn").moving_mean, np.zeros(64))


@pytest.mark.parametrize(("trunk", "learned"), [("imported", 61), ("imported_frozen", 1)])
def test_the_recipe_tells_whether_the_trunk_is_frozen(trunk: Trunk, learned: int) -> None:
    network = build(4, 2)
    freeze_as_told(network, Model(name=NAME, image_size=32, trunk=trunk))
    assert len(network.trainable_variables) == learned


BARE = WeightArrays("a.h5", "keras_h5", "", {"fully_connected/kernel": np.zeros((512, 10))})


def test_weights_that_nobody_describes_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"does not say[^$]*a\.h5[^$]*add --normalisation"):
        check_input(BARE, NAME, NORMALISATIONS["tf"])
    check_input(BARE, NAME, NORMALISATIONS["tf"], NORMALISATIONS["tf"])
    with pytest.raises(WeightsError, match=r"feeds apm5 input[^$]*--set 'normalisation=tf'"):
        check_input(BARE, NAME, NORMALISATIONS["apm5"], NORMALISATIONS["tf"])


def test_input_normalised_otherwise_is_refused() -> None:
    described = WeightsDescription(
        normalisation=NORMALISATIONS["apm5"], class_order="folder", classes=10
    )
    told = WeightArrays("a.h5", "keras_h5", "", BARE.arrays, described.model_dump_json())
    thousand = {"fully_connected/kernel": np.zeros((512, 1000))}
    for weights in (told, WeightArrays("a.h5", "legacy_h5", "", thousand)):
        check_input(weights, "apm5-resnet18-v1", NORMALISATIONS["apm5"])
        with pytest.raises(WeightsError, match=r"recipe feeds tf input[^$]*expected:   apm5"):
            check_input(weights, "apm5-resnet18-v1", NORMALISATIONS["tf"])
        with pytest.raises(WeightsError, match="option for normalisation contradicts"):
            check_input(weights, NAME, NORMALISATIONS["apm5"], NORMALISATIONS["tf"])


def test_another_trunk_is_refused() -> None:
    weights = weights_of(build(10, 1))
    weights.arrays["conv1_0.conv_0/kernel"] = np.zeros((1, 1, 64, 64), np.float32)
    del weights.arrays["bn/beta"]
    with pytest.raises(WeightsError, match=r"1 missing: bn/beta; 1 misshapen: conv1_0\.conv_0"):
        load_trunk(build(4, 2), NAME, weights)


@pytest.mark.parametrize("head", [True, False])
def test_a_trunk_of_another_network_says_which_it_fits(head: bool) -> None:
    weights = weights_of(build(10, 1), head=head)
    with pytest.raises(WeightsError, match=f"fits {NAME}, {NAME}-2019") as error:
        check_trunk(weights, "apm5-resnet50-v2")
    assert f"--set model.name={NAME}" in str(error.value)
