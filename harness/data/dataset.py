"""A data set that has been checked, as values that the pipeline reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.data.string_column import Names
from harness.record.schema import DataDecisions, DataIdentity

Channels = Literal[1, 3, "mixed"]


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
