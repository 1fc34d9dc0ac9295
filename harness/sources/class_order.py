"""ImageNet's two class orders and the way between them.

`wordnet`: the 1,000 WordNet ids sorted as text (Keras, TFDS, torchvision).
`devkit`: the development kit's class id minus 1, which the reference's list
files use. Mixing them up scores about 0 %.

`class_orders.csv` follows from the two published 50,000-line validation lists,
mapped through WordNet ids; names alone are ambiguous ("crane", "maillot").
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np

from harness.errors import DataError
from harness.recipes.imagenet import CLASSES

Order = Literal["wordnet", "devkit"]


@dataclass(frozen=True)
class ClassOrders:
    """The 1,000 classes in WordNet order, with each one's place in the other order.

    Attributes:
        wnids: WordNet ids, sorted.
        names: One English name per class, in the same order; not unique.
        devkit_of_wordnet: int32 [1000], devkit index of each WordNet index.
        wordnet_of_devkit: int32 [1000], the inverse.
    """

    wnids: tuple[str, ...]
    names: tuple[str, ...]
    devkit_of_wordnet: np.ndarray
    wordnet_of_devkit: np.ndarray

    def ids_in(self, order: Order) -> tuple[str, ...]:
        """WordNet ids listed in one of the orders."""
        if order == "wordnet":
            return self.wnids
        return tuple(self.wnids[i] for i in self.wordnet_of_devkit)


@cache
def class_orders() -> ClassOrders:
    """Load and check the table that comes with the package.

    Raises:
        DataError: the file is not a one-to-one table of 1,000 sorted classes.
    """
    text = resources.files("harness.sources").joinpath("class_orders.csv").read_text("utf-8")
    return parse_class_orders(text)


def readable(classes: Iterable[str]) -> tuple[str, ...]:
    """Class names for a person: what a WordNet id stands for, with the id; others as they are."""
    orders = class_orders()
    names = dict(zip(orders.wnids, orders.names, strict=True))
    return tuple(f"{names[one]} ({one})" if one in names else one for one in classes)


def parse_class_orders(text: str) -> ClassOrders:
    """Read `wnid,name,sorted_index,devkit_index` rows.

    Raises:
        DataError: the file is not a one-to-one table of 1,000 sorted classes.
    """
    rows = list(csv.DictReader(text.splitlines()))
    try:
        wnids = tuple(row["wnid"] for row in rows)
        names = tuple(row["name"] for row in rows)
        sorted_index = [int(row["sorted_index"]) for row in rows]
        devkit = np.array([int(row["devkit_index"]) for row in rows], np.int32)
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(f"a row cannot be read: {error}") from error
    everything = list(range(CLASSES))
    if sorted_index != everything or list(wnids) != sorted(set(wnids)):
        raise _broken("WordNet ids are not 1,000 different ones in sorted order")
    if sorted(devkit.tolist()) != everything:
        raise _broken("the development kit's indices are not 0 to 999, each once")
    return ClassOrders(wnids, names, devkit, np.argsort(devkit).astype(np.int32))


def translate_labels(labels: np.ndarray, source: Order, target: Order) -> np.ndarray:
    """Labels of one order as labels of the other.

    Args:
        labels: integers [n] in [0, 999].
        source: the order they are in.
        target: the order wanted.

    Returns:
        int32 [n].

    Raises:
        DataError: a label is out of range.
    """
    labels = np.asarray(labels)
    outside = labels[(labels < 0) | (labels >= CLASSES)]
    if outside.size:
        raise DataError(
            f"the label {int(outside[0])} is out of range",
            expected="0 to 999 (the development kit's class id minus 1, or the WordNet order)",
            remedy="check which numbering the label file uses",
        )
    if source == target:
        return labels.astype(np.int32)
    orders = class_orders()
    table = orders.devkit_of_wordnet if target == "devkit" else orders.wordnet_of_devkit
    return np.asarray(table[labels], np.int32)


def _broken(found: str) -> DataError:
    return DataError(
        found,
        where="harness/sources/class_orders.csv",
        expected="1,000 classes, one-to-one between both orders",
        remedy="install the package again; the file is part of it",
    )
