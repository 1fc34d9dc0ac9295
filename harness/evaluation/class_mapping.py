"""Bringing a network's classes and a data set's labels into one order.

ImageNet weights answer in WordNet order here: the head's columns of weights in
the development kit's order are moved, which changes no probability. Labels
follow by WordNet id, so that a subset of ImageNet can be evaluated as well.
"""

from typing import Literal

import keras
import numpy as np

from harness.data.dataset import DataSet
from harness.errors import DataError
from harness.models.catalogue import HEADS
from harness.recipes.imagenet import CLASSES
from harness.sources.class_order import class_orders, readable, translate_labels
from harness.weights.description import WeightsDescription

ResultOrder = Literal["wordnet", "folder"]


def result_order(description: WeightsDescription) -> ResultOrder:
    """The order in which an evaluation reports classes."""
    return "folder" if description.class_order == "folder" else "wordnet"


def class_names(description: WeightsDescription) -> tuple[str, ...]:
    """A name for each class in the reported order; ImageNet's with their WordNet ids."""
    if description.class_order == "folder":
        return names_as_stored(description)
    return readable(class_orders().wnids)


def names_as_stored(description: WeightsDescription) -> tuple[str, ...]:
    """The same in the order in which the network itself answers."""
    if description.class_order == "folder":
        unnamed = (f"class {i}" for i in range(description.classes))
        return readable(description.class_names or unnamed)
    return readable(class_orders().ids_in(description.class_order))


def move_head_to_wordnet_order(model: keras.Model, description: WeightsDescription) -> None:
    """Reorder the classes of a head in the development kit's order; others stay."""
    if description.class_order != "devkit":
        return
    columns = class_orders().devkit_of_wordnet
    for variable in model.variables:
        if variable.path.split("/", 1)[0] in HEADS:
            variable.assign(np.asarray(variable)[..., columns])


def labels_for(data: DataSet, description: WeightsDescription) -> np.ndarray:
    """Labels of the validation split in the reported order, int32 [n].

    Raises:
        DataError: the data set has classes that the network does not know.
    """
    labels = np.asarray(data.val.labels, np.int32)
    if description.class_order == "folder":
        return _own_classes(data, description)[labels]
    if data.class_order != "folder":
        return translate_labels(labels, data.class_order, "wordnet")
    position = {wnid: i for i, wnid in enumerate(class_orders().wnids)}
    return _positions(data, position, "WordNet ids of ImageNet's classes")[labels]


def _own_classes(data: DataSet, description: WeightsDescription) -> np.ndarray:
    if not description.class_names and len(data.classes) == description.classes:
        return np.arange(description.classes, dtype=np.int32)
    position = {name: i for i, name in enumerate(description.class_names)}
    return _positions(data, position, f"the {description.classes} classes of the weights")


def _positions(data: DataSet, position: dict[str, int], expected: str) -> np.ndarray:
    unknown = [name for name in data.classes if name not in position]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(data.classes)} classes are unknown to the network, "
            f"such as {unknown[0]!r}",
            where=str(data.root),
            expected=expected,
            remedy="evaluate on the data the weights were trained for, or name the right "
            f"--class-order (an order of ImageNet has {CLASSES} classes)",
        )
    return np.array([position[name] for name in data.classes], np.int32)
