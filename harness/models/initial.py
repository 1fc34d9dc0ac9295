"""Initial weights as a pure function of (seed, layer path)."""

import math
from typing import Any, Literal

import keras
import tensorflow as tf

from harness.numerics.seeds import derive_seed

Initializer = Literal["glorot_uniform", "he_normal"]


def initialise(model: keras.Model, *, seed: int, initializer: Initializer) -> None:
    """Draw every kernel; biases and batch normalisation keep zeros and ones.

    The draw of a kernel depends on the seed and the variable's path alone, so
    neither the order of building nor another layer changes it.

    Args:
        model: A built model.
        seed: The run's seed.
        initializer: `glorot_uniform`: U(-a, a), a = sqrt(6 / (fan_in +
            fan_out)) (Glorot and Bengio 2010; the Keras default). `he_normal`:
            N(0, sqrt(2 / fan_in)), not truncated (He et al. 2015,
            arXiv:1502.01852).
    """
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            variable.assign(draw_kernel(variable.path, tuple(variable.shape), seed, initializer))


def draw_kernel(path: str, shape: tuple[int, ...], seed: int, initializer: Initializer) -> Any:
    """Draw one kernel.

    Args:
        path: Path of the variable, which keys the draw.
        shape: [..., input, output]; the leading axes are the receptive field.
        seed: The run's seed.
        initializer: See `initialise`.

    Returns:
        float32 of that shape.
    """
    field = math.prod(shape[:-2])
    fan_in, fan_out = field * shape[-2], field * shape[-1]
    pair = derive_seed(seed, f"init/{path}")
    # Philox by name: the default algorithm depends on the device.
    if initializer == "glorot_uniform":
        bound = math.sqrt(6.0 / (fan_in + fan_out))
        return tf.random.stateless_uniform(shape, pair, -bound, bound, alg="philox")
    deviation = math.sqrt(2.0 / fan_in)
    return tf.random.stateless_normal(shape, pair, stddev=deviation, alg="philox")
