"""Numbers as classes: in which order they count, and from 0 or from 1.

The published labels of ImageNet's validation images, which tell, come with the package.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from harness.errors import DataError
from harness.recipes.imagenet import CLASSES
from harness.sources.class_order import Order, class_orders
from harness.sources.folders.names import WNID, shown_all

VAL_NAME = "ILSVRC2012_val_{:08d}"


@dataclass(frozen=True)
class Numbering:
    """How numbers stand for classes: in which order, and the number of the first class."""

    order: Order
    first: int

    def wnid(self, number: int) -> str | None:
        """The class of a number, if there is one."""
        place = number - self.first
        return _wnids(self.order)[place] if 0 <= place < CLASSES else None


@cache
def _wnids(order: Order) -> tuple[str, ...]:
    return class_orders().ids_in(order)


_WAYS = tuple(Numbering(order, first) for first in (0, 1) for order in ("devkit", "wordnet"))


@cache
def published_val_labels() -> Mapping[str, str]:
    """WordNet id of each of ImageNet's 50,000 validation images, by name without suffix.

    Source: tensorflow-datasets 4.9.9 (Apache License 2.0),
    `datasets/imagenet2012/validation_labels.txt`, here as indices in WordNet order.
    """
    with resources.files("harness.sources.labels").joinpath("val_labels.npy").open("rb") as file:
        labels = np.load(file, allow_pickle=False)
    wnids = class_orders().wnids
    return {VAL_NAME.format(n): wnids[label] for n, label in enumerate(labels.tolist(), 1)}


def order_of(labels: Mapping[str, int]) -> Order | None:
    """The class order in which numbers from 0 agree with the published labels, if they tell."""
    told = [way.order for way in _agreeing(labels) if way.first == 0]
    return told[0] if len(told) == 1 else None


def bare_way(numbers: Mapping[str, int], order: Order | None) -> Numbering | None:
    """The development kit counts its classes from 1."""
    return None if 0 in numbers.values() else Numbering(order or "devkit", 1)


def way_of(
    numbers: Mapping[str, int],
    order: Order | None,
    path: str,
    default: Numbering | None,
    classes: Collection[str] = (),
) -> Numbering:
    """How the numbers count: as the published labels tell, else as asked for.

    Args:
        numbers: by image name.
        order: as asked for.
        path: of the file, for messages.
        default: where neither tells.
        classes: names of the training classes.

    Raises:
        DataError: nothing tells, or the published labels contradict the order.
    """
    told = _agreeing(numbers)
    if len(told) == 1:
        if order not in {None, told[0].order}:
            raise DataError(
                f"the labels are in {told[0].order} order",
                where=path,
                expected=f"{order} order, as asked for",
                remedy=f"leave --class-order out or say {told[0].order}",
            )
        return told[0]
    if classes and not any(WNID.fullmatch(name) for name in classes):
        raise DataError(
            f"the labels are numbers, and the classes of train are {shown_all(classes)}",
            where=path,
            expected="the names of train's class folders; numbers stand for ImageNet's classes",
            remedy="write the name of its class folder in place of each number",
        )
    if default is not None:
        return default
    if order is None:
        raise DataError(
            "the class order of the labels cannot be told",
            where=path,
            expected="--class-order devkit (the reference's lists) or --class-order wordnet",
            remedy="say which; the wrong one scores about 0 %",
        )
    return Numbering(order, 0)


def _agreeing(numbers: Mapping[str, int]) -> list[Numbering]:
    """The ways of counting in which these numbers are the published labels."""
    published = published_val_labels()
    shared = [name for name in numbers if name in published]
    return [
        way
        for way in _WAYS
        if shared and all(way.wnid(numbers[name]) == published[name] for name in shared)
    ]
