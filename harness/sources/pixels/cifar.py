"""CIFAR-10's and CIFAR-100's binary version, as a folder or as its tar archive.

Format: www.cs.toronto.edu/~kriz/cifar.html. Records without a header: one byte
of label (CIFAR-100: two, the coarse and the fine one, of which the fine one is
the class), then 1,024 bytes each of red, green and blue, row by row.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.sources.pixels.known_sets import CIFAR_10, CIFAR_100, KnownSet, file_truths
from harness.sources.pixels.pixel_source import (
    Layout,
    PixelFile,
    PixelSource,
    Streams,
    refuse_missing_classes,
)
from harness.sources.pixels.unpacking import AGAIN, NamedStream, blocks, members, unpacked
from harness.sources.source import SplitName, Truth

FOLDERS = ("cifar-10-batches-bin", "cifar-100-binary")
"""What the archives unpack to."""

PICKLE_FOLDERS = ("cifar-10-batches-py", "cifar-100-python")
PICKLES = frozenset(
    {*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta", "train", "test"}
)
TEST_FILES = frozenset({"test_batch.bin", "test.bin"})
BLOCK_RECORDS = 1_000


@dataclass(frozen=True)
class Variety:
    """One of the two sets: its published files, labels of a record, images of a file."""

    known: KnownSet
    label_bytes: int
    classes: tuple[int, ...]
    train_images: int
    test_images: int

    @property
    def layout(self) -> Layout:
        """How its images lie."""
        return Layout(0, self.label_bytes, channels=3, height=32, width=32)

    def published_images(self, name: str) -> int:
        """Images of a file as published."""
        return self.test_images if name in TEST_FILES else self.train_images


VARIETIES = (
    Variety(CIFAR_10, 1, (10,), 10_000, 10_000),
    Variety(CIFAR_100, 2, (20, 100), 50_000, 10_000),
)
"""`classes` has the number of classes for each label of a record; the last is the class."""

BINARY_FILES = frozenset(name for variety in VARIETIES for name in variety.known.files)


@dataclass(frozen=True)
class Records:
    """A checked file: the label of each image, and the SHA-256 of its unpacked content."""

    labels: np.ndarray
    sha256: str


def published_name(name: str) -> str:
    """A file's name without .gz."""
    return name.removesuffix(".gz")


def cifar_folder(paths: Sequence[Path], origin: Path, root: Path) -> PixelSource:
    """Check the binary files of a folder; see `_cifar_source`."""

    def streams() -> Iterator[tuple[str, NamedStream]]:
        for path in paths:
            with unpacked(path) as stream:
                yield published_name(path.name), stream

    return _cifar_source(streams, origin, root)


def cifar_archive(path: Path, root: Path) -> PixelSource:
    """Check a tar archive of the binary files, which is read as a stream.

    Raises:
        DataError: as `_cifar_source`, or it holds Python's pickles.
    """

    def streams() -> Iterator[tuple[str, NamedStream]]:
        for name, stream in members(path):
            if name in PICKLES:
                raise pickles_refused(path)
            if name in BINARY_FILES:
                yield name, stream

    return _cifar_source(streams, path, root)


def pickles_refused(where: Path) -> DataError:
    """The error for CIFAR's Python version."""
    return DataError(
        "this is the Python version of CIFAR, whose files are pickles: to open one is to run it",
        where=str(where),
        expected="the binary version: cifar-10-binary.tar.gz or cifar-100-binary.tar.gz",
        remedy="get that archive from www.cs.toronto.edu/~kriz/cifar.html (CIFAR binary version, "
        "suitable for C programs), and name it with --source",
    )


def _cifar_source(streams: Streams, origin: Path, root: Path) -> PixelSource:
    """Check all files and give their images.

    Raises:
        DataError: a file is damaged, missing or there twice, or both sets are mixed.
    """
    found: dict[str, Records] = {}
    for name, stream in streams():
        if name in found:
            raise _mixed(f"the file {name} is there twice", origin)
        found[name] = _checked(name, stream, origin)
    variety = _variety(found, origin)
    _refuse_uneven(variety, found, origin)
    files, first = {}, Counter[SplitName]()
    for name in variety.known.files:
        split: SplitName = "val" if name in TEST_FILES else "train"
        files[name] = PixelFile(split, first[split], found[name].labels, variety.layout)
        first[split] += len(found[name].labels)
    labels = range(variety.classes[-1])
    refuse_missing_classes(files, labels, origin)
    sums = {name: records.sha256 for name, records in found.items()}
    truths = file_truths(variety.known, sums)
    return PixelSource(
        root=root,
        origin=origin,
        kind="cifar_binary",
        files=files,
        streams=streams,
        labels=labels,
        known=variety.known if all(truth.holds for truth in truths) else None,
        truths=truths + _counts(variety, found),
    )


def _checked(name: str, stream: NamedStream, origin: Path) -> Records:
    """Read a file to its end and check its size and its labels."""
    variety = next(v for v in VARIETIES if name in v.known.files)
    record = variety.layout.record_bytes
    digest, labels, size = hashlib.sha256(), [], 0
    for block in blocks(stream, BLOCK_RECORDS * record):
        digest.update(block)
        size += len(block)
        whole = block[: len(block) // record * record]
        labels.append(np.frombuffer(whole, np.uint8).reshape(-1, record)[:, : variety.label_bytes])
    if not size or size % record:
        raise _other_size(name, size, variety, origin)
    all_labels = np.concatenate(labels)
    _refuse_surplus(name, all_labels, variety, origin)
    return Records(all_labels[:, -1], digest.hexdigest())


def _other_size(name: str, size: int, variety: Variety, origin: Path) -> DataError:
    record = variety.layout.record_bytes
    fits = [v.known.name for v in VARIETIES if size and size % v.layout.record_bytes == 0]
    return DataError(
        f"{name} has {size:,} bytes, which are {size // record:,} records and "
        f"{size % record:,} bytes" + "".join(f"; {other}'s records would fit" for other in fits),
        where=str(origin),
        expected=f"whole records of {record:,} bytes, as {variety.known.name} has them",
        remedy=f"the file is cut short or damaged: {AGAIN}",
    )


def _refuse_surplus(name: str, labels: np.ndarray, variety: Variety, origin: Path) -> None:
    for column, classes in enumerate(variety.classes):
        outside = np.flatnonzero(labels[:, column] >= classes)
        if len(outside):
            place = int(outside[0])
            raise DataError(
                f"{len(outside):,} labels of {name} are out of range; the first is "
                f"{labels[place, column]}, of the image {place:,}, counted from 0",
                where=str(origin),
                expected=f"labels from 0 to {classes - 1}",
                remedy=f"the file is damaged: {AGAIN}",
            )


def _variety(found: dict[str, Records], origin: Path) -> Variety:
    """The one set that the files are of, all of which must be there."""
    present = [v for v in VARIETIES if v.known.files.keys() & found.keys()]
    if not present:
        raise DataError(
            "the archive holds neither CIFAR-10's nor CIFAR-100's binary files",
            where=str(origin),
            expected="cifar-10-binary.tar.gz or cifar-100-binary.tar.gz",
            remedy="name another archive, or the folder that it unpacks to",
        )
    if len(present) > 1:
        raise _mixed("files of CIFAR-10 and CIFAR-100 are mixed", origin)
    missing = [name for name in present[0].known.files if name not in found]
    if missing:
        raise DataError(
            f"{', '.join(missing)} of {present[0].known.name} "
            + ("is missing" if len(missing) == 1 else "are missing"),
            where=str(origin),
            expected=", ".join(present[0].known.files),
            remedy="put the missing files there, or unpack the archive again",
        )
    return present[0]


def _refuse_uneven(variety: Variety, found: dict[str, Records], origin: Path) -> None:
    """Files that are published in one length: a cut between two records shows only by it."""
    lengths = {n: len(found[n].labels) for n in variety.known.files if n not in TEST_FILES}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "the training files have different lengths: "
            + ", ".join(f"{name} {length:,}" for name, length in lengths.items()),
            where=str(origin),
            expected="the same number of records in each",
            remedy=f"a file is cut short: {AGAIN}",
        )


def _counts(variety: Variety, found: dict[str, Records]) -> tuple[Truth, ...]:
    counts = {n: (variety.published_images(n), len(found[n].labels)) for n in variety.known.files}
    return tuple(
        Truth(
            fact=f"images in {variety.known.name}'s {name}",
            expected=f"{published:,}",
            found=f"{images:,}",
            holds=published == images,
        )
        for name, (published, images) in counts.items()
    )


def _mixed(found: str, origin: Path) -> DataError:
    return DataError(
        found,
        where=str(origin),
        expected="the files of one set, each once",
        remedy="give each set a folder of its own, or name one archive with --source",
    )
