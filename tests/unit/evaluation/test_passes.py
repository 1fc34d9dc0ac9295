"""What shares a pass gets the crops that it would get alone."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from harness.data.input_pipeline.pipeline import cut_crops
from harness.evaluation.passes import positions_within, shared_passes, widest_of
from harness.recipes.protocol import Protocol, center_crop, multi_scale, ten_crop

CENTER, TEN = center_crop(6, 4), ten_crop(6, 4)
MIRRORED = CENTER.model_copy(update={"name": "center and its mirror", "mirror": True})
FIVE = TEN.model_copy(update={"name": "five", "mirror": False})
LOGITS = TEN.model_copy(update={"name": "ten, logits", "average": "logits"})
ALL = (CENTER, TEN, MIRRORED, FIVE, LOGITS)


@pytest.mark.parametrize("asked", [*itertools.permutations(ALL, 2), ALL, ALL[::-1]])
def test_each_protocol_of_a_pass_has_its_own_crops(asked: tuple[Protocol, ...]) -> None:
    image = tf.reshape(tf.range(6 * 7 * 3, dtype=tf.float32), (6, 7, 3))
    passes = shared_passes(asked)
    assert sorted(one.name for group in passes for one in group) == sorted(p.name for p in asked)
    for group in passes:
        widest = widest_of(group)
        shown = cut_crops(image, widest).numpy()
        assert len(shown) == widest.views
        for protocol in group:
            places = positions_within(protocol, widest)
            assert places is not None
            alone = cut_crops(image, protocol).numpy()
            np.testing.assert_array_equal(shown[list(places)], alone)
            assert protocol.views == len(alone)


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        ((CENTER, TEN), 1),
        ((TEN, FIVE, CENTER, MIRRORED, LOGITS), 1),
        ((MIRRORED, FIVE), 2),
        ((CENTER, center_crop(8, 4)), 2),
        ((CENTER, multi_scale(), TEN), 2),
        ((multi_scale(), multi_scale().model_copy(update={"mirror": False})), 2),
    ],
)
def test_a_pass_shows_no_crop_that_nobody_asked_for(
    asked: tuple[Protocol, ...], passes: int
) -> None:
    assert len(shared_passes(asked)) == passes


def test_groups_are_in_the_order_of_first_mention() -> None:
    other = center_crop(8, 4)
    asked = (CENTER, multi_scale(), TEN, other)
    assert shared_passes(asked) == ((CENTER, TEN), (multi_scale(),), (other,))


@pytest.mark.parametrize(
    ("protocol", "views"), [(CENTER, 1), (MIRRORED, 2), (FIVE, 5), (TEN, 10), (multi_scale(), 10)]
)
def test_views_are_counted(protocol: Protocol, views: int) -> None:
    assert protocol.views == views
