"""The reference's step and ours learn the same: only then is their speed comparable."""

import keras
import numpy as np
import tensorflow as tf

from harness.bench.reference.step import build_reference_step
from harness.bench.step_variants import RATE
from harness.models.build import build_model
from harness.models.plain import plain_copy
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Model
from harness.training.state import create_state
from harness.training.step import build_step

SPEC = Model(name="apm5-resnet18-v2", image_size=32)
CLASSES = 10
BATCH = 8


def network() -> keras.Model:
    return build_model(SPEC, classes=CLASSES, seed=3)


def batch() -> tuple[tf.Tensor, tf.Tensor]:
    image = tf.random.stateless_normal((BATCH, 32, 32, 3), (1, 2))
    return image, tf.range(BATCH) % CLASSES


def ours(model: keras.Model) -> tuple[float, list[np.ndarray]]:
    recipe = APM5_RESNET50.model_copy(update={"batch": BATCH, "model": SPEC})
    step = build_step(
        create_state(model, float16=False), recipe, tf.distribute.get_strategy(), eager=True
    )
    loss = step(*batch(), tf.constant(RATE)).loss.numpy()
    return float(loss), [v.numpy() for v in model.trainable_variables]


def test_one_step_of_the_reference_and_of_ours() -> None:
    first, second = network(), network()
    reference_loss, accuracy = build_reference_step(first, CLASSES, RATE)(*batch())
    loss, weights = ours(second)
    assert abs(reference_loss - loss) < 1e-5
    assert 0 <= accuracy <= 1
    for variable, other in zip(first.trainable_variables, weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), other, rtol=1e-4, atol=2e-5)


def test_plain_layers_are_the_same_network() -> None:
    fused, plain = network(), plain_copy(network())
    assert not any("Fused" in type(layer).__name__ for layer in plain.layers)
    image, _ = batch()
    np.testing.assert_allclose(
        fused(image, training=True), plain(image, training=True), rtol=1e-3, atol=1e-4
    )
