"""Batches of whole images at several scales, for fully convolutional evaluation.

Only images of one size can share a batch; so the split is walked size by size.
Each image is decoded once and resized once for each scale.
"""

from itertools import groupby, islice
from typing import Any

import tensorflow as tf

from harness.data.compatibility import check_channels
from harness.data.dataset import Split
from harness.data.input_pipeline.mapping import PREFETCHED_BATCHES, parallel, whole_image_calls
from harness.data.input_pipeline.split_tensors import SplitTensors
from harness.data.transforms.colour import normalise_image
from harness.data.transforms.resizing import resize_short_side
from harness.recipes.protocol import Protocol

TRANSPOSED = 5
"""EXIF orientations from here on exchange height and width."""


def batches_by_size(split: Split, images_per_batch: int) -> list[list[int]]:
    """Positions in the split, grouped so that a batch holds upright images of one size.

    Args:
        split: The images.
        images_per_batch: Most images a batch holds.
    """

    def size(i: int) -> tuple[int, int]:
        lengths = int(split.heights[i]), int(split.widths[i])
        return lengths[::-1] if split.orientations[i] >= TRANSPOSED else lengths

    found = []
    for _, group in groupby(sorted(range(len(split)), key=size), size):
        while batch := list(islice(group, images_per_batch)):
            found.append(batch)
    return found


def whole_image_batches(
    split: Split, protocol: Protocol, *, images_per_batch: int
) -> tf.data.Dataset:
    """Every image once, at every scale of the protocol, size by size.

    Returns:
        Elements `{"image": one float32 [b, H, W, C] for each short side,
        "label": int32 [b], "index": int64 [b], "mask": bool [b]}`; b varies.

    Raises:
        RecipeError: the images have other channels.
    """
    check_channels(split, protocol.normalisation)
    positions = tf.ragged.constant(
        batches_by_size(split, images_per_batch), dtype=tf.int64, ragged_rank=1
    )
    tensors = SplitTensors.of(split)
    channels = protocol.normalisation.channel_count

    def load(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image = tensors.decode(index, protocol.decoder, channels)
        return tuple(_scaled(image, short_side, protocol) for short_side in protocol.short_sides)

    def batch(number: tf.Tensor) -> dict[str, Any]:
        index = positions[number]
        scale = tf.TensorSpec([None, None, channels], tf.float32)
        scales = tuple(scale for _ in protocol.short_sides)
        return {
            "image": tf.map_fn(load, index, fn_output_signature=scales),
            "label": tf.gather(tensors.labels, index),
            "index": index,
            "mask": tf.ones_like(index, tf.bool),
        }

    numbers = tf.data.Dataset.range(int(positions.nrows()))
    return parallel(numbers, batch, whole_image_calls()).prefetch(PREFETCHED_BATCHES)


def _scaled(image: tf.Tensor, short_side: int, protocol: Protocol) -> tf.Tensor:
    return normalise_image(resize_short_side(image, short_side, protocol), protocol.normalisation)


def images_at_once(crops_per_batch: int, protocol: Protocol) -> int:
    """Images in a batch that has this many views at all scales; the largest decides over memory."""
    return max(1, crops_per_batch // protocol.views)
