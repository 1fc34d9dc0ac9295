"""The random crop of a zero-padded image, for whole batches: nothing is stretched or scaled.

He et al. 2015, section 4.2: zeros on each side of the stored image, a crop at
any offset, mirrored or not. The zeros are black pixels: they are there before
the colours are changed and normalised.
"""

from collections.abc import Callable
from functools import cache

import tensorflow as tf

from harness.data.transforms.colour import augment_colours, normalise
from harness.data.transforms.draws import colour_draws, padded_draws
from harness.data.transforms.xla import compiled
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Augmentation


def padded_crops(
    stored: tf.Tensor,
    offset: tuple[tf.Tensor, tf.Tensor],
    mirrored: tf.Tensor,
    padding: int,
    size: int,
) -> tf.Tensor:
    """Cut one crop out of each padded image.

    Args:
        stored: uint8 [B, H, W, C].
        offset: of the crop in the padded image, y and x, each int32 [B].
        mirrored: bool [B].
        padding: zeros on each side.
        size: side S of the crop.

    Returns:
        uint8 [B, S, S, C].
    """
    y, x = offset
    steps = tf.range(size)
    rows = y[:, tf.newaxis] + steps
    columns = x[:, tf.newaxis] + tf.where(mirrored[:, tf.newaxis], size - 1 - steps, steps)
    sides = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    cut = tf.gather(tf.pad(stored, sides), rows, axis=1, batch_dims=1)
    return tf.gather(cut, columns, axis=2, batch_dims=1)


@cache
def padded_step(
    augmentation: Augmentation, normalisation: Normalisation, size: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A compiled function from stored images of a batch to the network's input.

    It takes uint8 [B, H, W, C] (red, green, blue, or grey) and the draws float64
    [B, 11] of `draws.uniforms`, and returns float32 [B, S, S, C].
    """
    padding = augmentation.padding or 0

    def step(stored: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        offsets = stored.shape[1] + 2 * padding - size + 1
        offset, mirrored = padded_draws(uniforms, augmentation, offsets)
        crops = tf.cast(padded_crops(stored, offset, mirrored, padding, size), tf.float32)
        draws = tf.unstack(colour_draws(uniforms, augmentation), axis=1)
        columns = [draw[:, tf.newaxis, tf.newaxis] for draw in draws]
        blue_green_red = tf.unstack(crops, axis=3)[::-1]
        augmented = augment_colours(blue_green_red, columns, augmentation)
        return tf.stack(normalise(augmented, normalisation), axis=3)

    return compiled(step)
