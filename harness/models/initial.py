"""Initial weights as a pure function of (seed, layer path)."""

import math
from typing import Any, Literal

import keras
import tensorflow as tf

from harness.numerics.seeds import derive_seed

Initializer = Literal["glorot_uniform", "he_normal", "he_normal_fan_out"]
ALGORITHM = "philox"
"""By name: TensorFlow's default depends on the device."""


def initialise(model: keras.Model, *, seed: int, initializer: Initializer) -> None:
    """Draw every kernel; batch normalisation keeps ones and zeros, and biases zeros.

    The draw of a variable depends on the seed and its path alone, so neither the
    order of building nor another layer changes it.

    Args:
        model: A built model.
        seed: The run's seed.
        initializer: `glorot_uniform`: U(-a, a), a = sqrt(6 / (fan_in +
            fan_out)) (Glorot and Bengio 2010; the Keras default). `he_normal`:
            N(0, sqrt(2 / fan_in)), not truncated (He et al. 2015,
            arXiv:1502.01852). `he_normal_fan_out`: convolutions N(0, sqrt(2 /
            fan_out)), the form of the same paper that keeps the gradients'
            variance; dense kernels and their biases U(-a, a), a = 1 /
            sqrt(fan_in), PyTorch's default for such a layer.
    """
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            variable.assign(draw_kernel(variable.path, tuple(variable.shape), seed, initializer))
    if initializer == "he_normal_fan_out":
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dense) and layer.use_bias:
                bound = 1.0 / math.sqrt(layer.kernel.shape[0])
                layer.bias.assign(_uniform(layer.bias.path, tuple(layer.bias.shape), seed, bound))


def draw_kernel(path: str, shape: tuple[int, ...], seed: int, initializer: Initializer) -> Any:
    """Draw one kernel.

    Args:
        path: Path of the variable, which keys the draw.
        shape: [..., input, output]; the leading axes are the receptive field,
            which a dense layer's kernel has none of.
        seed: The run's seed.
        initializer: See `initialise`.

    Returns:
        float32 of that shape.
    """
    field = math.prod(shape[:-2])
    fan_in, fan_out = field * shape[-2], field * shape[-1]
    if initializer == "glorot_uniform":
        return _uniform(path, shape, seed, math.sqrt(6.0 / (fan_in + fan_out)))
    if initializer == "he_normal_fan_out" and len(shape) == 2:
        return _uniform(path, shape, seed, 1.0 / math.sqrt(fan_in))
    fan = fan_in if initializer == "he_normal" else fan_out
    deviation = math.sqrt(2.0 / fan)
    return tf.random.stateless_normal(shape, _key(path, seed), stddev=deviation, alg=ALGORITHM)


def _uniform(path: str, shape: tuple[int, ...], seed: int, bound: float) -> Any:
    return tf.random.stateless_uniform(shape, _key(path, seed), -bound, bound, alg=ALGORITHM)


def _key(path: str, seed: int) -> tuple[int, int]:
    return derive_seed(seed, f"init/{path}")
