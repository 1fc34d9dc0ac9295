"""The training batches of a recipe, on whatever devices it runs."""

from collections.abc import Generator
from typing import Any

import tensorflow as tf

from harness.data.dataset import Split
from harness.data.pipeline import training_batches
from harness.data.undecodable import naming_batches, training_images
from harness.recipes.recipe import Recipe
from harness.training.devices import Devices, Shard, replica_batches


def recipe_batches(
    recipe: Recipe, split: Split, devices: Devices, *, seed: int, first: int, end: int
) -> Generator[Any]:
    """Batches of the steps [first, end); close it to end its threads.

    An image that does not decode ends them as `DataError` with its name.

    Args:
        recipe: Augmentation, normalisation, image size and batch.
        split: The training images.
        devices: Which shares of each batch are wanted here.
        seed: Of the run.
        first: First step.
        end: The step after the last.
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
        )

    images_of = training_images(split, seed, recipe.batch, first)
    return naming_batches(
        replica_batches(devices, make), split, images_of, recipe.augmentation.decoder
    )
