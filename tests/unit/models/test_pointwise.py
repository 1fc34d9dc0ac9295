"""1x1 convolutions: the function of Keras' layer, and the kernel's gradient by one product."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.models.build import build_model
from harness.models.plain import plain_convolutions
from harness.models.pointwise import PointwiseConvolution
from harness.recipes.recipe import Model, Precision

RANDOM = np.random.RandomState(5)


def pair(filters: int, channels: int) -> tuple[PointwiseConvolution, keras.layers.Conv2D]:
    made = [
        kind(filters, 1, use_bias=False, name="conv")
        for kind in (PointwiseConvolution, keras.layers.Conv2D)
    ]
    kernel = RANDOM.randn(1, 1, channels, filters).astype(np.float32)
    for layer in made:
        layer.build((None, None, None, channels))
        layer.kernel.assign(kernel)
    return made[0], made[1]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 3, 4), (3, 8, 8, 16)])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_are_those_of_float64(shape: tuple[int, ...], compiled: bool) -> None:
    layer, keras_layer = pair(filters=6, channels=shape[-1])
    image = RANDOM.randn(*shape).astype(np.float32)
    upstream = RANDOM.randn(*shape[:-1], 6).astype(np.float32)

    def gradients(values: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values)
        sources = [values, layer.kernel.value]
        return outputs, tape.gradient(outputs, sources, output_gradients=upstream)

    run = tf.function(gradients) if compiled else gradients
    outputs, (of_image, of_kernel) = run(tf.constant(image))
    np.testing.assert_array_equal(outputs, keras_layer(image))
    rows, grads = (a.astype(np.float64).reshape(-1, a.shape[-1]) for a in (image, upstream))
    kernel = np.asarray(layer.kernel, np.float64)[0, 0]
    np.testing.assert_allclose(of_kernel[0, 0], rows.T @ grads, rtol=1e-5, atol=1e-5)
    expected = (grads @ kernel.T).reshape(shape)
    np.testing.assert_allclose(of_image, expected, rtol=1e-5, atol=1e-5)


def kinds(model: keras.Model) -> dict[str, bool]:
    """Whether each 1x1 convolution of stride 1 is the one by products."""
    return {
        layer.name: isinstance(layer, PointwiseConvolution)
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
        and layer.kernel_size == (1, 1)
        and layer.strides == (1, 1)
    }


def test_a_network_uses_it_in_float32_alone() -> None:
    spec = Model(name="apm5-resnet50-v2", image_size=32)
    network = build_model(spec, classes=10, seed=1)
    assert len(kinds(network)) > 30
    assert all(kinds(network).values())
    bfloat16 = build_model(spec, classes=10, seed=1, precision=Precision(compute="bfloat16"))
    assert not any(kinds(bfloat16).values())


def test_a_gpu_that_is_hidden_from_the_process_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind=None: ["GPU"])
    network = build_model(Model(name="apm5-resnet50-v2", image_size=32), classes=10, seed=1)
    assert all(kinds(network).values())


def test_plain_convolutions_are_the_same_network() -> None:
    network = build_model(Model(name="apm5-resnet50-v2", image_size=32), classes=10, seed=1)
    plain = plain_convolutions(network)
    assert kinds(plain).keys() == kinds(network).keys()
    assert not any(kinds(plain).values())
    image = RANDOM.randn(2, 32, 32, 3).astype(np.float32)
    np.testing.assert_array_equal(network(image), plain(image))
