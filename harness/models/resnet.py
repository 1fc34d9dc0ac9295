"""Residual networks as functional Keras models that end in logits.

Layers carry the reference's names, with a dot where a legacy weight file has a
slash: `conv2_0.bn_1` is `conv2_0/bn_1`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from harness.models.architecture import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    Architecture,
)
from harness.models.batch_norm import FusedBatchNormalization
from harness.models.pointwise import PointwiseConvolution
from harness.models.variables import layer_name

Layer = Callable[[Any], Any]


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network.

    Attributes:
        compute: Dtype policy of every layer but the head: `float32`,
            `mixed_bfloat16` or `mixed_float16`.
        synchronised: Batch statistics over all replicas.
        pointwise_products: Kernel gradients of 1x1 convolutions as matrix products.
    """

    compute: str
    synchronised: bool
    pointwise_products: bool

    def convolution(
        self, name: str, filters: int, size: int, stride: int, padding: str = "same"
    ) -> Layer:
        """A convolution without bias; its kernel is drawn later, from the seed."""
        pointwise = self.pointwise_products and size == stride == 1
        layer: Layer = (PointwiseConvolution if pointwise else keras.layers.Conv2D)(
            filters,
            size,
            strides=stride,
            padding=padding,
            use_bias=False,
            kernel_initializer="zeros",
            dtype=self.compute,
            name=name,
        )
        return layer

    def batch_norm(self, name: str) -> Layer:
        """Fused batch normalisation with the reference's momentum and epsilon."""
        layer: Layer = FusedBatchNormalization(
            momentum=BATCH_NORM_MOMENTUM,
            epsilon=BATCH_NORM_EPSILON,
            synchronized=self.synchronised,
            dtype=self.compute,
            name=name,
        )
        return layer

    def relu(self, name: str) -> Layer:
        """Rectifier."""
        layer: Layer = keras.layers.ReLU(dtype=self.compute, name=name)
        return layer


def build_resnet(
    architecture: Architecture, classes: int, layers: Layers, channels: int = 3
) -> keras.Model:
    """Build the network.

    Returns:
        A model from float32 [B, H, W, channels] of any height and width to float32
        logits [B, classes], all kernels zero.
    """
    inputs = keras.Input((None, None, channels), name="image")
    net = _stem(architecture, layers, inputs)
    for stage, count in enumerate(architecture.blocks):
        for block in range(count):
            make = _block_v2 if architecture.preactivation else _block_v1
            net = make(architecture, layers, net, stage, block)
    if architecture.preactivation:
        net = layers.relu("relu")(layers.batch_norm("bn")(net))
    return keras.Model(
        inputs, head(net, classes, bias=architecture.head_bias), name=architecture.name
    )


def head(features: Any, classes: int, *, bias: bool, name: str = "fully_connected") -> Any:
    """Global average pooling and a dense layer, in float32 under every precision."""
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32", name="global_average_pooling2d")(
        features
    )
    return keras.layers.Dense(
        classes, use_bias=bias, kernel_initializer="zeros", dtype="float32", name=name
    )(pooled)


def _stem(a: Architecture, layers: Layers, net: Any) -> Any:
    if a.small_stem:
        net = layers.convolution("conv0", a.filters[0], 3, 1)(net)
        return layers.relu("relu")(layers.batch_norm("bn")(net))
    padding = "valid" if a.symmetric_padding else "same"
    if a.symmetric_padding:
        net = keras.layers.ZeroPadding2D(3, dtype=layers.compute, name="conv0.pad")(net)
    net = layers.convolution("conv0", a.filters[0], 7, 2, padding)(net)
    if not a.preactivation:
        net = layers.relu("relu")(layers.batch_norm("bn")(net))
    if a.symmetric_padding:
        # Zeros are neutral for the maximum, because a ReLU precedes it.
        net = keras.layers.ZeroPadding2D(1, dtype=layers.compute, name="pool.pad")(net)
    return keras.layers.MaxPooling2D(
        3, strides=2, padding=padding, dtype=layers.compute, name="pool"
    )(net)


def _block_v1(a: Architecture, layers: Layers, inputs: Any, stage: int, block: int) -> Any:
    """Convolution, batch normalisation, ReLU; addition, ReLU."""
    name = f"conv{stage + 1}_{block}"
    convolutions = a.convolutions(stage)
    net = inputs
    for i, (size, filters) in enumerate(convolutions):
        stride = _stride(a, stage, block, i)
        net = _convolve(a, layers, layer_name(name, f"conv_{i}"), (size, filters), stride)(net)
        net = layers.batch_norm(layer_name(name, f"bn_{i}"))(net)
        if i < len(convolutions) - 1 or a.extra_relu:
            net = layers.relu(layer_name(name, f"relu_{i}"))(net)
    shortcut = _shortcut(a, layers, inputs, stage, block)
    if a.projects(stage, block):
        shortcut = layers.batch_norm(layer_name(name, "shortcut_bn"))(shortcut)
    net = keras.layers.Add(dtype=layers.compute, name=layer_name(name, "add"))([net, shortcut])
    return layers.relu(layer_name(name, "relu"))(net)


def _block_v2(a: Architecture, layers: Layers, inputs: Any, stage: int, block: int) -> Any:
    """Batch normalisation, ReLU, convolution; the projection takes the activated input."""
    name = f"conv{stage + 1}_{block}"
    net = inputs
    shortcut = inputs
    for i, (size, filters) in enumerate(a.convolutions(stage)):
        net = layers.batch_norm(layer_name(name, f"bn_{i}"))(net)
        net = layers.relu(layer_name(name, f"relu_{i}"))(net)
        if i == 0 and a.projects(stage, block):
            shortcut = _shortcut(a, layers, net, stage, block)
        stride = _stride(a, stage, block, i)
        net = _convolve(a, layers, layer_name(name, f"conv_{i}"), (size, filters), stride)(net)
    return keras.layers.Add(dtype=layers.compute, name=layer_name(name, "add"))([net, shortcut])


def _stride(a: Architecture, stage: int, block: int, convolution: int) -> int:
    return 2 if stage > 0 and block == 0 and convolution == a.strided_convolution else 1


def _convolve(
    a: Architecture, layers: Layers, name: str, shape: tuple[int, int], stride: int
) -> Layer:
    """A block's convolution of (size, filters), padded alike on both sides if the source does."""
    size, filters = shape
    if not (a.symmetric_padding and stride > 1 and size > 1):
        return layers.convolution(name, filters, size, stride)
    pad = keras.layers.ZeroPadding2D(size // 2, dtype=layers.compute, name=f"{name}.pad")
    convolution = layers.convolution(name, filters, size, stride, "valid")
    return lambda net: convolution(pad(net))


def _shortcut(a: Architecture, layers: Layers, net: Any, stage: int, block: int) -> Any:
    """The other branch, before its batch normalisation."""
    name = f"conv{stage + 1}_{block}"
    stride = 2 if stage > 0 and block == 0 else 1
    if a.projects(stage, block):
        if stride == 2 and a.shortcut == "pooled_projection":
            net = keras.layers.AveragePooling2D(
                2, strides=2, padding="same", dtype=layers.compute, name=layer_name(name, "pool")
            )(net)
            stride = 1
        projection = layers.convolution(layer_name(name, "projection"), a.width(stage), 1, stride)
        return projection(net)
    if stride == 2:
        return ZeroPaddedSubsampling(
            a.width(stage), dtype=layers.compute, name=layer_name(name, "subsample")
        )(net)
    return net


@keras.saving.register_keras_serializable(package="harness")
class ZeroPaddedSubsampling(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """Option A of He et al. 2015: every second pixel, further channels zero.

    float [B, H, W, C] to [B, ceil(H/2), ceil(W/2), channels].
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def call(self, inputs: Any) -> Any:
        """Subsample and pad."""
        missing = self.channels - inputs.shape[-1]
        return keras.ops.pad(inputs[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [0, missing]])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "channels": self.channels}
