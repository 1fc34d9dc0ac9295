"""The random numbers of augmentation: eleven per example, a pure function of its identity.

One stateless call gives eleven float64 uniforms in [0, 1). Its key is
`derive_seed(seed, "augmentation")` as one word and pass * 2**32 + image index
as the other; Philox scrambles both words before use, so neighbouring keys give
unrelated numbers.
"""

import tensorflow as tf

from harness.data.transforms.xla import compiled
from harness.numerics.philox import stateless_uniforms
from harness.numerics.seeds import derive_seed
from harness.recipes.recipe import Augmentation

ASPECT, SHORT_SIDE, X, Y, FLIP, HUE, SATURATION, VALUE, PCA = range(9)
COUNT = PCA + 3


def augmentation_key(seed: int) -> int:
    """The run's word of the key, an int64."""
    low, high = derive_seed(seed, "augmentation")
    return (high << 32) | (low & 0xFFFFFFFF)


def uniforms(key: int, pass_number: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """The draws of one example.

    Args:
        key: from `augmentation_key`.
        pass_number: int64 scalar, which pass over the images.
        index: int64 scalar, position of the image in its split.

    Returns:
        float64 [11] in [0, 1).
    """
    words = tf.stack([tf.constant(key, tf.int64), pass_number * 2**32 + index])
    return tf.random.stateless_uniform([COUNT], words, dtype=tf.float64, alg="philox")


def batch_uniforms(key: int, pass_number: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """The draws of several examples in one pass, each as `uniforms` gives it.

    Args:
        key: from `augmentation_key`.
        pass_number: int64 [B].
        index: int64 [B].

    Returns:
        float64 [B, 11] in [0, 1).
    """
    identity = pass_number * 2**32 + index
    words = tf.stack([tf.fill(tf.shape(identity), tf.constant(key, tf.int64)), identity], axis=1)
    return _uniforms_of(words)


@compiled
def _uniforms_of(words: tf.Tensor) -> tf.Tensor:
    return stateless_uniforms(words, COUNT)


def geometry_draws(u: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """What the uniforms mean for the geometry.

    Args:
        u: float64 [..., 11].
        augmentation: the recipe's ranges; `short_side` is half-open.

    Returns:
        float64 [..., 5]: aspect factor, short side (a whole number), the
        uniforms of the crop's x and y offset, and 1 where the image is mirrored.
    """
    aspect = _between(u[..., ASPECT], augmentation.aspect)
    low, high = augmentation.short_side
    short = low + tf.floor(u[..., SHORT_SIDE] * max(high - low, 1))
    mirrored = u[..., FLIP] < 0.5 if augmentation.flip else tf.zeros_like(aspect, tf.bool)
    parts = [aspect, short, u[..., X], u[..., Y], tf.cast(mirrored, tf.float64)]
    return tf.stack(parts, axis=-1)


def padded_draws(
    u: tf.Tensor, augmentation: Augmentation, offsets: int
) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
    """What the uniforms mean for the crop of a padded image.

    Args:
        u: float64 [..., 11].
        augmentation: whether images are mirrored.
        offsets: places of the crop along each axis, all equally likely.

    Returns:
        The offset in y and x, each int32 [...] in [0, offsets), and whether the
        image is mirrored, bool [...].
    """
    y, x = (tf.cast(tf.floor(u[..., axis] * offsets), tf.int32) for axis in (Y, X))
    mirrored = u[..., FLIP] < (0.5 if augmentation.flip else 0.0)
    return (y, x), mirrored


def colour_draws(u: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """What the uniforms mean for the colours.

    Returns:
        float32 [..., 6]: degrees added to the hue, factors of saturation and
        value, and the three normal draws of the lighting.
    """
    degrees = augmentation.hue_degrees or 0.0
    hue = (2 * u[..., HUE] - 1) * degrees
    saturation = _between(u[..., SATURATION], augmentation.saturation)
    value = _between(u[..., VALUE], augmentation.value)
    # Half of the uniforms' spacing keeps the inverse normal away from minus infinity at 0.
    normals = tf.math.ndtri(u[..., PCA:] + 2.0**-54) * (augmentation.pca_std or 0.0)
    shifts = tf.stack([hue, saturation, value], axis=-1)
    return tf.cast(tf.concat([shifts, normals], axis=-1), tf.float32)


def _between(u: tf.Tensor, bounds: tuple[float, float] | None) -> tf.Tensor:
    if bounds is None:
        return tf.ones_like(u)
    return bounds[0] + u * (bounds[1] - bounds[0])
