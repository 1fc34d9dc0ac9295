"""Zero-padded crops: against NumPy, and each offset and mirror as often as it should be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare

from harness.data.transforms.draws import (
    FLIP,
    X,
    Y,
    augmentation_key,
    batch_uniforms,
    padded_draws,
    uniforms,
)
from harness.data.transforms.padding import padded_step
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Augmentation
from tests.small_images import COLOUR, GREY, padded, pixels

LEVELS = Normalisation(channels="grey", mean=(0.0,), std=(1.0,))


def draws(count: int, seed: int = 3) -> tf.Tensor:
    """float64 [count, 11], one example's after the other."""
    numbers = [tf.constant(n, tf.int64) for n in range(count)]
    key = augmentation_key(seed)
    return tf.stack([uniforms(key, tf.constant(5, tf.int64), number) for number in numbers])


def by_numpy(
    images: np.ndarray, u: np.ndarray, augmentation: Augmentation, size: int, norm: Normalisation
) -> np.ndarray:
    """The protocol's words in float64: pad, cut, mirror, then normalise."""
    pad = augmentation.padding or 0
    made = []
    for image, draw in zip(images, u, strict=True):
        large = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
        places = len(large) - size + 1
        top, left = int(draw[Y] * places), int(draw[X] * places)
        crop = large[top : top + size, left : left + size].astype(np.float64)
        if augmentation.flip and draw[FLIP] < 0.5:
            crop = crop[:, ::-1]
        if norm.channels == "bgr":
            crop = crop[..., ::-1]
        made.append((crop / norm.scale - np.array(norm.mean)) / np.array(norm.std))
    return np.stack(made)


def eagerly(step: Callable[..., tf.Tensor], images: np.ndarray, u: tf.Tensor) -> np.ndarray:
    return np.asarray(step(tf.constant(images), u))


def in_tf_data(step: Callable[..., tf.Tensor], images: np.ndarray, u: tf.Tensor) -> np.ndarray:
    dataset = tf.data.Dataset.from_tensors((images, u)).map(step)
    return np.asarray(next(iter(dataset)))


@pytest.mark.parametrize("run", [eagerly, in_tf_data])
@pytest.mark.parametrize(
    ("side", "padding", "size", "norm"),
    [
        (28, 4, 28, GREY),
        (32, 4, 32, COLOUR),
        (9, 2, 13, GREY),  # the padded image whole
        (9, 2, 11, COLOUR.model_copy(update={"channels": "bgr"})),
        (9, 0, 5, GREY),  # no zeros, a smaller crop
        (9, 12, 9, GREY),  # crops that see zeros alone
    ],
)
def test_crops_are_numpys(
    run: Callable[..., np.ndarray], side: int, padding: int, size: int, norm: Normalisation
) -> None:
    augmentation, u = padded(side, padding), draws(40)
    images = pixels(40, side, norm.channel_count)
    found = run(padded_step(augmentation, norm, size), images, u)
    expected = by_numpy(images, u.numpy(), augmentation, size, norm)
    assert (found.dtype, found.shape) == (np.float32, (40, size, size, norm.channel_count))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_zeros_are_black_pixels_before_normalising() -> None:
    u = tf.zeros((1, 11), tf.float64)
    image = padded_step(padded(28), GREY, 28)(
        tf.fill((1, 28, 28, 1), tf.constant(255, tf.uint8)), u
    )
    black, white = -0.1307 / 0.3081, (1 - 0.1307) / 0.3081
    # Offset 0 and mirrored: four rows of zeros above, four columns of them on the right.
    assert image[0, 0, 0, 0].numpy() == pytest.approx(black)
    assert image[0, 4, 0, 0].numpy() == pytest.approx(white)
    assert np.asarray(image[0, 4:, 24:, 0]) == pytest.approx(black)
    assert np.asarray(image[0, 4:, :24, 0]) == pytest.approx(white)


def test_without_flip_nothing_is_mirrored() -> None:
    _, mirrored = padded_draws(draws(200), padded(28, flip=False), 9)
    assert not mirrored.numpy().any()


def test_the_largest_uniform_is_the_last_offset() -> None:
    u = tf.constant([[0.0] * 11, [1 - 2.0**-52] * 11], tf.float64)
    for offsets in (1, 2, 8, 9, 16, 17, 225):
        (y, x), _ = padded_draws(u, padded(28), offsets)
        assert y.numpy().tolist() == x.numpy().tolist() == [0, offsets - 1]


@pytest.mark.parametrize("seed", [1, 2])
def test_all_offsets_and_both_mirrors_come_equally_often(seed: int) -> None:
    """Told from the pixels: where the zeros are, and on which side the brighter half is."""
    side, count = 10, 81 * 2 * 200
    index = tf.range(count, dtype=tf.int64)
    u = batch_uniforms(augmentation_key(seed), index // 1000, index % 1000)
    half = np.repeat([100, 200], side // 2)[np.newaxis, np.newaxis, :, np.newaxis]
    image = tf.constant(np.broadcast_to(half, (1, side, side, 1)), tf.uint8)
    found: Any = padded_step(padded(side), LEVELS, side)(tf.repeat(image, count, axis=0), u)
    crops = found.numpy()[..., 0]
    rows, columns = crops.max(axis=2) > 0, crops.max(axis=1) > 0
    above, below = np.argmax(rows, 1), np.argmax(rows[:, ::-1], 1)
    left, right = np.argmax(columns, 1), np.argmax(columns[:, ::-1], 1)
    first = np.take_along_axis(crops.max(axis=1), left[:, np.newaxis], 1)[:, 0]
    mirrored = first == 200
    left, right = np.where(mirrored, right, left), np.where(mirrored, left, right)
    y, x = 4 - above + below, 4 - left + right
    counts = np.bincount((y * 9 + x) * 2 + mirrored, minlength=162)
    assert len(counts) == 162
    assert counts.min() > 0
    assert chisquare(counts).pvalue > 1e-3
    assert chisquare(np.bincount(mirrored.astype(int))).pvalue > 1e-3
