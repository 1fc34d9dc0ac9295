"""Images of one small size, decoded once and kept in memory.

Where a step takes a tenth of a second, reading and decoding its batch anew in
each pass would take a part of it away. The pixels are those that are read one
by one otherwise.
"""

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from harness.data.dataset import Split
from harness.data.image_files.reading import translate_error
from harness.data.input_pipeline.mapping import parallel, whole_image_calls
from harness.data.input_pipeline.split_tensors import SplitTensors
from harness.data.input_pipeline.undecodable import images_in_order, naming_batches

MOST_BYTES = 1 << 30
"""Of one split's pixels."""
IMAGES_AT_ONCE = 500
"""Read by one call: an element of its own for each image costs as much as reading it."""

OnProgress = Callable[[int, int], None]

_kept: WeakKeyDictionary[Split, dict[tuple[str, int], tf.Tensor]] = WeakKeyDictionary()
"""By split, decoder and channels: each seed, resume and evaluation of a process shares them."""


def fits_in_memory(split: Split, channels: int) -> bool:
    """Whether all images are upright, of one size, and not too many."""
    height, width = int(split.heights[0]), int(split.widths[0])
    return (
        len(split) * height * width * channels <= MOST_BYTES
        and bool((split.heights == height).all() and (split.widths == width).all())
        and bool((split.orientations <= 1).all())
    )


def resident_images(
    split: Split,
    decoder: str,
    channels: int,
    on_progress: OnProgress = lambda _done, _all: None,
) -> tf.Tensor:
    """Every image of a split that `fits_in_memory`, read at the first call.

    Args:
        split: the images.
        decoder: a key of `reading.DCT`.
        channels: 3, or 1 for grey.
        on_progress: called with images read and images in all, while they are read.

    Returns:
        uint8 [n, height, width, channels] in the memory of the host.

    Raises:
        DataError: an image is missing, changed or does not decode; it is named.
    """
    kept = _kept.setdefault(split, {})
    if (decoder, channels) not in kept:
        pixels = _read(split, decoder, channels, on_progress)
        with tf.device("CPU:0"):
            kept[decoder, channels] = tf.constant(pixels)
    return kept[decoder, channels]


def _read(split: Split, decoder: str, channels: int, on_progress: OnProgress) -> np.ndarray:
    tensors = SplitTensors.of(split)
    images = len(split)
    size = (int(split.heights[0]), int(split.widths[0]), channels)

    def block(number: tf.Tensor) -> tf.Tensor:
        first = number * IMAGES_AT_ONCE
        index = tf.range(first, tf.minimum(first + IMAGES_AT_ONCE, images))
        one = tf.TensorSpec(size, tf.uint8)
        return tf.map_fn(
            lambda i: tensors.decode(i, decoder, channels), index, fn_output_signature=one
        )

    numbers = tf.data.Dataset.range(-(-images // IMAGES_AT_ONCE))
    blocks = parallel(numbers, block, whole_image_calls())
    pixels, done = np.empty((images, *size), np.uint8), 0
    try:
        for part in naming_batches(blocks, split, images_in_order(images, IMAGES_AT_ONCE), decoder):
            pixels[done : done + len(part)] = part
            done += len(part)
            on_progress(done, images)
    except tf.errors.OpError as error:
        raise translate_error(error) from error
    return pixels
