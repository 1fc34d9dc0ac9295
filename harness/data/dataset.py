"""A data set that has been checked, as values that the pipeline reads."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from harness.data.string_column import Names
from harness.record.schema import DataDecisions, DataIdentity

Channels = Literal[1, 3, "mixed"]
DRAW_SEED = 19
NAMED = 10


@dataclass(frozen=True, eq=False)
class Split:
    """The images of one split in manifest order (sorted by id); equal only to itself.

    Attributes:
        ids: n image ids, such as `train/n01440764/n01440764_10026.JPEG`; a tuple, or
            `Texts`, which behaves as one and is small.
        paths: n absolute paths.
        labels: int32 [n], in the data set's class order.
        farmhash64: uint64 [n], `tf.fingerprint` of each file's bytes.
        heights: int32 [n], pixels as stored (before EXIF orientation).
        widths: int32 [n].
        orientations: uint8 [n], EXIF orientation 1 to 8.
        channels: of every file that is read: 1 grey, 3 colour, or `mixed`. A converted
            copy has 3. Grey files can also be read as colour, with three equal channels.
    """

    ids: Names
    paths: Names
    labels: np.ndarray
    farmhash64: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    orientations: np.ndarray
    channels: Channels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.ids)

    def taken(self, positions: np.ndarray) -> "Split":
        """A part of the images, in the order of `positions`, int [n]."""
        return replace(
            self,
            ids=tuple(self.ids[int(i)] for i in positions),
            paths=tuple(self.paths[int(i)] for i in positions),
            labels=self.labels[positions],
            farmhash64=self.farmhash64[positions],
            heights=self.heights[positions],
            widths=self.widths[positions],
            orientations=self.orientations[positions],
        )


def fixed_draw(labels: np.ndarray, images: int) -> np.ndarray:
    """Positions of a random draw that is the same each time, ascending: int64 [images].

    Classes take turns, so each has `images / classes` images, one more or less; a larger
    draw holds every smaller one.

    Args:
        labels: int [n], of all images.
        images: At most n.
    """
    shuffled = np.random.default_rng(DRAW_SEED).permutation(len(labels))
    by_class = np.argsort(labels[shuffled], kind="stable")
    sorted_labels = labels[shuffled][by_class]
    turn = np.arange(len(labels)) - np.searchsorted(sorted_labels, sorted_labels)
    return np.sort(shuffled[by_class][np.argsort(turn, kind="stable")[:images]])


@dataclass(frozen=True)
class Leak:
    """Validation images whose bytes are those of a training image; `names` are some of them."""

    images: int
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words."""
        some = ", ".join(self.names)
        more = ", ..." if self.images > len(self.names) else ""
        return (
            f"{self.images:,} validation images are byte-identical to training images: {some}{more}"
        )


def leak(train_marks: np.ndarray, val_marks: np.ndarray, val_ids: Names) -> Leak | None:
    """Validation images that are in the training set too; None where there are none.

    Args:
        train_marks: uint64 [n], fingerprints of the files' bytes.
        val_marks: uint64 [m].
        val_ids: m image ids.
    """
    found = np.flatnonzero(np.isin(val_marks, train_marks))
    if not len(found):
        return None
    return Leak(len(found), tuple(val_ids[int(i)] for i in found[:NAMED]))


@dataclass(frozen=True)
class DataSet:
    """A checked data set: two splits and its identity."""

    root: Path
    train: Split
    val: Split
    classes: tuple[str, ...]
    class_order: Literal["wordnet", "devkit", "folder"]
    identity: DataIdentity
    decisions: DataDecisions | None = None

    @property
    def channels(self) -> Channels:
        """Channels of the files of both splits, as `Split.channels`."""
        return self.train.channels if self.train.channels == self.val.channels else "mixed"

    @property
    def leak(self) -> Leak | None:
        """Validation images that are training images too."""
        return leak(self.train.farmhash64, self.val.farmhash64, self.val.ids)
