"""Building a network from its recipe entry."""

import keras
import tensorflow as tf

from harness.errors import ModelError
from harness.models.catalogue import find_architecture
from harness.models.initial import initialise
from harness.models.keras_applications import build_keras_application
from harness.models.resnet import Layers, build_resnet
from harness.recipes.recipe import Model, Precision

_POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def build_model(
    spec: Model,
    *,
    classes: int,
    seed: int,
    channels: int = 3,
    precision: Precision | None = None,
) -> keras.Model:
    """Build a network with initial weights that depend on seed and layer path alone.

    The model takes images of any size: `spec.image_size` is what the pipeline
    feeds it, and a fully convolutional evaluation may feed others.

    Args:
        spec: Which network.
        classes: Number of classes.
        seed: The run's seed.
        channels: Channels of the images: the `channel_count` of their normalisation.
        precision: Dtype of the arithmetic; variables and logits are float32 always.

    Returns:
        A functional model from float32 [B, H, W, channels], normalised, to float32
        logits [B, classes].

    Raises:
        ModelError: no such model, a class count that contradicts the recipe's,
            or synchronised statistics for a network that has none.
    """
    _check(spec, classes)
    policy = _POLICIES[(precision or Precision()).compute]
    architecture = find_architecture(spec.name)
    if architecture is None:
        model = build_keras_application(spec.name, classes, policy, channels)
    else:
        layers = Layers(
            compute=policy,
            synchronised=spec.batch_norm == "synchronised",
            pointwise_products=policy == "float32" and not tf.config.get_visible_devices("GPU"),
        )
        model = build_resnet(architecture, classes, layers, channels)
    initialise(model, seed=seed, initializer=spec.initializer)
    return model


def _check(spec: Model, classes: int) -> None:
    if classes < 2 or spec.classes not in (None, classes):
        raise ModelError(
            f"{classes} classes were asked for",
            where=f"model {spec.name}",
            expected=f"{spec.classes}, as its recipe says" if spec.classes else "two or more",
            remedy="give data with that many classes, or leave the recipe's `classes` out",
        )
    if find_architecture(spec.name) is None and spec.batch_norm == "synchronised":
        raise ModelError(
            "batch normalisation of Keras Applications is not synchronised here",
            where=f"model {spec.name}",
            expected="batch_norm = per_replica",
            remedy="choose one of the reference's networks, or per_replica statistics",
        )
