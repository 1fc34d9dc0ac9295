"""Small images that lie as bare pixels in a few files: MNIST's and CIFAR's, written as PNG.

The files are read whole and checked before anything is written. An image is named by
its number in its split, counted from 0 in the files' order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.sources.pixels.known_sets import KnownSet
from harness.sources.pixels.png import write_png
from harness.sources.pixels.unpacking import AGAIN
from harness.sources.source import SPLITS, SourceImage, SplitName, Truth


@dataclass(frozen=True)
class PixelFile:
    """A checked file of images.

    Attributes:
        split: train or val.
        first: number of its first image in the split.
        labels: int [n], from 0 to 255.
        pixels: uint8 [n, height, width] or [n, height, width, 3].
    """

    split: SplitName
    first: int
    labels: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class PixelSource:
    """A source whose images are written as PNG below `root`.

    Attributes:
        root: where they are written.
        origin: the folder or archive that was given.
        kind: idx or cifar_binary.
        files: the files of images.
        labels: every label that occurs, in order; they name the classes.
        known: the published set that the files are, to the byte.
        truths: what is known of that set, or of the nearest one.
    """

    root: Path
    origin: Path
    kind: str
    files: Sequence[PixelFile]
    labels: Sequence[int]
    known: KnownSet | None
    truths: tuple[Truth, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels with leading zeros, so that sorted names are in label order."""
        return tuple(class_name(label, self.labels) for label in self.labels)

    @property
    def count(self) -> int:
        """Images of both splits."""
        return sum(len(file.labels) for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all PNG files: those of one size of image have one size."""
        return sum(len(write_png(file.pixels[0])) * len(file.labels) for file in self.files)

    def items(self, _on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, bytes]]:
        """Every image as a PNG file."""
        for file in self.files:
            pairs = zip(file.labels.tolist(), file.pixels, strict=True)
            for number, (label, pixels) in enumerate(pairs, file.first):
                name, png = class_name(label, self.labels), write_png(pixels)
                path = f"{file.split}/{name}/{number:06d}.png"
                yield SourceImage(file.split, name, path, len(png), 0), png


def class_name(label: int, labels: Sequence[int]) -> str:
    """A label with as many digits as the greatest one has."""
    return f"{label:0{len(str(max(labels)))}d}"


def refuse_missing_classes(files: Sequence[PixelFile], labels: Sequence[int], at: Path) -> None:
    """Every class needs an image in both splits, which is checked before anything is written.

    Raises:
        DataError: one has none.
    """
    for split in SPLITS:
        seen = [np.unique(file.labels) for file in files if file.split == split]
        missing = sorted(set(labels) - set(np.concatenate(seen).tolist()))
        if missing:
            raise DataError(
                f"{len(missing)} of {len(labels)} classes have no image in {split}: "
                f"{', '.join(map(str, missing[:5]))}",
                where=str(at),
                expected="every class in the training and in the test files",
                remedy=f"the files are damaged or of two sets: {AGAIN}",
            )


def refuse_labels(labels: np.ndarray, allowed: range, name: str, where: str, why: str = "") -> None:
    """Refuse labels that are out of range; the first is named.

    Args:
        labels: int [n].
        allowed: those that may be.
        name: of the file, for the message; "" where `where` names it.
        where: they come from.
        why: these are the allowed ones.

    Raises:
        DataError: one is outside.
    """
    outside = np.flatnonzero((labels < allowed[0]) | (labels > allowed[-1]))
    if len(outside):
        place = int(outside[0])
        raise DataError(
            f"{len(outside):,} labels{name} are out of range; the first is {labels[place]}, "
            f"of the image {place:,}, counted from 0",
            where=where,
            expected=f"labels from {allowed[0]} to {allowed[-1]}{why}",
            remedy=f"the file is damaged, or of another set: {AGAIN}",
        )
