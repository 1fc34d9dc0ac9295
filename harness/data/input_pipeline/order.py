"""Which image stands where: a pure function of the seed and the position.

Example i of step s has the global number g = s * batch + i. Its pass is g // n
and its place g % n, with n the number of training images; the pass's order is
the permutation `RandomIndexShuffle` of TensorFlow with `ROUNDS` rounds, keyed by
`derive_seed(seed, "order", pass)`. Batches run across the ends of passes, as
the reference's do. Nothing is stored, so reaching any step costs the same.

Up to version 0.2.0 it was `tf.random.experimental.index_shuffle`, which has four
rounds and a constant first word of its key. Data lies sorted by class, and with
60,000 images the places of neighbours were correlated by 0.09: a class's count in
a batch of 128 varied 0.72 times as much as under a uniform order, and there were
65,536 orders. A replay of such a run takes the order that it had.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from harness.errors import UsageError
from harness.numerics.seeds import derive_seed

ROUNDS = 8
FORMER_ROUNDS = 4
FORMER_VERSIONS = ("0.1.0", "0.2.0")
INDEX_SHUFFLE_WORD = 498247692
"""What `tf.random.experimental.index_shuffle` puts before a key."""
_NARROWEST = 16
"""Bits that the permutation has at least."""


@dataclass(frozen=True)
class Positions:
    """The examples that one worker sees from one step to another.

    Attributes:
        images: n, the number of training images.
        batch: global batch.
        first_step: first step, counting from 0.
        last_step: the step after the last one.
        worker: this worker's number in [0, workers).
        workers: how many workers share each batch equally.
        rounds: of the order of each pass.
    """

    images: int
    batch: int
    first_step: int
    last_step: int
    worker: int = 0
    workers: int = 1
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        if self.images < 1 or self.batch % self.workers or not 0 <= self.worker < self.workers:
            raise UsageError(
                f"{self.images} images, batch {self.batch}, worker {self.worker} of {self.workers}",
                expected="at least one image, and a batch that all workers share equally",
                remedy="choose a batch that is a multiple of the number of workers",
            )

    @property
    def per_worker(self) -> int:
        """Images of each batch that this worker sees."""
        return self.batch // self.workers

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.last_step - self.first_step

    @property
    def count(self) -> int:
        """Examples this worker sees in all."""
        return self.steps * self.per_worker

    @property
    def passes(self) -> tuple[int, int]:
        """First and last pass that these steps touch."""
        last = max(self.last_step * self.batch - 1, self.first_step * self.batch)
        return self.first_step * self.batch // self.images, last // self.images

    def global_number(self, nth: Any) -> Any:
        """Global number g of this worker's nth example; integers or int64 tensors."""
        step = self.first_step + nth // self.per_worker
        return step * self.batch + self.worker * self.per_worker + nth % self.per_worker


def rounds_of(version: str) -> int:
    """Rounds of the order that runs of this version of the harness have."""
    return FORMER_ROUNDS if version in FORMER_VERSIONS else ROUNDS


def order_seeds(seed: int, passes: tuple[int, int], rounds: int = ROUNDS) -> np.ndarray:
    """The key of each pass's permutation, int32 [passes, 3]."""
    first, last = passes
    keys = []
    for number in range(first, last + 1):
        own = derive_seed(seed, "order", number, 1)[0]
        word = INDEX_SHUFFLE_WORD if rounds == FORMER_ROUNDS else own
        keys.append((word, *derive_seed(seed, "order", number)))
    return np.array(keys, np.int32)


def image_index(place: tf.Tensor, key: tf.Tensor, images: int, rounds: int = ROUNDS) -> tf.Tensor:
    """Index of the image that stands at `place` of a pass, or of several.

    Args:
        place: int64 scalar in [0, images), or [B].
        key: int32 [3], of the pass; [B, 3] for several places.
        images: number of training images.
        rounds: of the permutation; more mix better.

    Returns:
        int64 in [0, images), of the shape of `place`.
    """

    def permuted(number: tf.Tensor, greatest: int) -> tf.Tensor:
        last = tf.constant(greatest, tf.int64)
        return tf.raw_ops.RandomIndexShuffle(index=number, seed=key, max_index=last, rounds=rounds)

    if rounds == FORMER_ROUNDS or not _is_cut(images - 1):
        return permuted(place, images - 1)
    # Of one number more; whoever gets that one takes what it itself would get.
    found = permuted(place, images)
    beyond = permuted(tf.fill(tf.shape(place), tf.constant(images, tf.int64)), images)
    return tf.where(found == images, beyond, found)


def _is_cut(greatest: int) -> bool:
    """Whether TensorFlow takes a bit too few for this greatest index, and it becomes 0."""
    bits = greatest.bit_length() - 1
    return bits >= _NARROWEST and bits % 2 == 0 and greatest == 1 << bits
