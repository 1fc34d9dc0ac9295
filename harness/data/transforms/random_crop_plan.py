"""The geometry of a random crop, planned before anything is decoded.

The reference resizes twice (aspect, then scale) and crops. Each resize is a
separable linear map, so one output pixel depends on two source pixels along
the axis that the aspect step leaves alone and on four along the other. A plan
holds those taps, the crop's mirror image folded into their order, and the
window of the image that they touch. Sizes are computed in float64 and
truncated, as the reference does; coordinates are rounded to float32, as
OpenCV does.
"""

from typing import NamedTuple

import tensorflow as tf

CHROMA_MARGIN = 1
"""Decoded and thrown away around a window: chroma is interpolated across its edge."""


class Sizes(NamedTuple):
    """An upright image's size, after the aspect step and after the scale step; int32 scalars."""

    height: tf.Tensor
    width: tf.Tensor
    stretched_height: tf.Tensor
    stretched_width: tf.Tensor
    final_height: tf.Tensor
    final_width: tf.Tensor


class Taps(NamedTuple):
    """Where each of S output positions reads along one axis, and with which weights.

    `index` is int32 [taps, S], relative to the window; `weight` is float32 [taps, S].
    """

    index: tf.Tensor
    weight: tf.Tensor


class CropPlan(NamedTuple):
    """How to make one crop.

    `window` is int32 [4] (top, left, height, width) in the upright image;
    `padded_width` the width to which decoded rows are padded; `wide` whether
    the aspect step stretches the width (else the height); `short` holds the
    two taps along the other axis and `long` those along the stretched one.
    """

    window: tf.Tensor
    padded_width: tf.Tensor
    wide: tf.Tensor
    short: Taps
    long: Taps


def resized_sizes(
    height: tf.Tensor, width: tf.Tensor, aspect: tf.Tensor, short_side: tf.Tensor, size: int
) -> Sizes:
    """Sizes after the aspect step and after the scale step.

    The longer side is scaled by `aspect` (the height of a square image), then
    the short side to `short_side`. A side that truncation left below the crop
    is kept at the crop's size; within the reference's ranges that never happens.

    Args:
        height: int32 scalar.
        width: int32 scalar.
        aspect: float64 scalar.
        short_side: float64 scalar, a whole number.
        size: side of the crop.
    """
    wide = height < width
    stretched_h = tf.where(wide, height, _truncate(height, aspect))
    stretched_w = tf.where(wide, _truncate(width, aspect), width)
    ratio = short_side / tf.cast(tf.minimum(stretched_h, stretched_w), tf.float64)
    final_h = tf.maximum(_truncate(stretched_h, ratio), size)
    final_w = tf.maximum(_truncate(stretched_w, ratio), size)
    return Sizes(height, width, stretched_h, stretched_w, final_h, final_w)


def crop_offset(uniform: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    """Integer offset in [0, length - size), 0 where they are equal.

    The last possible offset is never drawn: so does the reference.
    """
    return _truncate(length - size, uniform)


def plan_crop(
    height: tf.Tensor, width: tf.Tensor, draws: tf.Tensor, size: int, long_taps: int
) -> CropPlan:
    """Plan the crop of one image.

    Args:
        height: int32 scalar, of the upright image.
        width: int32 scalar.
        draws: float64 [5] of `draws.geometry_draws`.
        size: side S of the crop.
        long_taps: 4, or 2 for one resize from the image straight to its final size.
    """
    aspect, short_side, x, y, mirrored = tf.unstack(draws)
    sizes = resized_sizes(height, width, aspect, short_side, size)
    steps = tf.range(size)
    rows = steps + crop_offset(y, sizes.final_height, size)
    columns = tf.where(mirrored > 0, size - 1 - steps, steps)
    columns += crop_offset(x, sizes.final_width, size)
    wide = height < width
    vertical = (height, sizes.stretched_height, sizes.final_height)
    horizontal = (width, sizes.stretched_width, sizes.final_width)
    short_lengths = _pick(wide, vertical, horizontal)
    long_lengths = _pick(wide, horizontal, vertical)
    short = one_resize_taps(tf.where(wide, rows, columns), short_lengths[0], short_lengths[2])
    along = tf.where(wide, columns, rows)
    if long_taps == 2:
        long = one_resize_taps(along, long_lengths[0], long_lengths[2])
    else:
        long = two_resize_taps(along, *long_lengths)
    return _windowed(short, long, wide, height, width)


def one_resize_taps(position: tf.Tensor, length_in: tf.Tensor, length_out: tf.Tensor) -> Taps:
    """Two taps per output position of one bilinear resize with half-pixel centers.

    Args:
        position: int32 [S], output positions.
        length_in: int32 scalar, source length.
        length_out: int32 scalar, resized length.
    """
    scale = tf.cast(length_in, tf.float64) / tf.cast(length_out, tf.float64)
    exact = (tf.cast(position, tf.float64) + 0.5) * scale - 0.5
    at = tf.cast(exact, tf.float32)
    floor = tf.floor(at)
    lower = tf.cast(floor, tf.int32)
    outside = (lower < 0) | (lower >= length_in - 1)
    upper_weight = tf.where(outside, 0.0, at - floor)
    index = tf.clip_by_value(tf.stack([lower, lower + 1]), 0, length_in - 1)
    return Taps(index, tf.stack([1 - upper_weight, upper_weight]))


def two_resize_taps(
    position: tf.Tensor, length_in: tf.Tensor, length_between: tf.Tensor, length_out: tf.Tensor
) -> Taps:
    """Four taps per output position of two bilinear resizes, one after the other."""
    second = one_resize_taps(position, length_between, length_out)
    lower = one_resize_taps(second.index[0], length_in, length_between)
    upper = one_resize_taps(second.index[1], length_in, length_between)
    weight = tf.concat([second.weight[0] * lower.weight, second.weight[1] * upper.weight], axis=0)
    return Taps(tf.concat([lower.index, upper.index], axis=0), weight)


def padded_width(width: tf.Tensor) -> tf.Tensor:
    """The next width for which there is a compiled renderer: few shapes, little padding."""
    return tf.where(
        width <= 512,
        _round_up(width, 32),
        tf.where(width <= 1024, _round_up(width, 128), _round_up(width, 512)),
    )


def _windowed(
    short: Taps, long: Taps, wide: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> CropPlan:
    """The window that the taps touch, and the taps relative to it."""
    short_span, long_span = _span(short.index), _span(long.index)
    top, bottom = _pick(wide, short_span, long_span)
    left, right = _pick(wide, long_span, short_span)
    top = tf.maximum(top - CHROMA_MARGIN, 0)
    bottom = tf.minimum(bottom + CHROMA_MARGIN, height)
    left = tf.maximum(left - CHROMA_MARGIN, 0)
    right = tf.minimum(right + CHROMA_MARGIN, width)
    padded = padded_width(right - left)
    # Where the image is wide enough, decode what would be padding.
    left = tf.maximum(tf.minimum(left, width - padded), 0)
    right = tf.minimum(left + padded, width)
    window = tf.stack([top, left, bottom - top, right - left])
    short = Taps(short.index - tf.where(wide, top, left), short.weight)
    long = Taps(long.index - tf.where(wide, left, top), long.weight)
    return CropPlan(window, padded, wide, short, long)


def _span(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_min(index), tf.reduce_max(index) + 1


def _pick(
    condition: tf.Tensor, yes: tuple[tf.Tensor, ...], no: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, ...]:
    return tuple(tf.where(condition, a, b) for a, b in zip(yes, no, strict=True))


def _truncate(length: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(length, tf.float64) * factor, tf.int32)


def _round_up(length: tf.Tensor, step: int) -> tf.Tensor:
    return (length + step - 1) // step * step
