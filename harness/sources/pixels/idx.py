"""MNIST's IDX files: MNIST, Fashion-MNIST, KMNIST, EMNIST and their like, plain or gzipped.

Format: yann.lecun.com/exdb/mnist. Two zero bytes, the type of the values (8:
unsigned bytes), the number of dimensions, each dimension as 32 bits with the
highest byte first, then the values. Images have three dimensions (number,
rows, columns), labels one.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness.errors import DataError
from harness.sources.pixels.known_sets import IDX_FILES, KNOWN_FILES, file_truths, nearest_set
from harness.sources.pixels.pixel_source import (
    PixelFile,
    PixelSource,
    refuse_labels,
    refuse_missing_classes,
)
from harness.sources.pixels.unpacking import AGAIN, content
from harness.sources.source import SPLITS, SplitName

Content = Literal["images", "labels"]
MAGIC: dict[bytes, Content] = {b"\0\0\x08\x03": "images", b"\0\0\x08\x01": "labels"}
ROLES: tuple[tuple[SplitName, Content], ...] = (
    ("train", "images"), ("train", "labels"), ("val", "images"), ("val", "labels"),
)  # fmt: skip
PUBLISHED_NAMES = dict(zip(ROLES, IDX_FILES, strict=True))
EXPECTED = (
    "four files of one set, such as train-images-idx3-ubyte, train-labels-idx1-ubyte, "
    "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or with .gz"
)


@dataclass(frozen=True)
class IdxFile:
    """A checked file.

    Attributes:
        path: where it lies.
        split: train or val, by its content where that is known, else by its name.
        content: images or labels.
        values: uint8 [n, rows, columns], or [n].
        sha256: of the unpacked content.
    """

    path: Path
    split: SplitName
    content: Content
    values: np.ndarray
    sha256: str


def looks_like_idx(name: str, first: bytes) -> bool:
    """Whether a file is one of these by its first four bytes, or means to be one by its name."""
    by_content = len(first) >= 4 and first[:2] == b"\0\0" and first[2] in range(8, 15)
    return "ubyte" in name or (by_content and first[3] in range(1, 5))


def idx_source(paths: Sequence[Path], origin: Path, root: Path) -> PixelSource:
    """Check a folder's IDX files and give their images.

    Args:
        paths: the files; the same content may lie there plain and gzipped.
        origin: their folder.
        root: where the images will be written.

    Raises:
        DataError: a file is damaged or missing, files contradict each other, or
            they are of more than one set.
    """
    files = _by_role([_checked(path) for path in paths], origin)
    _refuse_other_lengths(files)
    _refuse_other_sets(files, origin)
    labels = _label_range(files["train", "labels"])
    for split in SPLITS:
        file = files[split, "labels"]
        why = ": those of the training images, counted without a gap"
        refuse_labels(file.values, labels, "", str(file.path), why)
    images = [
        PixelFile(split, 0, files[split, "labels"].values, files[split, "images"].values)
        for split in SPLITS
    ]
    refuse_missing_classes(images, labels, origin)
    found = {PUBLISHED_NAMES[role]: file.sha256 for role, file in files.items()}
    nearest = nearest_set(found)
    truths = file_truths(nearest, found) if nearest else ()
    known = nearest if all(truth.holds for truth in truths) else None
    return PixelSource(root, origin, "idx", images, labels, known, truths)


def _checked(path: Path) -> IdxFile:
    """Read a file whole and compare it with what its header says."""
    raw = content(path)
    magic = raw[:4]
    if magic not in MAGIC:
        raise DataError(
            f"the magic number is 0x{magic.hex()}" if magic else "the file is empty",
            where=str(path),
            expected="0x00000803 for images or 0x00000801 for labels, both as bytes",
            remedy=f"the file is damaged, or has values of another type: {AGAIN}",
        )
    header = raw[4 : 4 + 4 * magic[3]]
    shape = struct.unpack(f">{len(header) // 4}I", header[: len(header) // 4 * 4])
    values = np.frombuffer(raw, np.uint8)[4 + 4 * magic[3] :]
    if not values.size or len(shape) < magic[3] or values.size != math.prod(shape):
        raise _other_size(path, shape, values.size)
    sha256 = hashlib.sha256(raw).hexdigest()
    return IdxFile(path, _split(path, sha256), MAGIC[magic], values.reshape(shape), sha256)


def _other_size(path: Path, shape: tuple[int, ...], size: int) -> DataError:
    told = " x ".join(f"{side:,}" for side in shape)
    return DataError(
        f"the header says {told or 'nothing'}, and {size:,} bytes follow it",
        where=str(path),
        expected="one byte for each value of one image or more",
        remedy=f"the file is cut short or damaged: {AGAIN}",
    )


def _split(path: Path, sha256: str) -> SplitName:
    name = KNOWN_FILES[sha256][1] if sha256 in KNOWN_FILES else path.name
    if "train" in name.lower():
        return "train"
    if any(word in name.lower() for word in ("t10k", "test", "val")):
        return "val"
    raise DataError(
        "the file's name shows neither training nor test data",
        where=str(path),
        expected="`train`, or `t10k` or `test`, in its name",
        remedy="rename it",
    )


def _by_role(found: Sequence[IdxFile], origin: Path) -> dict[tuple[SplitName, Content], IdxFile]:
    files: dict[tuple[SplitName, Content], IdxFile] = {}
    for file in found:
        other = files.setdefault((file.split, file.content), file)
        if other.sha256 != file.sha256:
            raise _mixed(
                f"two files hold {file.content} of the split {file.split}: "
                f"{other.path.name} and {file.path.name}",
                origin,
            )
    missing = [f"the {content} of {split}" for split, content in ROLES
               if (split, content) not in files]  # fmt: skip
    if missing:
        raise DataError(
            f"{' and '.join(missing)} are missing; there are "
            + ", ".join(file.path.name for file in files.values()),
            where=str(origin),
            expected=EXPECTED,
            remedy="put the missing files there",
        )
    return files


def _refuse_other_lengths(files: dict[tuple[SplitName, Content], IdxFile]) -> None:
    for split in SPLITS:
        images, labels = files[split, "images"], files[split, "labels"]
        if len(images.values) != len(labels.values):
            raise DataError(
                f"{images.path.name} holds {len(images.values):,} images, "
                f"{labels.path.name} {len(labels.values):,} labels",
                where=str(images.path.parent),
                expected="one label for each image",
                remedy=f"the files are of two sets, or damaged: {AGAIN}",
            )


def _refuse_other_sets(files: dict[tuple[SplitName, Content], IdxFile], origin: Path) -> None:
    """Files that are known to be of two sets, or images of two sizes."""
    known = {
        file.path.name: KNOWN_FILES[file.sha256][0].name
        for file in files.values()
        if file.sha256 in KNOWN_FILES
    }
    if len(set(known.values())) > 1:
        told = "; ".join(f"{name} is {whose}'s" for name, whose in known.items())
        raise _mixed(f"files of two sets are mixed: {told}", origin)
    (_, a, b), (_, c, d) = (files[split, "images"].values.shape for split in SPLITS)
    if (a, b) != (c, d):
        raise _mixed(f"training images have {a} x {b} pixels and test images {c} x {d}", origin)


def _mixed(found: str, origin: Path) -> DataError:
    return DataError(
        found,
        where=str(origin),
        expected=EXPECTED,
        remedy="give each set a folder of its own",
    )


def _label_range(file: IdxFile) -> range:
    """The labels of the training images: from 0, or 1 as in EMNIST's letters, without a gap."""
    seen = np.unique(file.values).tolist()
    first = 1 if seen[0] else 0
    last = first
    while last + 1 in seen:
        last += 1
    return range(first, last + 1)
