"""Multiply-adds against published counts and against arithmetic by hand."""

import keras
import pytest

from harness.measure.operations import (
    count_operations,
    forward_flops,
    multiply_adds,
    training_flops,
)
from harness.models.build import build_model
from harness.recipes.recipe import Model

PUBLISHED_G = {
    "apm5-resnet18-v2": 1.814,
    "apm5-resnet50-v2": 4.089,  # stride on the 3x3 convolution
    "he2015-resnet50": 3.858,  # stride on the 1x1 convolution
    "keras-resnet50v2": 3.482,  # stride at the end of a stack
}
PUBLISHED_LARGE_G = {
    "apm5-resnet18-v1": 1.814,
    "apm5-resnet34-v1": 3.664,
    "apm5-resnet34-v2": 3.664,
    "apm5-resnet50-v1": 4.089,
    "apm5-resnet101-v1": 7.801,
    "apm5-resnet101-v2": 7.801,
    "apm5-resnet152-v1-paper": 11.514,
    "apm5-resnet152-v2-paper": 11.514,
    "he2015-resnet101": 7.570,
    "he2015-resnet152": 11.282,
    "keras-resnet50": 3.858,
    "keras-resnet101v2": 7.194,
    "keras-resnet152v2": 10.907,
}


def counted_g(name: str) -> float:
    model = build_model(Model(name=name, image_size=224), classes=1000, seed=0)
    return round(multiply_adds(model, 224) / 1e9, 3)


@pytest.mark.parametrize(("name", "published"), PUBLISHED_G.items())
def test_counts_equal_the_published_ones(name: str, published: float) -> None:
    assert counted_g(name) == published


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), PUBLISHED_LARGE_G.items())
def test_counts_of_every_family_equal_the_published_ones(name: str, published: float) -> None:
    assert counted_g(name) == published


def test_each_operation_by_hand() -> None:
    inputs = keras.Input((10, 10, 4))
    net = keras.layers.Conv2D(6, 3, strides=2, padding="valid", groups=2, name="grouped")(inputs)
    net = keras.layers.DepthwiseConv2D(3, padding="same", name="deep")(net)
    net = keras.layers.GlobalAveragePooling2D()(net)
    model = keras.Model(inputs, keras.layers.Dense(5, name="last")(net))
    grouped, deep, last = count_operations(model, 10, channels=4)
    assert (grouped.name, grouped.multiply_adds) == ("grouped", 4 * 4 * 6 * 3 * 3 * 2)
    assert (deep.name, deep.multiply_adds) == ("deep", 4 * 4 * 6 * 3 * 3)
    assert (last.name, last.multiply_adds) == ("last", 6 * 5)
    assert grouped.activation_bytes == 4 * (10 * 10 * 4 + 4 * 4 * 6)
    assert grouped.weight_bytes == 4 * 3 * 3 * 2 * 6


def test_operations_inside_called_functions_count_too() -> None:
    import tensorflow as tf

    dense = keras.layers.Dense(3)
    dense.build((None, 48))

    class Wrapped:
        @tf.function(autograph=False)
        def __call__(self, image: tf.Tensor, training: bool) -> tf.Tensor:
            del training
            return dense(tf.reshape(image, (1, 48)))

    assert multiply_adds(Wrapped(), 4) == 48 * 3


def test_a_training_step_is_three_forward_passes() -> None:
    # 24.5 GFLOP an image: ResNet-50 with its stride on the 3x3 convolution.
    assert training_flops(4_089_184_256, images=1) == 6 * 4_089_184_256
    assert forward_flops(4_089_184_256, images=10) == 20 * 4_089_184_256
