"""Pixels of a planned crop: decode its window, then apply the taps in one compiled pass.

XLA compiles one renderer per shape of window rows; `random_crop_plan.padded_width`
keeps those few. Crops leave as [x, channel, y] planes: the horizontal taps are
then whole rows, which vectorise, and the colour step wants planes anyway.
"""

from collections.abc import Callable
from functools import cache

import tensorflow as tf

from harness.data.image_files.reading import DCT, decode_upright
from harness.data.transforms.random_crop_plan import CropPlan, plan_crop
from harness.data.transforms.xla import compiled, materialised

SHORT_TAPS = 2


def crop_planes(
    raw: tf.Tensor,
    size_stored: tuple[tf.Tensor, tf.Tensor],
    orientation: tf.Tensor,
    draws: tf.Tensor,
    *,
    size: int,
    long_taps: int,
    decoder: str,
    channels: int = 3,
) -> tf.Tensor:
    """The random crop of one image.

    Args:
        raw: string scalar, JPEG or PNG bytes.
        size_stored: height and width as stored, int32 scalars.
        orientation: EXIF orientation 1 to 8, int32 scalar.
        draws: float64 [5] of `draws.geometry_draws`.
        size: side S of the crop.
        long_taps: 4, or 2 for one resize alone.
        decoder: a key of `reading.DCT`.
        channels: 3, or 1 for grey.

    Returns:
        float32 [S, channels, S]: x, channel (red, green, blue), y; in [0, 255].
    """
    plan = _planner(size, long_taps)(*size_stored, orientation, draws)
    window = decode_window(raw, plan.window, orientation, decoder, channels)
    rows = tf.reshape(window, [plan.window[2], plan.window[3] * channels])
    missing = (plan.padded_width - plan.window[3]) * channels
    rows = tf.cond(missing > 0, lambda: tf.pad(rows, [[0, 0], [0, missing]]), lambda: rows)
    return tf.ensure_shape(_render(plan, rows, size, long_taps, channels), [size, channels, size])


def decode_window(
    raw: tf.Tensor, window: tf.Tensor, orientation: tf.Tensor, decoder: str, channels: int
) -> tf.Tensor:
    """Decode only the window of an upright JPEG; decode others whole and cut it out.

    Args:
        raw: string scalar.
        window: int32 [4]: top, left, height, width in the upright image.
        orientation: EXIF orientation 1 to 8, int32 scalar.
        decoder: a key of `reading.DCT`.
        channels: 3, or 1 for grey.

    Returns:
        uint8 [height, width, channels], RGB or grey.
    """
    upright_jpeg = tf.equal(tf.strings.substr(raw, 0, 2), b"\xff\xd8") & (orientation <= 1)
    return tf.cond(
        upright_jpeg,
        lambda: tf.io.decode_and_crop_jpeg(raw, window, channels=channels, dct_method=DCT[decoder]),
        lambda: tf.slice(
            decode_upright(raw, orientation, decoder, channels),
            [window[0], window[1], 0],
            [window[2], window[3], channels],
        ),
    )


def _render(plan: CropPlan, rows: tf.Tensor, size: int, long_taps: int, channels: int) -> tf.Tensor:
    """Apply the taps: vertically on gathered rows, then horizontally on the transposed sum."""
    wide = _renderer(size, SHORT_TAPS, long_taps, channels)
    tall = _renderer(size, long_taps, SHORT_TAPS, channels)
    short, long = plan.short, plan.long
    return tf.cond(
        plan.wide,
        lambda: wide(tf.gather(rows, short.index), short.weight, long.index, long.weight),
        lambda: tall(tf.gather(rows, long.index), long.weight, short.index, short.weight),
    )


@cache
def _planner(size: int, long_taps: int) -> Callable[..., CropPlan]:
    """A compiled planner; cached, because the name of a function is the key of its compilation."""

    def plan(height: tf.Tensor, width: tf.Tensor, turn: tf.Tensor, draws: tf.Tensor) -> CropPlan:
        return plan_crop(*_upright_size(height, width, turn), draws, size, long_taps)

    return compiled(plan)


@cache
def _renderer(
    size: int, row_taps: int, column_taps: int, channels: int
) -> Callable[..., tf.Tensor]:
    """A compiled function of (rows uint8 [row_taps, S, values], weights, columns, weights).

    A row has width x channels values.
    """

    def render(
        rows: tf.Tensor, row_weight: tf.Tensor, column: tf.Tensor, column_weight: tf.Tensor
    ) -> tf.Tensor:
        values = tf.shape(rows)[2]
        true_at_run_time = row_weight[0, 0] > -1.0

        def summed() -> tf.Tensor:
            levels = tf.cast(rows, tf.float32)
            return sum(levels[t] * row_weight[t][:, tf.newaxis] for t in range(row_taps))

        if row_taps == SHORT_TAPS:
            planes = materialised(true_at_run_time, lambda: tf.transpose(summed()), [values, size])
        else:
            # Fused with four taps, the strided read of a transpose is slow: two passes.
            sums = materialised(true_at_run_time, summed, [size, values])
            planes = materialised(true_at_run_time, lambda: tf.transpose(sums), [values, size])
        crop = 0.0
        for t in range(column_taps):
            places = tf.reshape(column[t][:, tf.newaxis] * channels + tf.range(channels), [-1])
            weights = tf.repeat(column_weight[t], channels)[:, tf.newaxis]
            crop += tf.gather(planes, places) * weights
        return tf.reshape(crop, [size, channels, size])

    return compiled(render)


def _upright_size(
    height: tf.Tensor, width: tf.Tensor, orientation: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width after turning as the EXIF orientation says."""
    lying = orientation >= 5
    return tf.where(lying, width, height), tf.where(lying, height, width)
