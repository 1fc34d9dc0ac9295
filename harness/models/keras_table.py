"""The variables of Keras Applications' ResNets as a table, without building them.

Source: keras.applications.resnet (`residual_block_v1`, `residual_block_v2`).
"""

from collections.abc import Iterator

from harness.models.variables import VariableSpec

KERAS_NAMES = {
    "keras-resnet50": "ResNet50",
    "keras-resnet101": "ResNet101",
    "keras-resnet152": "ResNet152",
    "keras-resnet50v2": "ResNet50V2",
    "keras-resnet101v2": "ResNet101V2",
    "keras-resnet152v2": "ResNet152V2",
}
_BLOCKS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}


def keras_table(name: str, classes: int, channels: int = 3) -> tuple[VariableSpec, ...]:
    """Every variable of one of Keras Applications' ResNets, by the channels of its images."""
    depth = name.removeprefix("keras-resnet").removesuffix("v2")
    variables = _v2 if name.endswith("v2") else _v1
    return tuple(variables(_BLOCKS[depth], classes, channels))


def _v1(blocks: tuple[int, ...], classes: int, inputs: int) -> Iterator[VariableSpec]:
    yield from _conv("conv1_conv", 7, inputs, 64)
    yield from _batch_norm("conv1_bn", 64)
    channels = 64
    for stage, count in enumerate(blocks):
        filters = 64 * 2**stage
        for block in range(1, count + 1):
            name = f"conv{stage + 2}_block{block}"
            if block == 1:
                yield from _conv(f"{name}_0_conv", 1, channels, 4 * filters)
                yield from _batch_norm(f"{name}_0_bn", 4 * filters)
            yield from _conv(f"{name}_1_conv", 1, channels, filters)
            yield from _batch_norm(f"{name}_1_bn", filters)
            yield from _conv(f"{name}_2_conv", 3, filters, filters)
            yield from _batch_norm(f"{name}_2_bn", filters)
            yield from _conv(f"{name}_3_conv", 1, filters, 4 * filters)
            yield from _batch_norm(f"{name}_3_bn", 4 * filters)
            channels = 4 * filters
    yield from _dense(channels, classes)


def _v2(blocks: tuple[int, ...], classes: int, inputs: int) -> Iterator[VariableSpec]:
    yield from _conv("conv1_conv", 7, inputs, 64)
    channels = 64
    for stage, count in enumerate(blocks):
        filters = 64 * 2**stage
        for block in range(1, count + 1):
            name = f"conv{stage + 2}_block{block}"
            yield from _batch_norm(f"{name}_preact_bn", channels)
            if block == 1:
                yield from _conv(f"{name}_0_conv", 1, channels, 4 * filters)
            yield from _conv(f"{name}_1_conv", 1, channels, filters, bias=False)
            yield from _batch_norm(f"{name}_1_bn", filters)
            yield from _conv(f"{name}_2_conv", 3, filters, filters, bias=False)
            yield from _batch_norm(f"{name}_2_bn", filters)
            yield from _conv(f"{name}_3_conv", 1, filters, 4 * filters)
            channels = 4 * filters
    yield from _batch_norm("post_bn", channels)
    yield from _dense(channels, classes)


def _conv(
    name: str, size: int, channels: int, filters: int, *, bias: bool = True
) -> Iterator[VariableSpec]:
    yield VariableSpec(name, "", "kernel", (size, size, channels, filters))
    if bias:
        yield VariableSpec(name, "", "bias", (filters,))


def _batch_norm(name: str, channels: int) -> Iterator[VariableSpec]:
    for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
        yield VariableSpec(name, "", kind, (channels,))


def _dense(channels: int, classes: int) -> Iterator[VariableSpec]:
    yield VariableSpec("predictions", "", "kernel", (channels, classes))
    yield VariableSpec("predictions", "", "bias", (classes,))
