"""The variables of a network as a table, without building it.

One table serves counts, the import of weight files (which shape has which
name, which model does this file fit) and the check of what was built.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from harness.models.architecture import Architecture

Kind = Literal["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]

MOVING: frozenset[Kind] = frozenset({"moving_mean", "moving_variance"})


@dataclass(frozen=True)
class VariableSpec:
    """One variable.

    Attributes:
        block: The layer or residual block that holds it, such as `conv2_0`.
        layer: Layer within the block, such as `bn_1`; empty where the block is one layer.
        kind: What it is.
        shape: Its shape; convolution kernels are height, width, input, output.
    """

    block: str
    layer: str
    kind: Kind
    shape: tuple[int, ...]

    @property
    def path(self) -> str:
        """The path of the Keras variable, such as `conv2_0.bn_1/gamma`."""
        return f"{layer_name(self.block, self.layer)}/{self.kind}"

    @property
    def legacy_name(self) -> str:
        """The name in a legacy `.h5` file, such as `conv2_0/bn_1/gamma:0`."""
        parts = [self.block, self.layer, self.kind] if self.layer else [self.block, self.kind]
        return "/".join(parts) + ":0"

    @property
    def trainable(self) -> bool:
        """Whether it is learned by gradients."""
        return self.kind not in MOVING

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)


def layer_name(block: str, layer: str = "") -> str:
    """Name of a Keras layer; Keras forbids the slash that legacy names have."""
    return f"{block}.{layer}" if layer else block


def variable_table(
    architecture: Architecture, classes: int, channels: int = 3
) -> tuple[VariableSpec, ...]:
    """Every variable in the order of creation of the reference's layers.

    Within a block: the projection, its batch normalisation (v1), the
    convolutions, their batch normalisations. `channels` are those of the images.
    """
    return tuple(_variables(architecture, classes, channels))


def _variables(architecture: Architecture, classes: int, inputs: int) -> Iterator[VariableSpec]:
    size, channels = 3 if architecture.small_stem else 7, architecture.filters[0]
    yield VariableSpec("conv0", "", "kernel", (size, size, inputs, channels))
    if not architecture.preactivation:
        yield from _batch_norm("bn", "", channels)
    for stage, count in enumerate(architecture.blocks):
        for block in range(count):
            yield from _block(architecture, stage, block, channels)
            channels = architecture.width(stage)
    if architecture.preactivation:
        yield from _batch_norm("bn", "", channels)
    yield VariableSpec("fully_connected", "", "kernel", (channels, classes))
    if architecture.head_bias:
        yield VariableSpec("fully_connected", "", "bias", (classes,))


def _block(a: Architecture, stage: int, block: int, channels: int) -> Iterator[VariableSpec]:
    name = f"conv{stage + 1}_{block}"
    if a.projects(stage, block):
        yield VariableSpec(name, "projection", "kernel", (1, 1, channels, a.width(stage)))
        if not a.preactivation:
            yield from _batch_norm(name, "shortcut_bn", a.width(stage))
    widths = [channels, *(filters for _, filters in a.convolutions(stage))]
    for i, (size, filters) in enumerate(a.convolutions(stage)):
        yield VariableSpec(name, f"conv_{i}", "kernel", (size, size, widths[i], filters))
    for i, filters in enumerate(widths[:-1] if a.preactivation else widths[1:]):
        yield from _batch_norm(name, f"bn_{i}", filters)


def _batch_norm(block: str, layer: str, channels: int) -> Iterator[VariableSpec]:
    kinds: tuple[Kind, ...] = ("gamma", "beta", "moving_mean", "moving_variance")
    for kind in kinds:
        yield VariableSpec(block, layer, kind, (channels,))
