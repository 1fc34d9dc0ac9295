"""Colours of training images and the normalisation, as the reference computes them.

HSV shift: hue in degrees with wrap, saturation clipped to 1, value clipped to
255. Lighting (Krizhevsky et al. 2012, section 4.1): offset_i = sum_j
M[i][j] a_j l_j, where M's columns are the eigenvectors; the reference adds it
to BGR channel i although M's rows are in RGB order, a quirk that is kept.
"""

from collections.abc import Callable
from functools import cache

import tensorflow as tf

from harness.data.transforms.xla import compiled, materialised
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Augmentation

EIGENVALUES = (55.46, 4.794, 1.148)
EIGENVECTORS = (
    (-0.5836, -0.6948, 0.4203),
    (-0.5808, -0.0045, -0.8140),
    (-0.5675, 0.7192, 0.4009),
)
BLUE, GREEN, RED = 0, 1, 2
HSV_PHASE = {RED: 5.0, GREEN: 3.0, BLUE: 1.0}


def shift_hsv(
    planes: list[tf.Tensor], hue: tf.Tensor, saturation: tf.Tensor, value: tf.Tensor
) -> list[tf.Tensor]:
    """Shift hue, scale saturation and value.

    Args:
        planes: blue, green, red in [0, 255], float32 of one shape.
        hue: degrees to add, broadcastable to the planes.
        saturation: factor, the result clipped to 1.
        value: factor, the result clipped to 255.

    Returns:
        blue, green, red in [0, 255].
    """
    blue, green, red = planes
    highest = tf.maximum(tf.maximum(red, green), blue)
    chroma = highest - tf.minimum(tf.minimum(red, green), blue)
    scale = 1.0 / (chroma + 1e-20)
    sector = tf.where(
        tf.equal(highest, red),
        (green - blue) * scale,
        tf.where(tf.equal(highest, green), (blue - red) * scale + 2.0, (red - green) * scale + 4.0),
    )
    sector += hue * (1 / 60)
    bright = tf.minimum(highest * value, 255.0)
    depth = bright * tf.minimum(chroma / (highest + 1e-20) * saturation, 1.0)
    shifted = []
    for channel in (BLUE, GREEN, RED):
        k = HSV_PHASE[channel] + sector
        k -= 6.0 * tf.floor(k * (1 / 6))
        shifted.append(bright - depth * tf.clip_by_value(tf.minimum(k, 4.0 - k), 0.0, 1.0))
    return shifted


def add_lighting(planes: list[tf.Tensor], normals: list[tf.Tensor]) -> list[tf.Tensor]:
    """Add the lighting offsets and clip to [0, 255].

    Args:
        planes: blue, green, red, float32.
        normals: the three draws a_j, broadcastable to the planes.
    """
    lit = []
    for plane, row in zip(planes, EIGENVECTORS, strict=True):
        offset = sum(m * e * a for m, e, a in zip(row, EIGENVALUES, normals, strict=True))
        lit.append(tf.clip_by_value(plane + offset, 0.0, 255.0))
    return lit


def normalise(planes: list[tf.Tensor], normalisation: Normalisation) -> list[tf.Tensor]:
    """Planes blue, green, red, or the grey one, to `(pixel / scale - mean) / std`.

    The result is in the order `channels`.
    """
    ordered = planes if normalisation.channels == "bgr" else planes[::-1]
    scale = normalisation.scale
    return [
        (plane - mean * scale) * (1 / (std * scale))
        for plane, mean, std in zip(ordered, normalisation.mean, normalisation.std, strict=True)
    ]


def normalise_image(image: tf.Tensor, normalisation: Normalisation) -> tf.Tensor:
    """Normalise [..., width, C] RGB or grey in [0, 255]; the result is in order `channels`.

    The reverse operation and whole rows, because a negative stride and
    broadcasting three values at a time cost as much as decoding.
    """
    ordered = tf.reverse(image, [-1]) if normalisation.channels == "bgr" else image
    scale = normalisation.scale
    mean = tf.constant([mean * scale for mean in normalisation.mean])
    factor = tf.constant([1 / (std * scale) for std in normalisation.std])
    shape = tf.shape(image)
    width = shape[-2:-1]
    rows = tf.reshape(ordered, tf.concat([shape[:-2], width * normalisation.channel_count], 0))
    normalised = (rows - tf.tile(mean, width)) * tf.tile(factor, width)
    return tf.ensure_shape(tf.reshape(normalised, shape), image.shape)


def augment_colours(
    planes: list[tf.Tensor], draws: list[tf.Tensor], augmentation: Augmentation
) -> list[tf.Tensor]:
    """Shift and light blue, green and red planes; a step whose setting is None is left out.

    Args:
        planes: blue, green, red in [0, 255]; a grey one has no colour steps.
        draws: the six of `draws.colour_draws`, each broadcastable to the planes.
        augmentation: which steps there are.
    """
    hue, saturation, value, *normals = draws
    shifts = (augmentation.hue_degrees, augmentation.saturation, augmentation.value)
    if any(setting is not None for setting in shifts):
        planes = shift_hsv(planes, hue, saturation, value)
    if augmentation.pca_std is not None:
        planes = add_lighting(planes, normals)
    return planes


@cache
def colour_step(
    augmentation: Augmentation, normalisation: Normalisation
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A compiled function from crops of a batch to the network's input.

    It takes float32 [B, x, C, y] (red, green, blue, or grey, in [0, 255]) and the
    draws float32 [B, 6] of `draws.colour_draws`, and returns float32 [B, y, x, C],
    coloured and normalised.
    """

    def step(planes: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        def coloured() -> tf.Tensor:
            columns = [column[:, tf.newaxis, tf.newaxis] for column in tf.unstack(draws, axis=1)]
            blue_green_red = tf.unstack(planes, axis=2)[::-1]
            augmented = augment_colours(blue_green_red, columns, augmentation)
            return tf.stack(normalise(augmented, normalisation), axis=2)

        # Fused into the transpose, the colours would be computed along strides.
        result = materialised(draws[0, 0] > -1e9, coloured, tf.shape(planes))
        return tf.transpose(result, [0, 3, 1, 2])

    return compiled(step)
