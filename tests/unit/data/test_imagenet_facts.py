"""What a manifest says of ImageNet beside what is published."""

from collections.abc import Mapping

import pyarrow as pa
import pytest

from harness.data.imagenet_facts import kind_of, known_truths
from harness.sources.class_order import class_orders
from harness.sources.labels.numbers import published_val_labels
from harness.sources.source import Truth

LABELS = "validation images in another class than the published one"
CRANES = ("n02012849", "n03126707")
"""The bird and the machine: both are called crane."""


def rows_of(labels: Mapping[str, str]) -> pa.Table:
    """A manifest of validation images by name, each with its class."""
    classes = list(labels.values())
    number = {wnid: label for label, wnid in enumerate(class_orders().wnids)}
    ids = [f"val/{wnid}/{name}.JPEG" for name, wnid in labels.items()]
    return pa.table(
        {
            "id": ids,
            "class": classes,
            "split": ["val"] * len(ids),
            "label": pa.array([number[wnid] for wnid in classes], pa.int32()),
        }
    )


def truths_of(labels: Mapping[str, str]) -> dict[str, Truth]:
    """The truths of such a manifest, by what they are about."""
    return {truth.fact: truth for truth in known_truths(rows_of(labels), class_orders().wnids)}


def test_the_published_labels_hold() -> None:
    assert truths_of(published_val_labels())[LABELS].holds


def test_two_classes_in_each_others_place_do_not_hold_though_every_count_does() -> None:
    bird, machine = CRANES
    swapped = {bird: machine, machine: bird}
    labels = {name: swapped.get(wnid, wnid) for name, wnid in published_val_labels().items()}
    truths = truths_of(labels)
    assert truths["validation images per class"].holds
    assert not truths[LABELS].holds
    first = next(name for name, wnid in labels.items() if wnid in CRANES)
    assert truths[LABELS].found == f"100, such as val/{labels[first]}/{first}.JPEG"
    others = tuple(truth.model_copy(update={"holds": True}) for truth in truths.values())
    assert kind_of("", class_orders().wnids, others) == "imagenet"
    assert kind_of("", class_orders().wnids, (*others, truths[LABELS])) == "imagenet_subset"


def test_devkit_order_taken_for_sorted_order_does_not_hold() -> None:
    order = dict(zip(class_orders().wnids, class_orders().ids_in("devkit"), strict=True))
    truths = truths_of({name: order[wnid] for name, wnid in published_val_labels().items()})
    assert truths["validation images per class"].holds
    assert not truths[LABELS].holds


@pytest.mark.parametrize("name", ["image_{}", "ILSVRC2012_test_{:08d}", "n01440764_{}"])
def test_nothing_is_said_of_images_with_other_names(name: str) -> None:
    labels = {name.format(n): wnid for n, wnid in enumerate(class_orders().wnids)}
    assert LABELS not in truths_of(labels)
