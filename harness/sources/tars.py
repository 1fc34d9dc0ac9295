"""ILSVRC's two tar files, streamed once: hashed, taken apart and never copied as tars.

`ILSVRC2012_img_train.tar` holds 1,000 tars, one per WordNet id;
`ILSVRC2012_img_val.tar` holds the validation images flat.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from harness.errors import DataError
from harness.sources.folders.hints import another_tar
from harness.sources.folders.names import EXTENSIONS, shown
from harness.sources.folders.places import TRAIN_TAR, VAL_TAR
from harness.sources.folders.tree import refuse_undecodable_name
from harness.sources.labels.files import refuse_labels_without_image
from harness.sources.labels.search import Labels
from harness.sources.pixels.unpacking import named_errors
from harness.sources.source import SourceImage, SplitName, Truth

READ_BYTES = 1 << 20
END_OF_ARCHIVE = b"\0" * 1024


@dataclass(frozen=True)
class PublishedTar:
    """The published size and md5 of a tar."""

    size_bytes: int
    md5: str


PUBLISHED = {
    TRAIN_TAR: PublishedTar(147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    VAL_TAR: PublishedTar(6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
}
"""Sizes: tensorflow-datasets' checksums; md5: torchvision's ImageNet class (see the docs)."""


@dataclass
class TarSource:
    """Both tars; `truths` fills as they are read.

    Attributes:
        root: where the images are unpacked.
        folder: where the tars lie.
        labels: WordNet id of each validation image.
        published: sizes and md5 sums to compare with.
    """

    root: Path
    folder: Path
    labels: Labels
    published: dict[str, PublishedTar] = field(default_factory=lambda: PUBLISHED)
    kind: str = "tars"
    truths: list[Truth] = field(default_factory=list)

    count: int | None = None

    @property
    def origin(self) -> Path:
        """The tars' folder."""
        return self.folder

    @property
    def size_bytes(self) -> int:
        """Size of both tars."""
        return sum((self.folder / name).stat().st_size for name in (TRAIN_TAR, VAL_TAR))

    @property
    def classes(self) -> tuple[str, ...]:
        """WordNet ids of the inner tars, sorted; reads only their headers."""
        path = self.folder / TRAIN_TAR
        with named_errors(path), tarfile.open(path) as tar:
            return tuple(sorted(_class_name(member, path) for member in _files(tar)))

    def items(self, on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, bytes]]:
        """Every image with its bytes, validation first (a wrong label file shows early).

        Raises:
            DataError: a tar is cut short, has another md5 than published for its
                size, or holds paths that leave the target.
        """
        yield from self._val_items(on_bytes)
        train = self.folder / TRAIN_TAR
        for member, raw in self._stream(TRAIN_TAR, on_bytes):
            class_name, inner = _class_name(member, train), train / member.name
            for image, content in _inner(raw, inner):
                yield _image("train", class_name, image, inner), content

    def _val_items(self, on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, bytes]]:
        classes, val, found = set(self.classes), self.folder / VAL_TAR, set()
        for member, raw in self._stream(VAL_TAR, on_bytes):
            name = checked_name(member, val)
            found.add(name)
            yield _image("val", self._label(name, classes), member, val), raw
        refuse_labels_without_image(self.labels.by_stem, found, str(val))

    def _stream(
        self, name: str, on_bytes: Callable[[int], None]
    ) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        path = self.folder / name
        with named_errors(path), path.open("rb") as file:
            hashed = HashedFile(file, on_bytes)
            with tarfile.open(None, "r|", cast("IO[bytes]", hashed), READ_BYTES) as tar:
                for member in _files(tar):
                    yield member, _content(tar, member)
            hashed.drain()
        _check_end(path)
        self.truths += compare_tar(path, hashed.md5.hexdigest(), self.published.get(name))

    def _label(self, name: str, classes: set[str]) -> str:
        label = self.labels.of(name)
        if label in classes:
            return label
        raise DataError(
            f"the image {shown(name)} has "
            + (f"the class {label}, which is not in {TRAIN_TAR}" if label else "no label"),
            where=str(self.folder / VAL_TAR),
            expected=f"a label of one of the training tar's classes in {self.labels.source}",
            remedy="give the right label file with --val-labels",
        )


def open_tars(
    folder: Path, root: Path, labels: Labels, published: dict[str, PublishedTar] | None = None
) -> TarSource:
    """Both tars of a folder.

    Args:
        folder: where they lie.
        root: where the images are unpacked.
        labels: of the validation images.
        published: sizes and md5 sums; None takes ImageNet's.

    Raises:
        DataError: one of them is missing.
    """
    for name in (TRAIN_TAR, VAL_TAR):
        if not (folder / name).is_file():
            raise DataError(
                f"{name} is missing",
                where=str(folder),
                expected=f"{TRAIN_TAR} and {VAL_TAR}",
                remedy=another_tar(folder, name),
            )
    return TarSource(root, folder, labels, PUBLISHED if published is None else published)


class HashedFile:
    """A file that is hashed as it is read, for `tarfile`'s stream mode."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self.file = file
        self.md5 = hashlib.md5(usedforsecurity=False)  # the published sums are md5
        self.on_bytes = on_bytes

    def read(self, size: int) -> bytes:
        """Read and hash."""
        block = self.file.read(size)
        self.md5.update(block)
        self.on_bytes(len(block))
        return block

    def drain(self) -> None:
        """Read what follows the end of the archive: it belongs to the published sum."""
        while self.read(READ_BYTES):
            pass


def checked_name(member: tarfile.TarInfo, tar: Path) -> str:
    """The file name of a member.

    Raises:
        DataError: its path would leave the target, or is no text.
    """
    refuse_undecodable_name(member.name, str(tar))
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or not path.name:
        raise DataError(
            f"the tar holds the path {member.name!r}, which leaves the target folder",
            where=str(tar),
            expected="plain file names",
            remedy="this is not ILSVRC's file; do not trust it",
        )
    return path.name


def compare_tar(path: Path, md5: str, published: PublishedTar | None) -> list[Truth]:
    """Compare with the published size and sum.

    A tar of another size is another tar, and says so. A tar of the published
    size with another sum is damaged.

    Raises:
        DataError: the size is the published one and the md5 is not.
    """
    if published is None:
        return []
    size = path.stat().st_size
    if size == published.size_bytes and md5 != published.md5:
        raise DataError(
            f"the md5 sum is {md5}",
            where=str(path),
            expected=f"{published.md5}, as published",
            remedy="the file is damaged: download it again",
        )
    return [
        Truth(
            fact=f"bytes of {path.name}",
            expected=f"{published.size_bytes:,}",
            found=f"{size:,}",
            holds=size == published.size_bytes,
        ),
        Truth(
            fact=f"md5 of {path.name}",
            expected=published.md5,
            found=md5,
            holds=md5 == published.md5,
        ),
    ]


def _files(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.isdir():
            continue
        if not member.isfile():
            raise tarfile.TarError(f"{member.name!r} is no plain file")
        yield member


def _inner(raw: bytes, path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with named_errors(path):
        if not raw.endswith(END_OF_ARCHIVE):
            raise tarfile.ReadError(f"{path.name} is cut short")
    with named_errors(path), tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
        for member in _files(tar):
            yield member, _content(tar, member)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file: IO[Any] | None = tar.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut short")
    return bytes(content)


def _check_end(path: Path) -> None:
    """A tar ends with two empty blocks; a cut at a file's boundary shows only by them."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - len(END_OF_ARCHIVE), 0))
        if file.read() != END_OF_ARCHIVE:
            raise DataError(
                "the tar has no end mark: it is cut short",
                where=str(path),
                expected="two empty blocks of 512 bytes at the end",
                remedy="download it again and compare its md5 sum",
            )


def _class_name(member: tarfile.TarInfo, tar: Path) -> str:
    """The class whose images an inner tar holds."""
    name = checked_name(member, tar)
    if name.endswith(".tar"):
        return name.removesuffix(".tar")
    raise DataError(
        f"the tar holds {name}",
        where=str(tar),
        expected="one tar for each class, such as n01440764.tar",
        remedy="this is not ILSVRC's file: download it again, or prepare from a folder",
    )


def _image(split: SplitName, class_name: str, member: tarfile.TarInfo, tar: Path) -> SourceImage:
    name = checked_name(member, tar)
    if PurePosixPath(name).suffix.lower() not in EXTENSIONS:
        raise DataError(
            f"{name} is no image by its name",
            where=str(tar),
            expected=f"only names that end with one of {', '.join(sorted(EXTENSIONS))}",
            remedy="this is not ILSVRC's file: download it again, or prepare from a folder",
        )
    return SourceImage(split, class_name, f"{split}/{class_name}/{name}", member.size, 0)
