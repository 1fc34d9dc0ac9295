"""The loss and its gradient against float64 NumPy, and which variables carry weight decay."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.models.build import build_model
from harness.recipes.recipe import Model
from harness.training.loss import decayed_mask, smoothed_cross_entropy


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def smoothed(labels: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    return np.eye(classes)[labels] * (1 - smoothing) + smoothing / classes


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("scale", [0.1, 5.0, 60.0])
def test_value_and_gradient(smoothing: float, scale: float) -> None:
    generator = np.random.default_rng(3)
    logits = (scale * generator.normal(size=(6, 11))).astype(np.float32)
    labels = generator.integers(0, 11, 6).astype(np.int32)
    exact = logits.astype(np.float64)
    target = smoothed(labels, 11, smoothing)
    expected = -(target * np.log(np.maximum(softmax(exact), 1e-300))).sum(axis=-1)

    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = smoothed_cross_entropy(variable, tf.constant(labels), smoothing)
    gradient = tape.gradient(loss, variable)

    np.testing.assert_allclose(loss, expected, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(gradient, softmax(exact) - target, rtol=0, atol=1e-6)


def test_is_keras_smoothing() -> None:
    generator = np.random.default_rng(4)
    logits = generator.normal(size=(5, 7)).astype(np.float32)
    labels = np.int32([0, 6, 3, 3, 1])
    reference = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.1, reduction=None
    )
    ours = smoothed_cross_entropy(tf.constant(logits), tf.constant(labels), 0.1)
    np.testing.assert_allclose(ours, reference(np.eye(7)[labels], logits), rtol=1e-6)


@pytest.mark.parametrize("name", ["apm5-resnet18-v2", "apm5-resnet50-v1"])
def test_kernels_of_convolutions_and_the_dense_layer_are_decayed(name: str) -> None:
    model = build_model(Model(name=name, image_size=32), classes=10, seed=1)
    variables = model.trainable_variables
    chosen = decayed_mask([v.path for v in variables], "kernels")
    # Kernels have two or four dimensions; biases, gamma and beta have one.
    assert list(chosen) == [len(v.shape) > 1 for v in variables]
    assert sum(chosen) > 18
    assert all(decayed_mask([v.path for v in variables], "all"))
