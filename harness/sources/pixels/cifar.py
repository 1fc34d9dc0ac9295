"""CIFAR-10's and CIFAR-100's binary version, as a folder or as its tar archive.

Format: www.cs.toronto.edu/~kriz/cifar.html. Records without a header: one byte
of label (CIFAR-100: two, the coarse and the fine one, of which the fine one is
the class), then 1,024 bytes each of red, green and blue, row by row.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.sources.pixels.known_sets import CIFAR_10, CIFAR_100, KnownSet, file_truths
from harness.sources.pixels.pixel_source import (
    PixelFile,
    PixelSource,
    refuse_labels,
    refuse_missing_classes,
)
from harness.sources.pixels.unpacking import AGAIN, content, members
from harness.sources.source import SplitName, Truth

FOLDERS = ("cifar-10-batches-bin", "cifar-100-binary")
"""What the archives unpack to."""

PICKLE_FOLDERS = ("cifar-10-batches-py", "cifar-100-python")
PICKLES = frozenset(
    {*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta", "train", "test"}
)
TEST_FILES = frozenset({"test_batch.bin", "test.bin"})
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Variety:
    """One of the two sets: its published files, labels of a record, images of a file."""

    known: KnownSet
    label_bytes: int
    classes: tuple[int, ...]
    train_images: int
    test_images: int

    @property
    def record_bytes(self) -> int:
        """Bytes of one image with its labels."""
        return self.label_bytes + PIXELS

    def published_images(self, name: str) -> int:
        """Images of a file as published."""
        return self.test_images if name in TEST_FILES else self.train_images


VARIETIES = (
    Variety(CIFAR_10, 1, (10,), 10_000, 10_000),
    Variety(CIFAR_100, 2, (20, 100), 50_000, 10_000),
)
"""`classes` has the number of classes for each label of a record; the last is the class."""

BINARY_FILES = frozenset(name for variety in VARIETIES for name in variety.known.files)


def published_name(name: str) -> str:
    """A file's name without .gz."""
    return name.removesuffix(".gz")


def cifar_folder(paths: Sequence[Path], origin: Path, root: Path) -> PixelSource:
    """Check the binary files of a folder; see `_cifar_source`."""
    return _cifar_source(((published_name(p.name), content(p)) for p in paths), origin, root)


def cifar_archive(path: Path, root: Path) -> PixelSource:
    """Check a tar archive of the binary files.

    Raises:
        DataError: as `_cifar_source`, or it holds Python's pickles.
    """

    def files() -> Iterator[tuple[str, bytes]]:
        for name, raw in members(path, BINARY_FILES | PICKLES):
            if name in PICKLES:
                raise pickles_refused(path)
            yield name, raw

    return _cifar_source(files(), path, root)


def pickles_refused(where: Path) -> DataError:
    """The error for CIFAR's Python version."""
    return DataError(
        "this is the Python version of CIFAR, whose files are pickles: to open one is to run it",
        where=str(where),
        expected="the binary version: cifar-10-binary.tar.gz or cifar-100-binary.tar.gz",
        remedy="get that archive from www.cs.toronto.edu/~kriz/cifar.html (CIFAR binary version, "
        "suitable for C programs), and name it with --source",
    )


def _cifar_source(files: Iterable[tuple[str, bytes]], origin: Path, root: Path) -> PixelSource:
    """Check all files and give their images.

    Raises:
        DataError: a file is damaged, missing or there twice, or both sets are mixed.
    """
    found: dict[str, np.ndarray] = {}
    sums: dict[str, str] = {}
    for name, raw in files:
        if name in found:
            raise _mixed(f"the file {name} is there twice", origin)
        found[name], sums[name] = _checked(name, raw, origin), hashlib.sha256(raw).hexdigest()
    variety = _variety(found, origin)
    _refuse_uneven(variety, found, origin)
    pixel_files, first = [], Counter[SplitName]()
    for name in variety.known.files:
        split: SplitName = "val" if name in TEST_FILES else "train"
        labels, planes = np.split(found[name], [variety.label_bytes], axis=1)
        pixels = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        pixel_files.append(PixelFile(split, first[split], labels[:, -1], pixels))
        first[split] += len(labels)
    classes = range(variety.classes[-1])
    refuse_missing_classes(pixel_files, classes, origin)
    truths = file_truths(variety.known, sums)
    known = variety.known if all(truth.holds for truth in truths) else None
    truths += _counts(variety, found)
    return PixelSource(root, origin, "cifar_binary", pixel_files, classes, known, truths)


def _checked(name: str, raw: bytes, origin: Path) -> np.ndarray:
    """Records of a file, uint8 [n, bytes of a record], its size and labels checked."""
    variety = next(v for v in VARIETIES if name in v.known.files)
    if not raw or len(raw) % variety.record_bytes:
        raise _other_size(name, len(raw), variety, origin)
    records = np.frombuffer(raw, np.uint8).reshape(-1, variety.record_bytes)
    for column, classes in enumerate(variety.classes):
        refuse_labels(records[:, column], range(classes), f" of {name}", str(origin))
    return records


def _other_size(name: str, size: int, variety: Variety, origin: Path) -> DataError:
    record = variety.record_bytes
    fits = [v.known.name for v in VARIETIES if size and size % v.record_bytes == 0]
    return DataError(
        f"{name} has {size:,} bytes, which are {size // record:,} records and "
        f"{size % record:,} bytes" + "".join(f"; {other}'s records would fit" for other in fits),
        where=str(origin),
        expected=f"whole records of {record:,} bytes, as {variety.known.name} has them",
        remedy=f"the file is cut short or damaged: {AGAIN}",
    )


def _variety(found: Mapping[str, np.ndarray], origin: Path) -> Variety:
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


def _refuse_uneven(variety: Variety, found: Mapping[str, np.ndarray], origin: Path) -> None:
    """Files that are published in one length: a cut between two records shows only by it."""
    lengths = {n: len(found[n]) for n in variety.known.files if n not in TEST_FILES}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "the training files have different lengths: "
            + ", ".join(f"{name} {length:,}" for name, length in lengths.items()),
            where=str(origin),
            expected="the same number of records in each",
            remedy=f"a file is cut short: {AGAIN}",
        )


def _counts(variety: Variety, found: Mapping[str, np.ndarray]) -> tuple[Truth, ...]:
    counts = {n: (variety.published_images(n), len(found[n])) for n in variety.known.files}
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
