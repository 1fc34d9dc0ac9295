"""Resizing a whole image as an evaluation protocol says."""

import tensorflow as tf

from harness.recipes.protocol import Protocol


def resize_short_side(
    image: tf.Tensor, short_side: int, protocol: Protocol, *, at_least: int = 1
) -> tf.Tensor:
    """Bring the short side to a length and keep the aspect.

    The sizes are `length * (short_side / shorter)` in float64, truncated (the
    reference's rule, which can give 255 for 256) or rounded half to even.

    Args:
        image: uint8 or float [height, width, 3].
        short_side: pixels.
        protocol: rule, interpolation and antialiasing.
        at_least: no side becomes shorter, so that a crop fits.

    Returns:
        float32 [height', width', 3].
    """
    lengths = tf.shape(image)[:2]
    ratio = short_side / tf.cast(tf.reduce_min(lengths), tf.float64)
    exact = tf.cast(lengths, tf.float64) * ratio
    if protocol.resize_rule == "round":
        exact = tf.round(exact)
    sizes = tf.maximum(tf.cast(exact, tf.int32), at_least)
    return tf.image.resize(
        tf.cast(image, tf.float32),
        sizes,
        method=protocol.interpolation,
        antialias=protocol.antialias,
    )
