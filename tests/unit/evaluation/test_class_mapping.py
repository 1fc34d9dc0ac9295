from pathlib import Path

import keras
import numpy as np
import pytest

from harness.data.dataset import DataSet, Split
from harness.errors import DataError
from harness.evaluation.class_mapping import (
    class_names,
    labels_for,
    move_head_to_wordnet_order,
    result_order,
)
from harness.recipes.protocol import APM5_NORMALISATION
from harness.record.schema import DataIdentity
from harness.sources.class_order import class_orders
from harness.weights.description import WeightsDescription

ORDERS = class_orders()


def described(order: str, names: tuple[str, ...] = (), classes: int = 1000) -> WeightsDescription:
    return WeightsDescription(
        normalisation=APM5_NORMALISATION, class_order=order, classes=classes, class_names=names
    )


def data(classes: tuple[str, ...], order: str, labels: list[int]) -> DataSet:
    n = len(labels)
    empty = np.zeros(n, np.int32)
    split = Split(
        tuple(map(str, range(n))), ("",) * n, np.array(labels, np.int32),
        empty, empty, empty, empty, 3,
    )  # fmt: skip
    identity = DataIdentity(
        name="a", kind="other", root_digest="0" * 64, train_images=0, val_images=n,
        classes=classes, class_order=order,
    )  # fmt: skip
    return DataSet(Path("somewhere"), split, split, classes, order, identity)


def test_labels_of_either_imagenet_order_are_reported_in_wordnet_order() -> None:
    # The first five validation labels in the development kit's order, as published.
    devkit = data(ORDERS.ids_in("devkit"), "devkit", [489, 360, 170, 821, 296])
    wordnet = data(ORDERS.wnids, "wordnet", [65, 970, 230, 809, 516])
    for weights in (described("wordnet"), described("devkit")):
        assert result_order(weights) == "wordnet"
        np.testing.assert_array_equal(labels_for(devkit, weights), labels_for(wordnet, weights))
        np.testing.assert_array_equal(labels_for(wordnet, weights), wordnet.val.labels)


def test_a_subset_of_imagenet_follows_by_wordnet_id() -> None:
    subset = data((ORDERS.wnids[7], ORDERS.wnids[3]), "folder", [0, 1, 1])
    assert labels_for(subset, described("devkit")).tolist() == [7, 3, 3]


def test_the_head_of_devkit_weights_is_moved_to_wordnet_order() -> None:
    inputs = keras.Input((2,))
    head = keras.layers.Dense(1000, name="fully_connected")
    model = keras.Model(inputs, head(inputs))
    columns = np.arange(2000, dtype=np.float32).reshape(2, 1000)
    head.set_weights([columns, columns[0]])
    move_head_to_wordnet_order(model, described("devkit"))
    tench = ORDERS.wnids.index("n01440764")
    # class-orders.csv: tench is 0 in WordNet order and 448 in the development kit's.
    assert (tench, float(head.bias[tench]), float(head.kernel[1, tench])) == (0, 448, 1448)
    move_head_to_wordnet_order(model, described("wordnet"))
    assert float(head.bias[0]) == 448


def test_own_classes_follow_by_name() -> None:
    weights = described("folder", ("a", "b", "c"), 3)
    assert labels_for(data(("b", "c"), "folder", [0, 1]), weights).tolist() == [1, 2]
    unnamed = described("folder", (), 2)
    assert labels_for(data(("x", "y"), "folder", [1, 0]), unnamed).tolist() == [1, 0]
    assert class_names(weights) == ("a", "b", "c")
    assert class_names(unnamed) == ("class 0", "class 1")


@pytest.mark.parametrize(
    ("classes", "weights"),
    [
        (("apple", "pear"), described("devkit")),
        (("a", "d"), described("folder", ("a", "b", "c"), 3)),
        (("a", "b"), described("folder", (), 3)),
    ],
)
def test_classes_the_network_does_not_know_are_refused(
    classes: tuple[str, ...], weights: WeightsDescription
) -> None:
    with pytest.raises(DataError, match="unknown to the network"):
        labels_for(data(classes, "folder", [0]), weights)


def test_imagenet_names_carry_their_wordnet_id() -> None:
    assert class_names(described("devkit"))[0] == "tench (n01440764)"
