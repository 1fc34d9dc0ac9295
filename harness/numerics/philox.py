"""Philox 4x32-10 for many seeds in one pass, with the numbers that TensorFlow gives.

`tf.random.stateless_uniform` takes one seed a call, so that a batch of 128
examples would take 128 calls. The arithmetic is that of Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"; key and counter are made from a
seed as TensorFlow makes them (`random_ops_util._philox_scramble_seed`).
"""

from typing import NamedTuple

import tensorflow as tf

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
SCRAMBLING_KEY = 0x02461E293EC8F720
"""TensorFlow's: a seed is the counter of this key's first block."""
DOUBLES_A_BLOCK = 2
FRACTION_BITS = 52
EXPONENT_OF_ONE = 1023


class Block(NamedTuple):
    """Four 32-bit words, each uint64 of one shape."""

    a: tf.Tensor
    b: tf.Tensor
    c: tf.Tensor
    d: tf.Tensor


def stateless_uniforms(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """What `tf.random.stateless_uniform([count], seed, alg="philox")` gives for each seed.

    Args:
        seeds: int64 [B, 2].
        count: numbers for each seed.

    Returns:
        float64 [B, count] in [0, 1).
    """
    words = tf.cast(seeds, tf.uint64)[:, :, tf.newaxis]
    mixed = _philox(Block(*_halves(words[:, 0]), *_halves(words[:, 1])), _key(SCRAMBLING_KEY))
    blocks = -(-count // DOUBLES_A_BLOCK)
    place = tf.cast(tf.range(blocks), tf.uint64)[tf.newaxis] + tf.zeros_like(mixed.a)
    found = _philox(Block(place, tf.zeros_like(place), mixed.c, mixed.d), (mixed.a, mixed.b))
    doubles = tf.stack([_double(found.a, found.b), _double(found.c, found.d)], axis=-1)
    return tf.reshape(doubles, [-1, blocks * DOUBLES_A_BLOCK])[:, :count]


def _philox(counter: Block, key: tuple[tf.Tensor, tf.Tensor]) -> Block:
    a, b, c, d = counter
    left, right = key
    for _ in range(ROUNDS):
        low_a, high_a = _halves(a * _uint64(MULTIPLIERS[0]))
        low_c, high_c = _halves(c * _uint64(MULTIPLIERS[1]))
        a, b, c, d = high_c ^ b ^ left, low_c, high_a ^ d ^ right, low_a
        left, right = (_halves(k + _uint64(w))[0] for k, w in zip((left, right), WEYL, strict=True))
    return Block(a, b, c, d)


def _double(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """float64 in [0, 1) whose fraction is 20 bits of one word before the other word."""
    fraction = tf.bitwise.left_shift(low, _uint64(32)) + high
    bits = fraction & _uint64((1 << FRACTION_BITS) - 1)
    return tf.bitcast(bits + _uint64(EXPONENT_OF_ONE << FRACTION_BITS), tf.float64) - 1.0


def _halves(word: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Low and high 32 bits."""
    return word & _uint64(0xFFFFFFFF), tf.bitwise.right_shift(word, _uint64(32))


def _key(value: int) -> tuple[tf.Tensor, tf.Tensor]:
    low, high = _halves(_uint64(value))
    return low, high


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
