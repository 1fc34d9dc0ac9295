"""A network for inference with batch normalisation folded into the convolutions before it.

The result differs from the unfolded network by rounding alone; because bits
differ, an evaluation that folds is another protocol (`fold_batch_norm`).
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from harness.errors import ModelError
from harness.models.architecture import BATCH_NORM_EPSILON, Architecture
from harness.models.catalogue import find_architecture
from harness.models.resnet import Layer, Layers, build_resnet
from harness.models.variables import layer_name


@dataclass(frozen=True)
class FoldedLayers(Layers):
    """Makes convolutions with a bias where a batch normalisation is left out.

    Attributes:
        folded: Name of the convolution to that of the batch normalisation after it.
    """

    folded: dict[str, str]

    def convolution(
        self, name: str, filters: int, size: int, stride: int, padding: str = "same"
    ) -> Layer:
        """A convolution, with the bias that its batch normalisation leaves."""
        layer: Layer = keras.layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding=padding,
            use_bias=name in self.folded,
            kernel_initializer="zeros",
            dtype=self.compute,
            name=name,
        )
        return layer

    def batch_norm(self, name: str) -> Layer:
        """Nothing where it is folded."""
        if name in self.folded.values():
            return lambda net: net
        return super().batch_norm(name)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Build the folded network with a model's present weights.

    Args:
        model: One that `build_model` made from a residual network of this project.

    Returns:
        A model with the same inputs and outputs, for inference alone.

    Raises:
        ModelError: a network of Keras Applications.
    """
    architecture = _residual(model)
    folded = folded_pairs(architecture)
    policy = model.get_layer("conv0").dtype_policy.name
    layers = FoldedLayers(
        compute=policy, synchronised=False, pointwise_products=False, folded=folded
    )
    channels, classes = int(model.input_shape[-1]), int(model.output_shape[-1])
    result = build_resnet(architecture, classes, layers, channels)
    fold_into(result, model)
    return result


def fold_into(result: keras.Model, model: keras.Model) -> None:
    """Bring a model's present weights into the network that `fold_batch_norm` made of it.

    Raises:
        ModelError: a network of Keras Applications.
    """
    folded = folded_pairs(_residual(model))
    values = {v.path: np.asarray(v) for v in model.variables}
    for variable in result.variables:
        variable.assign(_value(variable.path, values, folded))


def _residual(model: keras.Model) -> Architecture:
    architecture = find_architecture(model.name)
    if architecture is None:
        raise ModelError(
            "batch normalisation of Keras Applications is not folded here",
            where=f"model {model.name}",
            expected="a protocol with fold_batch_norm = false",
            remedy="evaluate without folding",
        )
    return architecture


def folded_pairs(architecture: Architecture) -> dict[str, str]:
    """Convolutions that a batch normalisation follows directly, with its name.

    In v1 that is every one; in v2 the first of a block follows an addition.
    """
    pairs = {} if architecture.preactivation else {"conv0": "bn"}
    for stage, count in enumerate(architecture.blocks):
        convolutions = len(architecture.convolutions(stage))
        for block in range(count):
            name = f"conv{stage + 1}_{block}"
            shift = 1 if architecture.preactivation else 0
            for i in range(convolutions - shift):
                pairs[layer_name(name, f"conv_{i}")] = layer_name(name, f"bn_{i + shift}")
            if architecture.projects(stage, block) and not architecture.preactivation:
                pairs[layer_name(name, "projection")] = layer_name(name, "shortcut_bn")
    return pairs


def _value(path: str, values: dict[str, np.ndarray], folded: dict[str, str]) -> Any:
    layer, kind = path.rsplit("/", 1)
    norm = folded.get(layer)
    if norm is None:
        return values[path]
    spread = np.sqrt(values[f"{norm}/moving_variance"].astype(np.float64) + BATCH_NORM_EPSILON)
    scale = values[f"{norm}/gamma"] / spread
    if kind == "kernel":
        return (values[path] * scale).astype(np.float32)
    return (values[f"{norm}/beta"] - values[f"{norm}/moving_mean"] * scale).astype(np.float32)
