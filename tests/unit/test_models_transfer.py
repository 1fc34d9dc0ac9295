import keras
import numpy as np
import pytest

from harness.errors import WeightsError
from harness.models.build import build_model
from harness.models.transfer import check_input, freeze_trunk, load_trunk
from harness.models.weight_description import WeightsDescription
from harness.models.weight_files import WeightArrays
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.recipe import Model

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
    kept = load_trunk(target, weights_of(source, head=head))
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


def test_input_normalised_otherwise_is_refused_where_it_is_known() -> None:
    bare = WeightArrays("a.h5", "keras_h5", "", {"fully_connected/kernel": np.zeros((512, 10))})
    check_input(bare, NAME, NORMALISATIONS["tf"])
    described = WeightsDescription(
        normalisation=NORMALISATIONS["apm5"], class_order="folder", classes=10
    )
    told = WeightArrays("a.h5", "keras_h5", "", bare.arrays, described.model_dump_json())
    thousand = {"fully_connected/kernel": np.zeros((512, 1000))}
    for weights in (told, WeightArrays("a.h5", "legacy_h5", "", thousand)):
        check_input(weights, "apm5-resnet18-v1", NORMALISATIONS["apm5"])
        with pytest.raises(WeightsError, match=r"recipe feeds tf input[^$]*expected:   apm5"):
            check_input(weights, "apm5-resnet18-v1", NORMALISATIONS["tf"])


def test_another_trunk_is_refused() -> None:
    weights = weights_of(build(10, 1))
    weights.arrays["conv1_0.conv_0/kernel"] = np.zeros((1, 1, 64, 64), np.float32)
    del weights.arrays["bn/beta"]
    with pytest.raises(WeightsError, match=r"1 missing: bn/beta; 1 misshapen: conv1_0\.conv_0"):
        load_trunk(build(4, 2), weights)
