"""Starting from imported weights: everything but the head, which is new."""

import keras

from harness.errors import WeightsError
from harness.models.catalogue import HEADS
from harness.models.weight_description import known_normalisation
from harness.models.weight_files import WeightArrays
from harness.models.weight_matching import compare_shapes
from harness.recipes.normalisations import normalisation_name
from harness.recipes.protocol import Normalisation


def load_trunk(model: keras.Model, weights: WeightArrays) -> tuple[str, ...]:
    """Copy all weights but those of the head; the head keeps its draw from the seed.

    Args:
        model: A built model of any number of classes.
        weights: Of the same network, with or without a head, of any number of classes.

    Returns:
        Paths of the variables that were not loaded.

    Raises:
        WeightsError: trunk arrays are missing, surplus or misshapen.
    """
    variables = {v.path: v for v in model.variables if not of_head(v.path)}
    expected = {path: tuple(variable.shape) for path, variable in variables.items()}
    found = {path: shape for path, shape in weights.shapes.items() if not of_head(path)}
    mismatch = compare_shapes(expected, found)
    if mismatch:
        raise WeightsError(
            f"the weights do not fit the trunk of {model.name}; {mismatch.text()}",
            where=weights.source,
            expected=f"the {len(expected)} variables of {model.name} below its head",
            remedy="start from weights of the same network, or choose the network of the weights",
        )
    for path, variable in variables.items():
        variable.assign(weights.arrays[path])
    return tuple(v.path for v in model.variables if v.path not in variables)


def check_input(weights: WeightArrays, model_name: str, normalisation: Normalisation) -> None:
    """Refuse to feed imported weights with another normalisation than they were trained with.

    Args:
        weights: As read.
        model_name: The network's name in the catalogue.
        normalisation: The recipe's.

    Raises:
        WeightsError: the file's normalisation is known and differs.
    """
    known = known_normalisation(weights, model_name)
    if known is not None and known != normalisation:
        raise WeightsError(
            f"the recipe feeds {normalisation_name(normalisation)} input",
            where=weights.source,
            expected=f"{normalisation_name(known)}, with which the weights were trained",
            remedy="set the recipe's normalisation and its protocols' with --set, "
            "or start from weights of the recipe's own normalisation",
        )


def freeze_trunk(model: keras.Model) -> None:
    """Let training change the head alone; batch normalisation keeps its moving statistics."""
    for layer in model.layers:
        layer.trainable = layer.name in HEADS


def of_head(path: str) -> bool:
    """Whether a variable's path lies in the head."""
    return path.split("/", 1)[0] in HEADS
