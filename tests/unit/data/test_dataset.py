"""The fixed draw of validation images, and images that are in both splits."""

import numpy as np
import pytest

from harness.data.dataset import fixed_draw, leak


@pytest.mark.parametrize("images", [1, 10, 37, 300])
def test_a_draw_takes_all_classes_in_turns_and_is_the_same_each_time(images: int) -> None:
    labels = np.sort(np.random.default_rng(1).permutation(np.repeat(np.arange(10), 30)))
    found = fixed_draw(labels, images)
    assert found.tolist() == sorted(set(found.tolist()))
    assert found.tolist() == fixed_draw(labels, images).tolist()
    counts = np.bincount(labels[found], minlength=10)
    assert len(found) == images
    assert counts.max() - counts.min() <= 1
    assert set(found.tolist()) <= set(fixed_draw(labels, min(300, images + 5)).tolist())


def test_a_draw_of_unequal_classes_takes_what_there_is() -> None:
    labels = np.asarray([0] * 50 + [1] * 2)
    assert np.bincount(labels[fixed_draw(labels, 10)]).tolist() == [8, 2]
    firsts = [int(fixed_draw(np.zeros(1000, np.int32), n).min()) for n in (1, 20)]
    assert firsts != [0, 0], "it is no run of the first images"


def test_validation_images_that_are_training_images_are_named() -> None:
    train = np.asarray([5, 6, 7], np.uint64)
    assert leak(train, np.asarray([8, 9], np.uint64), ("val/a", "val/b")) is None
    found = leak(train, np.asarray([6, 9, 6], np.uint64), ("val/a", "val/b", "val/c"))
    assert found is not None
    assert found.text == ("2 validation images are byte-identical to training images: val/a, val/c")
    many = leak(train, np.full(12, 5, np.uint64), tuple(f"val/{i}" for i in range(12)))
    assert many is not None
    assert many.text.endswith("val/9, ...")
