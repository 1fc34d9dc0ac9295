"""Draws and order of a whole batch: the numbers that single examples get."""

import numpy as np
import pytest
import tensorflow as tf

from harness.data.input_pipeline.order import image_index, order_seeds
from harness.data.transforms.draws import augmentation_key, batch_uniforms, uniforms
from harness.numerics.philox import stateless_uniforms

EXTREMES = [0, 1, -1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize("count", [1, 2, 3, 11, 12, 64])
def test_uniforms_are_tensorflows_for_every_seed(count: int) -> None:
    generator = np.random.default_rng(count)
    drawn = generator.integers(-(2**63), 2**63 - 1, (50, 2))
    seeds = np.concatenate([drawn, [(a, b) for a in EXTREMES for b in EXTREMES]])
    expected = [
        tf.random.stateless_uniform([count], seed, dtype=tf.float64, alg="philox").numpy()
        for seed in seeds
    ]
    for function in (stateless_uniforms, tf.function(stateless_uniforms, jit_compile=True)):
        np.testing.assert_array_equal(function(tf.constant(seeds), count), expected)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_a_batch_has_the_draws_of_its_examples(seed: int) -> None:
    key = augmentation_key(seed)
    passes = tf.constant([0, 0, 1, 299, 2**20, 7], tf.int64)
    index = tf.constant([0, 59_999, 17, 1_281_166, 2**32 - 1, 3], tf.int64)
    together = batch_uniforms(key, passes, index)
    apart = [uniforms(key, p, i).numpy() for p, i in zip(passes, index, strict=True)]
    np.testing.assert_array_equal(together, apart)


@pytest.mark.parametrize("images", [1, 2, 7, 60_000])
def test_a_batch_has_the_order_of_its_places(images: int) -> None:
    """A batch that runs across the end of a pass has two keys."""
    place = tf.constant(np.arange(40) % images, tf.int64)
    keys = tf.constant(order_seeds(5, (8, 9)))
    key = tf.gather(keys, tf.repeat([0, 1], 20))
    together = image_index(place, key, images)
    apart = [int(image_index(p, k, images)) for p, k in zip(place, key, strict=True)]
    assert together.dtype == tf.int64
    assert together.numpy().tolist() == apart
