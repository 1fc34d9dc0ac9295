"""Which image stands where: a pure function of the seed and the position.

Example i of step s has the global number g = s * batch + i. Its pass is g // n
and its place g % n, with n the number of training images; the pass's order is
the permutation `tf.random.experimental.index_shuffle`, keyed by
`derive_seed(seed, "order", pass)`. Batches run across the ends of passes, as
the reference's do. Nothing is stored, so reaching any step costs the same.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from harness.errors import UsageError
from harness.numerics.seeds import derive_seed

INDEX_SHUFFLE_WORD = 498247692
INDEX_SHUFFLE_ROUNDS = 4
"""What `tf.random.experimental.index_shuffle` puts before a key, and its rounds."""


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
    """

    images: int
    batch: int
    first_step: int
    last_step: int
    worker: int = 0
    workers: int = 1

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


def order_seeds(seed: int, passes: tuple[int, int]) -> np.ndarray:
    """The key of each pass's permutation, int32 [passes, 2]."""
    first, last = passes
    keys = [derive_seed(seed, "order", number) for number in range(first, last + 1)]
    return np.array(keys, np.int32)


def image_index(place: tf.Tensor, key: tf.Tensor, images: int) -> tf.Tensor:
    """Index of the image that stands at `place` of a pass, or of several.

    Args:
        place: int64 scalar in [0, images), or [B].
        key: int32 [2], of the pass; [B, 2] for several places.
        images: number of training images.

    Returns:
        int64 in [0, images), of the shape of `place`.
    """
    last = tf.constant(images - 1, tf.int64)
    if place.shape.rank == 0:
        return tf.random.experimental.index_shuffle(place, key, last)
    # The same operation; its wrapper cannot take several keys.
    seed = tf.pad(key, [[0, 0], [1, 0]], constant_values=INDEX_SHUFFLE_WORD)
    return tf.raw_ops.RandomIndexShuffle(
        index=place, seed=seed, max_index=last, rounds=INDEX_SHUFFLE_ROUNDS
    )
