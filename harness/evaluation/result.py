"""The answer of one protocol over a split, image by image."""

from dataclasses import dataclass

import numpy as np

from harness.errors import DataError
from harness.recipes.protocol import Protocol

TOP = 5


@dataclass(frozen=True)
class EvaluationResult:
    """Predictions of every evaluated image in manifest order, and their counts.

    Attributes:
        protocol: What was shown to the network and how its answers were averaged.
        image_ids: n names, each once.
        labels: int32 [n].
        top5_class: int32 [n, 5], most probable first, the lower class first where
            probabilities are equal; -1 where there are fewer than five classes.
        top5_probability: float32 [n, 5].
        images_in_split: Images the split has; more than n when a limit was given.
        crops: Crops the network saw.
        duration_s: Time from the first batch asked for to the last answer,
            tracing excluded.
    """

    protocol: Protocol
    image_ids: tuple[str, ...]
    labels: np.ndarray
    top5_class: np.ndarray
    top5_probability: np.ndarray
    images_in_split: int
    crops: int
    duration_s: float

    @property
    def images(self) -> int:
        """Number of images evaluated."""
        return len(self.image_ids)

    @property
    def top1_correct(self) -> int:
        """Images whose most probable class is the label."""
        return int((self.top5_class[:, 0] == self.labels).sum())

    @property
    def top5_correct(self) -> int:
        """Images whose label is among the five most probable classes."""
        return int((self.top5_class == self.labels[:, None]).any(axis=1).sum())

    @property
    def crops_per_s(self) -> float:
        """Crops a second; 0 where no time passed."""
        return self.crops / self.duration_s if self.duration_s > 0 else 0.0


class Collector:
    """Gathers batches of answers by image and checks that each image came exactly once."""

    def __init__(self, images: int) -> None:
        self.seen = np.zeros(images, np.int32)
        self.labels = np.zeros(images, np.int32)
        self.classes = np.full((images, TOP), -1, np.int32)
        self.probabilities = np.zeros((images, TOP), np.float32)

    def add(
        self,
        index: np.ndarray,
        mask: np.ndarray,
        label: np.ndarray,
        top: tuple[np.ndarray, np.ndarray],
    ) -> int:
        """Take one batch; rows whose mask is false are padding.

        Args:
            index: int64 [b], positions in the split.
            mask: bool [b].
            label: int32 [b].
            top: int32 [b, 5] classes and float32 [b, 5] probabilities.

        Returns:
            Number of images taken.

        Raises:
            DataError: an index is beyond the images asked for.
        """
        index = index[mask]
        if index.size and not 0 <= index.min() <= index.max() < len(self.seen):
            raise DataError(
                f"the pipeline delivered image {int(index.max())}",
                expected=f"positions 0 to {len(self.seen) - 1}",
                remedy="this is a defect of the pipeline; report it with the command",
            )
        np.add.at(self.seen, index, 1)
        self.labels[index] = label[mask]
        self.classes[index] = top[0][mask]
        self.probabilities[index] = top[1][mask]
        return int(index.size)

    def check(self) -> None:
        """Raise `DataError` unless every image came exactly once."""
        if (self.seen == 1).all():
            return
        missing, doubled = int((self.seen == 0).sum()), int((self.seen > 1).sum())
        raise DataError(
            f"{missing} images were not evaluated and {doubled} more than once",
            expected=f"each of {len(self.seen)} images exactly once",
            remedy="check that the data set did not change during the evaluation, then run again",
        )
