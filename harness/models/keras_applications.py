"""ResNets of Keras Applications, built by Keras itself, ending in logits.

Source: keras.applications.resnet and resnet_v2. v1: stride on the first 1x1,
convolutions with bias, batch normalisation epsilon 1.001e-5. V2: stride at the
end of each stage. Their batch normalisation is Keras' own, whose moving
variance has no factor N / (N - 1).
"""

import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from harness.errors import WeightsError
from harness.models.weight_files import WeightArrays
from harness.numerics.keras_pins import user_keras_home

HEAD = "predictions"

_BUILDERS: dict[str, Callable[..., Any]] = {
    "keras-resnet50": keras.applications.ResNet50,
    "keras-resnet101": keras.applications.ResNet101,
    "keras-resnet152": keras.applications.ResNet152,
    "keras-resnet50v2": keras.applications.ResNet50V2,
    "keras-resnet101v2": keras.applications.ResNet101V2,
    "keras-resnet152v2": keras.applications.ResNet152V2,
}


def build_keras_application(
    name: str, classes: int, compute: str, channels: int = 3
) -> keras.Model:
    """Build a network of Keras Applications.

    Args:
        name: Name in the catalogue, such as `keras-resnet50`.
        classes: Number of classes.
        compute: Dtype policy of the trunk; the head is float32.
        channels: Channels of the images.

    Returns:
        A model from float32 [B, H, W, channels] of any height and width to float32
        logits [B, classes]. Kernels are still Keras' own random draws.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(compute)
    try:
        trunk = _BUILDERS[name](include_top=False, weights=None, input_shape=(None, None, channels))
    finally:
        keras.config.set_dtype_policy(before)
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32", name="avg_pool")(trunk.output)
    logits = keras.layers.Dense(classes, dtype="float32", name=HEAD)(pooled)
    return keras.Model(trunk.input, logits, name=name)


def download_imagenet(name: str) -> WeightArrays:
    """ImageNet weights by Keras' own download, which checks the file's hash.

    Raises:
        WeightsError: the download failed.
    """
    try:
        with user_keras_home():
            published = _BUILDERS[name](weights="imagenet", classifier_activation=None)
    except Exception as error:  # Keras raises a bare Exception
        raise WeightsError(
            f"Keras could not download its ImageNet weights: {error}",
            where=name,
            expected="a connection to Keras' storage, or its file in ~/.keras/models",
            remedy="fetch the file elsewhere and name it with --weights",
        ) from error
    arrays = {variable.path: np.asarray(variable) for variable in published.variables}
    digest = hashlib.sha256()
    for path in sorted(arrays):
        digest.update(path.encode() + arrays[path].tobytes())
    return WeightArrays(f"keras:{name}", "keras_download", digest.hexdigest(), arrays)
