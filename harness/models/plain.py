"""A network of Keras' own layers alone, which a process without this project can load."""

import keras

from harness.models.batch_norm import FusedBatchNormalization
from harness.models.pointwise import PointwiseConvolution
from harness.models.resnet import ZeroPaddedSubsampling


def plain_copy(model: keras.Model) -> keras.Model:
    """Copy a network layer by layer, each of this project's layers as Keras' own.

    The outputs for inference differ by rounding alone. In training Keras'
    moving variance lacks the factor N / (N - 1) of `FusedBatchNormalization`.

    Args:
        model: One that `build_model` made, or another functional network.

    Returns:
        A model with the same inputs, outputs, layer names and weights.
    """
    copy = keras.models.clone_model(model, clone_function=_plain_layer)
    copy.set_weights(model.get_weights())
    return copy


def plain_convolutions(model: keras.Model) -> keras.Model:
    """Copy a network with Keras' own convolutions; every other layer stays this project's."""
    copy = keras.models.clone_model(model, clone_function=_plain_convolution)
    copy.set_weights(model.get_weights())
    return copy


def _plain_convolution(layer: keras.Layer) -> keras.Layer:
    kind = keras.layers.Conv2D if isinstance(layer, PointwiseConvolution) else layer.__class__
    return kind.from_config(layer.get_config())


def _plain_layer(layer: keras.Layer) -> keras.Layer:
    if isinstance(layer, FusedBatchNormalization):
        return keras.layers.BatchNormalization.from_config(layer.get_config())
    if isinstance(layer, ZeroPaddedSubsampling):
        return _plain_subsampling(layer)
    return _plain_convolution(layer)


def _plain_subsampling(layer: ZeroPaddedSubsampling) -> keras.Layer:
    """Every second pixel by a pool of one; channels stand as columns while zeros are added."""
    missing = layer.channels - layer.input.shape[-1]
    dtype = layer.dtype_policy
    return keras.Sequential(
        [
            keras.layers.MaxPooling2D(1, strides=2, dtype=dtype),
            keras.layers.Permute((1, 3, 2), dtype=dtype),
            keras.layers.ZeroPadding2D(((0, 0), (0, missing)), dtype=dtype),
            keras.layers.Permute((1, 3, 2), dtype=dtype),
        ],
        name=layer.name,
    )
