"""The name of an image that does not decode, found after the decoder has failed.

The decoder's error holds no name, and carrying one through the graph would cost
every image. So the images of the failed batch are decoded again, one by one.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import count
from typing import Any

import tensorflow as tf

from harness.data.dataset import Split
from harness.data.image_files.reading import CHANGED, decode_upright
from harness.data.input_pipeline.order import ROUNDS, Positions, image_index, order_seeds
from harness.errors import DataError

ImagesOf = Callable[[int], Iterable[int]]
"""From a batch's number, counted from 0, to the places of its images in the split."""


def naming_batches(
    batches: Iterable[Any], split: Split, images_of: ImagesOf, decoder: str
) -> Generator[Any]:
    """The same batches; an image that does not decode ends them with its name.

    Args:
        batches: of a pipeline, from its first one on.
        split: whose images they hold.
        images_of: the images of a batch.
        decoder: a key of `reading.DCT`.

    Raises:
        DataError: an image does not decode.
        tf.errors.OpError: every other error of the pipeline, as it is.
    """
    iterator: Iterator[Any] = iter(batches)
    for number in count():
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.InvalidArgumentError as error:
            if CHANGED in str(error):
                raise  # it holds the name already
            found = first_undecodable(split, images_of(number), decoder)
            if found is None:
                raise
            raise undecodable_error(split.paths[found]) from error
        yield batch


def first_undecodable(split: Split, images: Iterable[int], decoder: str) -> int | None:
    """The first of these images whose file can be read and does not decode."""
    for image in images:
        try:
            decode_upright(tf.io.read_file(split.paths[image]), tf.constant(1), decoder)
        except tf.errors.InvalidArgumentError:
            return image
        except tf.errors.OpError:
            continue  # missing files are named by the error that they cause themselves
    return None


def undecodable_error(path: str) -> DataError:
    """The error that names a file which does not decode."""
    return DataError(
        "the image does not decode: its header is sound, its content is damaged",
        where=path,
        expected="a file that decodes completely",
        remedy="replace or remove it and prepare the data set again; "
        "`harness prepare --decode` finds every such file",
    )


def training_images(
    split: Split, seed: int, batch: int, first_step: int, rounds: int = ROUNDS
) -> ImagesOf:
    """The images of each global batch of a training that begins at `first_step`."""

    def images_of(number: int) -> list[int]:
        step, images = first_step + number, len(split)
        passes = Positions(images, batch, step, step + 1).passes
        keys = order_seeds(seed, passes, rounds)
        found = []
        for example in range(step * batch, (step + 1) * batch):
            pass_number, place = divmod(example, images)
            key = keys[pass_number - passes[0]]
            found.append(int(image_index(tf.constant(place, tf.int64), key, images, rounds)))
        return found

    return images_of


def images_in_order(images: int, batch: int) -> ImagesOf:
    """The images of each batch of a walk through a split, over and over; the last one is short."""
    batches = -(-images // batch)

    def images_of(number: int) -> range:
        first = number % batches * batch
        return range(first, min(first + batch, images))

    return images_of
