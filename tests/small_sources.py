"""Small data sets of made pixels, written as MNIST's IDX files and as CIFAR's binary version."""

import gzip
import io
import struct
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IDX_NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("val", "images"): "t10k-images-idx3-ubyte",
    ("val", "labels"): "t10k-labels-idx1-ubyte",
}
CIFAR_10_FILES = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin")
CIFAR_100_FILES = ("train.bin", "test.bin")


@dataclass(frozen=True)
class Made:
    """Images uint8 [n, rows, columns] or [n, rows, columns, 3] and labels int [n]."""

    images: np.ndarray
    labels: np.ndarray


def made(count: int, labels: Iterable[int], shape: tuple[int, ...] = (7, 9), seed: int = 0) -> Made:
    """Random pixels; the labels come in turn, from the last to the first."""
    rng = np.random.default_rng(seed)
    each = list(labels)[::-1]
    return Made(
        rng.integers(0, 256, (count, *shape), np.uint8), np.resize(each, count).astype(np.uint8)
    )


def idx_bytes(values: np.ndarray, *, kind: int = 8) -> bytes:
    """An array of bytes as an IDX file."""
    header = bytes([0, 0, kind, values.ndim])
    return header + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def idx_files(train: Made, val: Made, prefix: str = "") -> dict[str, bytes]:
    """The four files by name."""
    return {
        f"{prefix}{IDX_NAMES[split, content]}": idx_bytes(getattr(part, content))
        for split, part in (("train", train), ("val", val))
        for content in ("images", "labels")
    }


def gzipped(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files with .gz."""
    return {f"{name}.gz": gzip.compress(raw) for name, raw in files.items()}


def cifar_bytes(part: Made, coarse: np.ndarray | None = None) -> bytes:
    """Records: label (or coarse and fine label), then the planes red, green and blue."""
    planes = part.images.transpose(0, 3, 1, 2).reshape(len(part.images), -1)
    labels = [part.labels[:, np.newaxis]]
    if coarse is not None:
        labels.insert(0, coarse[:, np.newaxis].astype(np.uint8))
    return np.concatenate([*labels, planes], 1).tobytes()


def cifar_10(records: int = 10, test: int = 20) -> tuple[dict[str, bytes], Made, Made]:
    """Six files, and the training and test images in their order."""
    batches = [made(records, range(10), (32, 32, 3), seed) for seed in range(5)]
    val = made(test, range(10), (32, 32, 3), 9)
    files = dict(zip(CIFAR_10_FILES, map(cifar_bytes, [*batches, val]), strict=True))
    images = np.concatenate([batch.images for batch in batches])
    return files, Made(images, np.concatenate([batch.labels for batch in batches])), val


def cifar_100() -> tuple[dict[str, bytes], Made, Made]:
    """Two files; the coarse label is a fifth of the fine one."""
    parts = [made(count, range(100), (32, 32, 3), count) for count in (200, 100)]
    raw = (cifar_bytes(part, part.labels // 5) for part in parts)
    return dict(zip(CIFAR_100_FILES, raw, strict=True)), *parts


def archive(files: dict[str, bytes], folder: str = "cifar-10-batches-bin/") -> bytes:
    """A .tar.gz of files in a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return buffer.getvalue()


def write_all(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder
