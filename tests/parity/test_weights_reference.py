"""The reference's own weight format and network, number for number."""

import keras
import numpy as np
import pytest
import scipy.special

from harness.models.build import build_model
from harness.recipes.recipe import Model
from harness.weights.description import describe_weights
from harness.weights.files import read_weight_file
from harness.weights.matching import assign_weights, check_fits
from tests.shared_data import shared

NAME = "apm5-resnet18-v2"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    weights = read_weight_file(shared("data/reference-weights/resnet18-v2.h5"))
    check_fits(NAME, 1000, weights)
    made = build_model(Model(name=NAME, image_size=224), classes=1000, seed=0)
    assign_weights(made, weights)
    return made


def test_sample_weights_give_the_recorded_probabilities(model: keras.Model) -> None:
    with np.load(shared("data/reference-weights/resnet18-v2.npz")) as recorded:
        expected = recorded["probabilities"]
    images = np.random.RandomState(1).randn(2, 224, 224, 3).astype(np.float32)
    logits = np.asarray(model(images, training=False), np.float64)
    np.testing.assert_allclose(scipy.special.softmax(logits, -1), expected, rtol=1e-5)


def test_sample_weights_are_described_by_their_source() -> None:
    weights = read_weight_file(shared("data/reference-weights/resnet18-v2.h5"))
    known = describe_weights(weights, NAME)
    assert (known.class_order, known.normalisation.channels) == ("devkit", "bgr")
