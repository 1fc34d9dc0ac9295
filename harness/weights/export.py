"""Weights for others to read: files of weights with a description inside, and whole networks."""

import json
import warnings
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np

from harness.errors import WeightsError
from harness.files import replace_text, replaced
from harness.models.catalogue import table_of
from harness.models.plain import plain_copy
from harness.models.variables import VariableSpec
from harness.recipes.protocol import Normalisation
from harness.weights.description import WeightsDescription
from harness.weights.files import DESCRIPTION_ATTRIBUTE

LAYER_BEFORE_HEAD = "global_average_pooling2d"
THEIR_WARNING = "__array__ implementation doesn't accept a copy"
"""Keras under NumPy 2."""

Format = Literal["keras", "saved-model"]


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
            expected=".weights.h5 (Keras 3) or .h5 (legacy Keras, as the reference has it); .keras "
            "for a whole network",
            remedy="name the file so, or give --format saved-model for a folder",
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


def export_network(
    model: keras.Model,
    description: WeightsDescription,
    classes: Sequence[str],
    path: Path,
    kind: Format,
) -> Path:
    """Write a network that plain Keras or TensorFlow opens, and its classes beside it.

    It takes pixels as they are, RGB or grey from 0 to 255 of any size, normalises them by a
    1x1 convolution, and gives a probability for each class.

    Args:
        model: From normalised pixels to logits.
        description: Of its weights.
        classes: Names in the order of the outputs.
        path: A `.keras` file, or a folder that does not exist.
        kind: Which.

    Returns:
        The file with class names, normalisation and what goes in and out.

    Raises:
        WeightsError: the folder exists.
    """
    whole = _with_pixels(model, description.normalisation)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", THEIR_WARNING)
        if kind == "keras":
            with replaced(path, suffix=".tmp.keras") as temporary:
                whole.save(temporary)
        else:
            _refuse_existing(path)
            whole.export(path, verbose=False)
    beside = path.with_name(f"{path.name.removesuffix('.keras')}.classes.json")
    document = {
        "classes": list(classes),
        "input": "float32 [batch, height, width, channels], "
        + ("grey" if description.normalisation.channels == "grey" else "RGB")
        + ", 0 to 255; normalised inside",
        "output": "float32 [batch, classes], probabilities",
        "normalisation": description.normalisation.model_dump(mode="json"),
    }
    replace_text(beside, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return beside


def _with_pixels(model: keras.Model, normalisation: Normalisation) -> keras.Model:
    """The network in Keras' own layers, with normalisation before it and probabilities behind."""
    channels = normalisation.channel_count
    pixels = keras.Input((None, None, channels), name="pixels")
    layer = keras.layers.Conv2D(channels, 1, name="normalisation", trainable=False)
    network = plain_copy(model)
    logits = network(layer(pixels))
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(logits)
    scale = 1 / (normalisation.scale * np.asarray(normalisation.std))
    kernel = np.diag(scale)
    if normalisation.channels == "bgr":
        kernel = kernel[::-1]
    bias = -np.asarray(normalisation.mean) / np.asarray(normalisation.std)
    layer.set_weights([kernel[None, None].astype(np.float32), bias.astype(np.float32)])
    return keras.Model(pixels, probabilities, name=model.name)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise WeightsError(
            "there is something already",
            where=str(path),
            expected="a folder that does not exist: a SavedModel is one",
            remedy="name another, or move this one away",
        )
