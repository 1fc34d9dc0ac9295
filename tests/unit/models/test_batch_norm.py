import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.models.batch_norm import FusedBatchNormalization
from harness.models.build import build_model
from harness.recipes.recipe import Model

EPSILON = 1e-5
RANDOM = np.random.RandomState(3)
INPUTS = (RANDOM.randn(2, 4, 4, 5) * [1, 2, 3, 4, 5] + 7).astype(np.float32)


def layer(**settings: object) -> FusedBatchNormalization:
    made = FusedBatchNormalization(momentum=0.9, epsilon=EPSILON, **settings)
    made.build((None, None, None, 5))
    made.gamma.assign(RANDOM.rand(5).astype(np.float32))
    made.beta.assign(RANDOM.rand(5).astype(np.float32))
    return made


def test_training_normalises_by_the_batch_and_moves_by_the_legacy_rule() -> None:
    norm = layer()
    outputs = norm(INPUTS, training=True)
    values = INPUTS.astype(np.float64).reshape(-1, 5)
    n = len(values)
    mean, variance = values.mean(0), values.var(0)
    expected = (INPUTS - mean) / np.sqrt(variance + EPSILON) * np.asarray(norm.gamma)
    np.testing.assert_allclose(outputs, expected + np.asarray(norm.beta), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-5)
    # Legacy Keras: the unbiased variance, n / (n - 1), 3 % more at n = 32.
    moved = 0.9 + 0.1 * variance * n / (n - 1)
    np.testing.assert_allclose(norm.moving_variance, moved, rtol=1e-5)


def _exact(
    values: np.ndarray, gamma: np.ndarray, beta: np.ndarray, upstream: np.ndarray
) -> dict[str, np.ndarray]:
    """Training in float64: outputs, batch statistics, and gradients of `sum(outputs * upstream)`.

    The gradient is that of Ioffe and Szegedy 2015, section 3, in its closed form.
    """
    axes = (0, 1, 2)
    x, u = values.astype(np.float64), upstream.astype(np.float64)
    n = x[..., 0].size
    mean, variance = x.mean(axes), x.var(axes)
    normal = (x - mean) / np.sqrt(variance + EPSILON)
    inner = u - u.mean(axes) - normal * (u * normal).mean(axes)
    return {
        "outputs": normal * gamma + beta,
        "mean": mean,
        "variance": variance * n / (n - 1),
        "inputs": gamma / np.sqrt(variance + EPSILON) * inner,
        "gamma": (u * normal).sum(axes),
        "beta": u.sum(axes),
    }


@pytest.mark.parametrize("shape", [(8, 7, 7, 64), (4, 28, 28, 16), (2, 3, 5, 3)])
def test_training_agrees_with_float64_over_several_steps(shape: tuple[int, ...]) -> None:
    """Compiled, as within a step: on a processor other kernels may be chosen than one by one."""
    random = np.random.default_rng(9)
    norm = FusedBatchNormalization(momentum=0.9, epsilon=EPSILON)
    norm.build((None, None, None, shape[-1]))
    gamma, beta = random.uniform(0.5, 1.5, shape[-1]), random.normal(size=shape[-1])
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)

    @tf.function
    def train(inputs: tf.Tensor, upstream: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = norm(inputs, training=True)
            loss = tf.reduce_sum(outputs * upstream)
        wanted = {"inputs": inputs, "gamma": norm.gamma.value, "beta": norm.beta.value}
        return {"outputs": outputs, **tape.gradient(loss, wanted)}

    mean, variance = np.zeros(shape[-1]), np.ones(shape[-1])
    for _ in range(3):
        values = random.normal(0.5, 2.0, shape).astype(np.float32)
        upstream = random.normal(size=shape).astype(np.float32)
        found = train(tf.constant(values), tf.constant(upstream))
        exact = _exact(values, gamma, beta, upstream)
        for name, value in found.items():
            largest = np.abs(exact[name]).max()
            np.testing.assert_allclose(value, exact[name], rtol=0, atol=1e-5 * largest)
        mean = 0.9 * mean + 0.1 * exact["mean"]
        variance = 0.9 * variance + 0.1 * exact["variance"]
        np.testing.assert_allclose(norm.moving_mean, mean, rtol=0, atol=1e-6)
        np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-5)


def test_every_normalisation_of_a_built_network_has_the_sources_settings() -> None:
    spec = Model(name="he2015-cifar-resnet20-b", image_size=28)
    model = build_model(spec, classes=10, seed=1, channels=1)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 1 + 2 * 9 + 2
    assert {type(norm) for norm in norms} == {FusedBatchNormalization}
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


def test_the_layer_of_keras_3_moves_without_the_factor() -> None:
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)
    norm(INPUTS, training=True)
    biased = 0.9 + 0.1 * INPUTS.astype(np.float64).reshape(-1, 5).var(0)
    np.testing.assert_allclose(norm.moving_variance, biased, rtol=1e-5)


def test_inference_uses_the_moving_statistics() -> None:
    norm = layer()
    mean, variance = RANDOM.randn(5), RANDOM.rand(5) + 0.5
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
    expected = (INPUTS - mean) / np.sqrt(variance + EPSILON) * np.asarray(norm.gamma)
    expected += np.asarray(norm.beta)
    np.testing.assert_allclose(norm(INPUTS, training=False), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-6)


def test_a_frozen_layer_stays_as_it_is() -> None:
    norm = layer()
    norm.trainable = False
    outputs = norm(INPUTS, training=True)
    np.testing.assert_array_equal(outputs, norm(INPUTS, training=False))
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(5))


def test_gradients_agree_with_the_layer_of_keras() -> None:
    fused, plain = layer(), keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)
    plain.build((None, None, None, 5))
    plain.gamma.assign(fused.gamma)
    plain.beta.assign(fused.beta)
    weights = RANDOM.randn(*INPUTS.shape).astype(np.float32)
    found = [_gradients(norm, weights) for norm in (fused, plain)]
    for mine, keras_own in zip(*found, strict=True):
        np.testing.assert_allclose(mine, keras_own, rtol=1e-4, atol=1e-5)


def _gradients(norm: keras.layers.Layer, weights: np.ndarray) -> list[np.ndarray]:
    inputs = tf.constant(INPUTS)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(norm(inputs, training=True) * weights)
    return [np.asarray(g) for g in tape.gradient(loss, [inputs, norm.gamma.value, norm.beta.value])]


@pytest.mark.parametrize("compute", ["mixed_bfloat16", "mixed_float16"])
def test_statistics_stay_float32_in_lower_precision(compute: str) -> None:
    norm = layer(dtype=compute)
    outputs = norm(INPUTS, training=True)
    assert outputs.dtype == tf.as_dtype(compute.removeprefix("mixed_"))
    assert norm.moving_mean.dtype == "float32"
    mean = INPUTS.astype(np.float64).reshape(-1, 5).mean(0)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=5e-3)
