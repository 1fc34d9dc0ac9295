"""ImageNet weights by Keras' own download."""

import hashlib

import numpy as np

from harness.errors import WeightsError
from harness.models.keras_applications import BUILDERS
from harness.numerics.keras_pins import user_keras_home
from harness.weights.files import WeightArrays


def download_imagenet(name: str) -> WeightArrays:
    """ImageNet weights by Keras' own download, which checks the file's hash.

    Raises:
        WeightsError: the download failed.
    """
    try:
        with user_keras_home():
            published = BUILDERS[name](weights="imagenet", classifier_activation=None)
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
