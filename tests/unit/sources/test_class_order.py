"""The two class orders are one-to-one and known points of the published lists hold."""

import numpy as np
import pytest

from harness.errors import DataError
from harness.sources.class_order import class_orders, parse_class_orders, translate_labels


def test_orders_are_inverse_permutations() -> None:
    orders = class_orders()
    everything = np.arange(1000)
    assert (orders.wordnet_of_devkit[orders.devkit_of_wordnet] == everything).all()
    back = translate_labels(translate_labels(everything, "wordnet", "devkit"), "devkit", "wordnet")
    assert (back == everything).all()


def test_first_validation_labels_of_both_published_lists() -> None:
    # Images 1 to 5: the reference's list says 489, 360, 170, 821, 296; the
    # WordNet-order lists say 65, 970, 230, 809, 516.
    devkit = np.array([489, 360, 170, 821, 296])
    assert translate_labels(devkit, "devkit", "wordnet").tolist() == [65, 970, 230, 809, 516]


@pytest.mark.parametrize(
    ("wnid", "name", "devkit"),
    [("n01440764", "tench", 448), ("n01443537", "goldfish", 449)],
)
def test_names_follow_their_class_in_both_orders(wnid: str, name: str, devkit: int) -> None:
    orders = class_orders()
    assert orders.ids_in("devkit")[devkit] == wnid
    assert orders.names[orders.wnids.index(wnid)] == name


def _table(rows: list[tuple[str, str, int, int]]) -> str:
    return "wnid,name,sorted_index,devkit_index\n" + "\n".join(
        ",".join(map(str, row)) for row in rows
    )


GOOD = [(f"n{i:08d}", f"name {i}", i, 999 - i) for i in range(1000)]


@pytest.mark.parametrize(
    "rows",
    [
        GOOD[:-1],
        [*GOOD[:-1], ("n00000999", "doubled devkit index", 999, 5)],
        [GOOD[1], GOOD[0], *GOOD[2:]],
    ],
    ids=["one row short", "devkit index twice", "not sorted"],
)
def test_a_table_that_is_not_one_to_one_is_refused(rows: list[tuple[str, str, int, int]]) -> None:
    assert len(parse_class_orders(_table(GOOD)).wnids) == 1000
    with pytest.raises(DataError):
        parse_class_orders(_table(rows))


@pytest.mark.parametrize("label", [-1, 1000])
def test_labels_out_of_range_are_named(label: int) -> None:
    with pytest.raises(DataError, match=str(label)):
        translate_labels(np.array([0, label]), "devkit", "wordnet")
