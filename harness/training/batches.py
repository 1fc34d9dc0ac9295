"""The training batches of a recipe, on whatever devices it runs."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import tensorflow as tf

from harness.data.dataset import Split
from harness.data.image_files.reading import translate_error
from harness.data.input_pipeline.order import ROUNDS
from harness.data.input_pipeline.pipeline import keeps_training_images, training_batches
from harness.data.input_pipeline.resident import resident_images
from harness.data.input_pipeline.undecodable import naming_batches, training_images
from harness.distributed.devices import Devices, Shard, replica_batches
from harness.recipes.recipe import Recipe
from harness.training.device_errors import explained, is_of_device

TOLD_EVERY_S = 2.0


def recipe_batches(
    recipe: Recipe,
    split: Split,
    devices: Devices,
    *,
    seed: int,
    first: int,
    end: int,
    order_rounds: int = ROUNDS,
) -> Generator[Any]:
    """Batches of the steps [first, end); close it to end its threads.

    Errors of the input are translated here, because the step's errors are of another kind.

    Args:
        recipe: Augmentation, normalisation, image size and batch.
        split: The training images.
        devices: Which shares of each batch are wanted here.
        seed: Of the run.
        first: First step.
        end: The step after the last.
        order_rounds: See `training_batches`.

    Raises:
        DataError: an image cannot be read, was changed or does not decode.
        MachineError: there is no memory for a batch, or the device failed.
    """

    def make(shard: Shard) -> tf.data.Dataset:
        return training_batches(
            split,
            augmentation=recipe.augmentation,
            normalisation=recipe.normalisation,
            image_size=recipe.model.image_size,
            seed=seed,
            batch=recipe.batch,
            first_step=first,
            last_step=end,
            shard=shard,
            order_rounds=order_rounds,
        )

    images_of = training_images(split, seed, recipe.batch, first, order_rounds)
    named = naming_batches(
        replica_batches(devices, make), split, images_of, recipe.augmentation.decoder
    )
    return _with_own_errors(named)


def _with_own_errors(batches: Generator[Any]) -> Generator[Any]:
    """The same batches; TensorFlow's errors as those of the harness."""
    with closing(batches):
        try:
            yield from batches
        except tf.errors.OpError as error:
            device = is_of_device(error)
            raise (explained(error, "input") if device else translate_error(error)) from error


def read_ahead(
    recipe: Recipe,
    split: Split,
    say: Callable[[str], None],
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Read the images that training will take from memory, if it will.

    Args:
        recipe: Its augmentation decides.
        split: The training images.
        say: Called with the progress, every two seconds.
        now: Monotonic clock in seconds.

    Raises:
        DataError: an image is missing, changed or does not decode; it is named.
    """
    channels = recipe.normalisation.channel_count
    if not keeps_training_images(split, recipe.augmentation, channels):
        return
    next_s = now() + TOLD_EVERY_S

    def told(done: int, images: int) -> None:
        nonlocal next_s
        if now() >= next_s:
            say(f"reading the training images into memory: {done:,} of {images:,}")
            next_s = now() + TOLD_EVERY_S

    resident_images(split, recipe.augmentation.decoder, channels, told)
