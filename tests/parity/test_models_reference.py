"""Whole networks against separate computations of the same published definitions."""

import re
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.models.build import build_model
from harness.models.catalogue import find_architecture
from harness.recipes.recipe import Model
from harness.weights.files import WeightArrays
from harness.weights.matching import assign_weights

RANDOM = np.random.RandomState(17)
IMAGES = RANDOM.randn(2, 72, 56, 3).astype(np.float32)
CLASSES = 10
Array = np.ndarray


def trained(name: str) -> keras.Model:
    """A network whose batch normalisations differ from the identity."""
    model = build_model(Model(name=name, image_size=64), classes=CLASSES, seed=3)
    randomise(model)
    return model


def randomise(model: keras.Model) -> None:
    for variable in model.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(RANDOM.rand(*variable.shape) + 0.5)
        elif variable.path.endswith(("beta", "moving_mean")):
            variable.assign(0.3 * RANDOM.randn(*variable.shape))


class Written:
    """The reference's networks (model/ResNet.py, model/ResNet_v2.py) in tf.nn, block by block."""

    def __init__(self, model: keras.Model, version: int, *, extra_relu: bool) -> None:
        self.w = {v.path.replace(".", "/"): np.asarray(v) for v in model.variables}
        self.version = version
        self.extra_relu = extra_relu
        self.blocks = sorted(
            {path.split("/")[0] for path in self.w if re.match(r"conv\d+_\d+/", path)},
            key=lambda name: tuple(map(int, name[4:].split("_"))),
        )

    def conv(self, x: Array, name: str, stride: int = 1) -> Array:
        return tf.nn.conv2d(x, self.w[f"{name}/kernel"], stride, "SAME")

    def norm(self, x: Array, name: str) -> Array:
        kinds = ("moving_mean", "moving_variance", "beta", "gamma")
        return tf.nn.batch_normalization(x, *(self.w[f"{name}/{k}"] for k in kinds), 1e-5)

    def logits(self, x: Array) -> Array:
        x = self.conv(x, "conv0", 2)
        if self.version == 1:
            x = tf.nn.relu(self.norm(x, "bn"))
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        block: Callable[[Array, str], Array] = self.block_v1 if self.version == 1 else self.block_v2
        for name in self.blocks:
            x = block(x, name)
        if self.version == 2:
            x = tf.nn.relu(self.norm(x, "bn"))
        return tf.reduce_mean(x, [1, 2]) @ self.w["fully_connected/kernel"]

    def stride(self, name: str) -> int:
        return 2 if name.endswith("_0") and not name.startswith("conv1_") else 1

    def convolutions(self, name: str) -> int:
        return 3 if f"{name}/conv_2/kernel" in self.w else 2

    def block_v1(self, x: Array, name: str) -> Array:
        n, stride = self.convolutions(name), self.stride(name)
        net = x
        for i in range(n):
            strided = stride if i == n - 2 else 1
            net = self.norm(self.conv(net, f"{name}/conv_{i}", strided), f"{name}/bn_{i}")
            if i < n - 1 or self.extra_relu:
                net = tf.nn.relu(net)
        if f"{name}/projection/kernel" in self.w:
            x = tf.nn.avg_pool2d(x, 2, 2, "SAME") if stride == 2 else x
            x = self.norm(self.conv(x, f"{name}/projection"), f"{name}/shortcut_bn")
        return tf.nn.relu(net + x)

    def block_v2(self, x: Array, name: str) -> Array:
        n, stride = self.convolutions(name), self.stride(name)
        net = shortcut = tf.nn.relu(self.norm(x, f"{name}/bn_0"))
        if f"{name}/projection/kernel" in self.w:
            pooled = tf.nn.avg_pool2d(shortcut, 2, 2, "SAME") if stride == 2 else shortcut
            x = self.conv(pooled, f"{name}/projection")
        for i in range(n):
            if i > 0:
                net = tf.nn.relu(self.norm(net, f"{name}/bn_{i}"))
            net = self.conv(net, f"{name}/conv_{i}", stride if i == n - 2 else 1)
        return net + x


@pytest.mark.parametrize(
    "name",
    ["apm5-resnet18-v1", "apm5-resnet18-v1-2019", "apm5-resnet50-v1", "apm5-resnet50-v2"],
)
def test_the_references_networks(name: str) -> None:
    model = trained(name)
    architecture = find_architecture(name)
    version = 2 if architecture.preactivation else 1
    expected = Written(model, version, extra_relu=architecture.extra_relu).logits(IMAGES)
    np.testing.assert_allclose(
        model(IMAGES, training=False), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def of_keras_name(path: str) -> str:
    """`conv3_block2_1_conv/kernel` of Keras to `conv2_1.conv_0/kernel` here."""
    layer, kind = path.split("/")
    fixed = {"conv1_conv": "conv0", "conv1_bn": "bn", "predictions": "fully_connected"}
    if layer in fixed:
        return f"{fixed[layer]}/{kind}"
    stage, block, place, what = re.match(r"conv(\d)_block(\d+)_(\d)_(\w+)", layer).groups()
    inner = {"conv": "projection", "bn": "shortcut_bn"}[what] if place == "0" else ""
    return f"conv{int(stage) - 1}_{int(block) - 1}.{inner or f'{what}_{int(place) - 1}'}/{kind}"


@pytest.fixture(scope="module")
def published() -> keras.Model:
    """Keras Applications' own network, head included."""
    model = keras.applications.ResNet50(
        weights=None, input_shape=(64, 64, 3), classes=CLASSES, classifier_activation=None
    )
    randomise(model)
    return model


def test_keras_own_network_with_its_weights_imported(published: keras.Model) -> None:
    arrays = {v.path: np.asarray(v) for v in published.variables}
    ours = build_model(Model(name="keras-resnet50", image_size=64), classes=CLASSES, seed=1)
    assign_weights(ours, WeightArrays("keras", "keras_h5", "", arrays))
    images = RANDOM.randn(2, 64, 64, 3).astype(np.float32)
    np.testing.assert_array_equal(ours(images), published(images, training=False))


def test_the_papers_network_is_keras_own_without_biases(published: keras.Model) -> None:
    # Keras has convolution biases (zero here) and epsilon 1.001e-5, else it is the paper's.
    arrays = {of_keras_name(v.path): np.asarray(v) for v in published.variables}
    biases = [p for p in arrays if p.endswith("bias") and not p.startswith("fully_connected")]
    assert not any(arrays.pop(path).any() for path in biases)
    ours = build_model(Model(name="he2015-resnet50", image_size=64), classes=CLASSES, seed=1)
    assign_weights(ours, WeightArrays("keras", "keras_h5", "", arrays))
    images = RANDOM.randn(2, 64, 64, 3).astype(np.float32)
    expected = np.asarray(published(images, training=False))
    np.testing.assert_allclose(ours(images), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_option_a_subsamples_and_adds_channels_of_zeros() -> None:
    model = trained("he2015-resnet18-a")
    layer = model.get_layer("conv2_0.subsample")
    inputs = RANDOM.randn(1, 5, 4, 64).astype(np.float32)
    outputs = np.asarray(layer(inputs))
    assert outputs.shape == (1, 3, 2, 128)
    np.testing.assert_array_equal(outputs[..., :64], inputs[:, ::2, ::2])
    assert not outputs[..., 64:].any()


def test_v1_5_has_its_stride_on_the_3x3() -> None:
    for name, strided in (("resnet50-v1.5", "conv_1"), ("he2015-resnet50", "conv_0")):
        model = build_model(Model(name=name, image_size=64), classes=CLASSES, seed=1)
        strides = {i: model.get_layer(f"conv2_0.{i}").strides for i in ("conv_0", "conv_1")}
        assert [k for k, v in strides.items() if v == (2, 2)] == [strided]
