"""Starting from imported weights: everything but the head, which is new."""

import keras

from harness.models.catalogue import HEADS
from harness.recipes.recipe import Model
from harness.weights.files import WeightArrays
from harness.weights.trunk import check_trunk, of_head


def load_trunk(model: keras.Model, model_name: str, weights: WeightArrays) -> tuple[str, ...]:
    """Copy all weights but those of the head; the head keeps its draw from the seed.

    Args:
        model: A built model of any number of classes.
        model_name: Its name in the catalogue.
        weights: Of the same network, with or without a head, of any number of classes.

    Returns:
        Paths of the variables that were not loaded.

    Raises:
        WeightsError: trunk arrays are missing, surplus or misshapen.
    """
    check_trunk(weights, model_name, int(model.input_shape[-1]))
    kept = []
    for variable in model.variables:
        if of_head(variable.path):
            kept.append(variable.path)
        else:
            variable.assign(weights.arrays[variable.path])
    return tuple(kept)


def freeze_as_told(network: keras.Model, model: Model) -> None:
    """Freeze the trunk of a recipe's network where the recipe keeps it."""
    if model.trunk_is_frozen:
        freeze_trunk(network)


def freeze_trunk(model: keras.Model) -> None:
    """Let training change the head alone; batch normalisation keeps its moving statistics."""
    for layer in model.layers:
        layer.trainable = layer.name in HEADS
