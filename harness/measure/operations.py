"""Multiply-adds of a network, counted from its TensorFlow graph.

Convolutions and matrix products count; everything else of a residual network
is less than one percent of them. Padding counts as in the published figures:
a 3x3 kernel has nine multiply-adds at a border too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import tensorflow as tf

TRAINING_PASSES = 3
"""Forward, gradient by input, gradient by weights: each costs one forward's multiply-adds."""

FLOPS_PER_MULTIPLY_ADD = 2
BYTES_PER_FLOAT32 = 4


@dataclass(frozen=True)
class Operation:
    """One convolution or matrix product of a forward pass over one image.

    Attributes:
        name: Its layer's name.
        kind: The TensorFlow operation's type.
        kernel: Shape of the kernel.
        output: Shape of the output without the batch.
        multiply_adds: For one image.
        activation_bytes: Input and output of one image as float32.
        weight_bytes: The kernel as float32.
    """

    name: str
    kind: str
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    multiply_adds: int
    activation_bytes: int
    weight_bytes: int


def count_operations(
    model: Any, image_size: int, channels: int | None = None
) -> tuple[Operation, ...]:
    """Every convolution and matrix product of `model` in inference mode.

    Args:
        model: A `keras.Model`, or any callable with `training`, from float32
            [1, image_size, image_size, channels].
        image_size: Height and width of the input in pixels.
        channels: Channels of the input; None takes the network's, else 3.
    """
    if channels is None:
        channels = getattr(model, "input_shape", (3,))[-1]
    shape = tf.TensorSpec((1, image_size, image_size, channels), tf.float32)
    forward = tf.function(lambda image: model(image, training=False), autograph=False)
    traced = forward.get_concrete_function(shape)
    layers = frozenset(layer.name for layer in getattr(model, "layers", ()))
    return tuple(
        _counted(op, _layer_name(path, layers))
        for path, op in _operations(traced.graph)
        if op.type in _COUNTS
    )


def multiply_adds(model: Any, image_size: int, channels: int | None = None) -> int:
    """Multiply-adds of one image's forward pass."""
    return sum(op.multiply_adds for op in count_operations(model, image_size, channels))


def training_flops(
    forward_multiply_adds: int, images: int, *, trunk_is_frozen: bool = False
) -> int:
    """Floating-point operations to train on `images` images: forward and both gradients.

    Below a frozen trunk nothing is derived, and its head is less than a percent of one pass.
    """
    return (
        (1 if trunk_is_frozen else TRAINING_PASSES)
        * FLOPS_PER_MULTIPLY_ADD
        * forward_multiply_adds
        * images
    )


def forward_flops(forward_multiply_adds: int, images: int) -> int:
    """Floating-point operations to evaluate `images` images or crops."""
    return FLOPS_PER_MULTIPLY_ADD * forward_multiply_adds * images


def _operations(graph: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All operations with their path, those of called functions included."""
    for op in graph.get_operations():
        if op.type in {"PartitionedCall", "StatefulPartitionedCall"}:
            called = graph._get_function(op.get_attr("f").name).graph  # noqa: SLF001 - there is no public way to a called function's graph
            yield from _operations(called, f"{path}{op.name}/")
        else:
            yield f"{path}{op.name}", op


def _counted(op: Any, name: str) -> Operation:
    source, kernel = (tuple(tensor.shape) for tensor in op.inputs[:2])
    output = tuple(op.outputs[0].shape)
    count: int = _COUNTS[op.type](op, kernel, output)
    return Operation(
        name=name,
        kind=op.type,
        kernel=kernel,
        output=output[1:],
        multiply_adds=count,
        activation_bytes=BYTES_PER_FLOAT32 * (prod(source[1:]) + prod(output[1:])),
        weight_bytes=BYTES_PER_FLOAT32 * prod(kernel),
    )


def _convolution(op: Any, kernel: tuple[int, ...], output: tuple[int, ...]) -> int:
    # The kernel's third dimension is the input channels of one group.
    del op
    return prod(output[1:]) * prod(kernel[:3])


def _depthwise(op: Any, kernel: tuple[int, ...], output: tuple[int, ...]) -> int:
    del op
    return prod(output[1:]) * prod(kernel[:2])


def _product(op: Any, kernel: tuple[int, ...], output: tuple[int, ...]) -> int:
    inner = kernel[1] if op.get_attr("transpose_b") else kernel[0]
    return prod(output[1:]) * inner


_COUNTS = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "MatMul": _product,
}


def _layer_name(path: str, layers: frozenset[str]) -> str:
    """The layer of `model/conv2_0.conv_1_1/convolution`: scopes used before get a number."""
    for scope in reversed(path.split("/")):
        for name in (scope, scope.rpartition("_")[0]):
            if name in layers:
                return name
    return path
