import math

import numpy as np
import pytest
import tensorflow as tf

from harness.data.transforms.resizing import resize_short_side
from harness.recipes.protocol import Protocol, center_crop

RANDOM = np.random.RandomState(2)


def protocol(**settings: object) -> Protocol:
    return center_crop().model_copy(update=settings)


@pytest.mark.parametrize("rule", ["truncate_float64", "round"])
# 98, 107, 374 and 389 are short sides for which 256 becomes 255 by truncation.
@pytest.mark.parametrize("size", [(98, 200), (107, 107), (500, 374), (389, 640), (375, 500)])
def test_sizes_follow_the_rule_in_float64(rule: str, size: tuple[int, int]) -> None:
    image = tf.zeros([*size, 3], tf.uint8)
    resized = resize_short_side(image, 256, protocol(resize_rule=rule))
    ratio = 256 / min(size)
    make = int if rule == "truncate_float64" else round
    assert resized.shape.as_list() == [make(size[0] * ratio), make(size[1] * ratio), 3]


def test_the_references_short_side_can_be_one_less_than_asked() -> None:
    image = tf.zeros([98, 200, 3], tf.uint8)
    assert resize_short_side(image, 256, protocol()).shape[0] == 255
    assert resize_short_side(image, 256, protocol(resize_rule="round")).shape[0] == 256


def test_a_crop_fits_in_any_case() -> None:
    image = tf.zeros([98, 200, 3], tf.uint8)
    assert resize_short_side(image, 256, protocol(), at_least=256).shape[0] == 256


def test_bilinear_without_antialiasing_reads_two_pixels_at_half_pixel_centers() -> None:
    row = RANDOM.randint(0, 256, 40).astype(np.uint8)
    image = np.repeat(row[None, :, None], 40, 0).repeat(3, 2)
    resized = np.asarray(resize_short_side(image, 10, protocol()))
    for x in range(10):
        at = (x + 0.5) * 4 - 0.5
        low = math.floor(at)
        expected = row[low] * (1 - (at - low)) + row[low + 1] * (at - low)
        np.testing.assert_allclose(resized[:, x], expected, atol=1e-3)


@pytest.mark.parametrize("settings", [{"antialias": True}, {"interpolation": "bicubic"}])
def test_other_settings_give_other_pixels(settings: dict[str, object]) -> None:
    image = RANDOM.randint(0, 256, (60, 80, 3)).astype(np.uint8)
    plain = resize_short_side(image, 30, protocol())
    other = resize_short_side(image, 30, protocol(**settings))
    assert float(tf.reduce_max(tf.abs(plain - other))) > 5
    # Antialiasing averages: the mean stays and the spread falls.
    assert abs(float(tf.reduce_mean(plain) - tf.reduce_mean(other))) < 2
    if "antialias" in settings:
        assert float(tf.math.reduce_std(other)) < 0.9 * float(tf.math.reduce_std(plain))
