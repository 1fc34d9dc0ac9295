"""Small images that lie as bare pixels in a few files: MNIST's and CIFAR's, written as PNG.

Every file is read twice as a stream: once to check it before anything is
written, once to write the images. An image is named by its number in its
split, counted from 0 in the files' order.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.sources.pixels.known_sets import KnownSet
from harness.sources.pixels.png import write_png
from harness.sources.pixels.unpacking import AGAIN, NamedStream, blocks, filled
from harness.sources.source import SPLITS, SourceImage, SplitName, Truth

IMAGES_AT_ONCE = 1_000
Streams = Callable[[], Iterator[tuple[str, NamedStream]]]
"""One pass over the files of a source: name and unpacked content of each."""


@dataclass(frozen=True)
class Layout:
    """How images lie in a file: a header, then records of label bytes and planes of pixels."""

    header_bytes: int
    label_bytes: int
    channels: int
    height: int
    width: int

    @property
    def record_bytes(self) -> int:
        """Bytes of one image with its labels."""
        return self.label_bytes + self.channels * self.height * self.width

    def pixels(self, block: bytes) -> np.ndarray:
        """uint8 [n, height, width] or [n, height, width, 3] of n whole records."""
        records = np.frombuffer(block, np.uint8).reshape(-1, self.record_bytes)
        planes = records[:, self.label_bytes :]
        images = planes.reshape(-1, self.channels, self.height, self.width)
        return images[:, 0] if self.channels == 1 else images.transpose(0, 2, 3, 1)


@dataclass(frozen=True)
class PixelFile:
    """A checked file of images.

    Attributes:
        split: train or val.
        first: number of its first image in the split.
        labels: int [n], from 0 to 255.
        layout: how its images lie.
    """

    split: SplitName
    first: int
    labels: np.ndarray
    layout: Layout


@dataclass(frozen=True)
class PixelSource:
    """A source whose images are written as PNG below `root`.

    Attributes:
        root: where they are written.
        origin: the folder or archive that was given.
        kind: idx or cifar_binary.
        files: the files of images by name.
        streams: a pass over them; other files in it are passed over.
        labels: every label that occurs, in order; they name the classes.
        known: the published set that the files are, to the byte.
        truths: what is known of that set, or of the nearest one.
    """

    root: Path
    origin: Path
    kind: str
    files: Mapping[str, PixelFile]
    streams: Streams
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
        return sum(len(file.labels) for file in self.files.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of all PNG files: those of one size of image have one size."""
        return sum(_png_bytes(file.layout) * len(file.labels) for file in self.files.values())

    def items(self, _on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, bytes]]:
        """Every image as a PNG file.

        Raises:
            DataError: a file ends earlier than when it was checked, or cannot be read.
        """
        for name, stream in self.streams():
            if name in self.files:
                yield from self._images(name, stream)

    def _images(self, name: str, stream: NamedStream) -> Iterator[tuple[SourceImage, bytes]]:
        file, done = self.files[name], 0
        filled(stream, file.layout.header_bytes)
        for block in blocks(stream, IMAGES_AT_ONCE * file.layout.record_bytes):
            if len(block) % file.layout.record_bytes:
                break
            for pixels in file.layout.pixels(block):
                if done == len(file.labels):
                    raise self._changed(name)
                yield self._image(file, done, write_png(pixels))
                done += 1
        if done != len(file.labels):
            raise self._changed(name)

    def _image(self, file: PixelFile, number: int, png: bytes) -> tuple[SourceImage, bytes]:
        label = class_name(int(file.labels[number]), self.labels)
        path = f"{file.split}/{label}/{file.first + number:06d}.png"
        return SourceImage(file.split, label, path, len(png), 0), png

    def _changed(self, name: str) -> DataError:
        return DataError(
            f"{name} has another length than a moment ago",
            where=str(self.origin),
            expected="files that stay as they are",
            remedy="wait until they are complete, then give the same command again",
        )


def class_name(label: int, labels: Sequence[int]) -> str:
    """A label with as many digits as the greatest one has."""
    return f"{label:0{len(str(max(labels)))}d}"


def refuse_missing_classes(files: Mapping[str, PixelFile], labels: Sequence[int], at: Path) -> None:
    """Every class needs an image in both splits, which is checked before anything is written.

    Raises:
        DataError: one has none.
    """
    for split in SPLITS:
        seen = [np.unique(file.labels) for file in files.values() if file.split == split]
        missing = sorted(set(labels) - set(np.concatenate(seen).tolist()))
        if missing:
            raise DataError(
                f"{len(missing)} of {len(labels)} classes have no image in {split}: "
                f"{', '.join(map(str, missing[:5]))}",
                where=str(at),
                expected="every class in the training and in the test files",
                remedy=f"the files are damaged or of two sets: {AGAIN}",
            )


def _png_bytes(layout: Layout) -> int:
    shape = (layout.height, layout.width, layout.channels)[: 2 + (layout.channels > 1)]
    return len(write_png(np.zeros(shape, np.uint8)))
