"""Weight files for others to read, each with its description inside."""

from itertools import groupby
from pathlib import Path

import h5py
import keras
import numpy as np

from harness.errors import WeightsError
from harness.files import replaced
from harness.models.catalogue import table_of
from harness.models.variables import VariableSpec
from harness.weights.description import WeightsDescription
from harness.weights.files import DESCRIPTION_ATTRIBUTE

LAYER_BEFORE_HEAD = "global_average_pooling2d"


def export_weights(
    model: keras.Model, model_name: str, description: WeightsDescription, path: Path
) -> None:
    """Write a model's weights, atomically.

    `NAME.weights.h5` is Keras 3's format; any other `NAME.h5` is the legacy one
    that the reference's code loads with `load_weights`.

    Args:
        model: With the weights.
        model_name: Its name in the catalogue.
        description: Normalisation, class order and classes; kept as a root
            attribute, which Keras ignores.
        path: Where to.

    Raises:
        WeightsError: the suffix is neither.
    """
    check_suffix(path)
    with replaced(path, suffix=".tmp.weights.h5") as temporary:
        if path.name.endswith(".weights.h5"):
            model.save_weights(temporary)
        else:
            channels = description.normalisation.channel_count
            table = table_of(model_name, description.classes, channels)
            write_legacy(temporary, table, {v.path: np.asarray(v) for v in model.variables})
        with h5py.File(temporary, "r+") as file:
            file.attrs[DESCRIPTION_ATTRIBUTE] = description.model_dump_json()


def check_suffix(path: Path) -> None:
    """Raise `WeightsError` unless the name is that of a format that can be written."""
    if path.suffix != ".h5":
        raise WeightsError(
            f"{path.suffix or 'no suffix'} is no format for weights",
            where=str(path),
            expected=".weights.h5 (Keras 3) or .h5 (legacy Keras, as the reference has it)",
            remedy="name the file so",
        )


def write_legacy(
    path: Path, table: tuple[VariableSpec, ...], arrays: dict[str, np.ndarray]
) -> None:
    """Write a legacy `.h5`: blocks in order of creation, learned variables before moving ones.

    Args:
        path: Where to.
        table: The network's variables.
        arrays: Values by variable path.
    """
    layers = {
        block: sorted(variables, key=lambda v: not v.trainable)
        for block, variables in groupby(table, lambda v: v.block)
    }
    order = list(layers)
    order.insert(len(order) - 1, LAYER_BEFORE_HEAD)
    with h5py.File(path, "w") as file:
        # Bytes of fixed length: old h5py gives them back with `decode`, new Keras accepts them.
        file.attrs["layer_names"] = np.array(order, "S")
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["keras_version"] = np.bytes_("2.2.4-tf")
        for block in order:
            group = file.create_group(block)
            variables = layers.get(block, [])
            group.attrs["weight_names"] = np.array([v.legacy_name for v in variables], "S")
            for variable in variables:
                group.create_dataset(variable.legacy_name, data=arrays[variable.path])
