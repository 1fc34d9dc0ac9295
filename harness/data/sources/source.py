"""Where images come from, as a plain list of what is to be inspected."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from harness.errors import DataError

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, SplitName] = ("train", "val")
LEFT_BY_FILE_MANAGERS = frozenset({"Thumbs.db", "desktop.ini"})
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image to inspect.

    Attributes:
        split: train or val.
        class_name: name of its class.
        path: its file, relative to the source's root.
        size_bytes: the file's size.
        mtime_ns: the file's time of last change.
    """

    split: SplitName
    class_name: str
    path: str
    size_bytes: int
    mtime_ns: int

    @property
    def id(self) -> str:
        """Name within the data set, independent of the layout on disk."""
        return f"{self.split}/{self.class_name}/{self.path.rsplit('/', 1)[-1]}"


@dataclass(frozen=True)
class Source:
    """A listed source: its kind, its root folder, its images, and its classes in label order."""

    kind: str
    root: Path
    images: tuple[SourceImage, ...]
    classes: tuple[str, ...]

    @property
    def origin(self) -> Path:
        """The images' folder is what was given."""
        return self.root

    @property
    def size_bytes(self) -> int:
        """Bytes of all images."""
        return sum(image.size_bytes for image in self.images)

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.images)

    def items(self, _on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, None]]:
        """Every image, without its bytes: they are read where they lie."""
        return ((image, None) for image in self.images)


def list_folder(root: Path) -> Source:
    """List `train/<class>/*` and `val/<class>/*`; classes are sorted by name.

    Raises:
        DataError: a split or a class folder is missing or empty, or a file is no image.
    """
    images = [image for split in SPLITS for image in list_split(root, split)]
    classes = {
        split: sorted({i.class_name for i in images if i.split == split}) for split in SPLITS
    }
    for here, there in (SPLITS, SPLITS[::-1]):
        missing = sorted(set(classes[here]) - set(classes[there]))
        if missing:
            raise DataError(
                f"{len(missing)} of {len(classes[here])} classes of {here} have no image in "
                f"{there}: {', '.join(missing[:5])}",
                where=str(root / there),
                expected="the same class folders in train and val",
                remedy="add the missing class folders or take the surplus ones away",
            )
    return Source("folder", root, tuple(images), tuple(classes["train"]))


def list_split(root: Path, split: SplitName) -> list[SourceImage]:
    """Images of `root/split/<class>/*`, sorted by class and name.

    Raises:
        DataError: the folder is missing, holds no class, or a class is empty.
    """
    folder = root / split
    images: list[SourceImage] = []
    for class_folder in sorted_entries(folder, root):
        if not class_folder.is_dir():
            continue
        found = [
            image_of(entry, root, split, class_folder.name)
            for entry in files_of(Path(class_folder.path), root)
        ]
        if not found:
            raise DataError(
                f"the class {class_folder.name} has no images",
                where=class_folder.path,
                expected="at least one image file per class",
                remedy="put its images there, or remove the empty folder",
            )
        images += found
    if not images:
        raise DataError(
            f"there are no class folders in {split}",
            where=str(folder),
            expected=f"{split}/<class>/<images> for each class",
            remedy="name the folder that holds train and val",
        )
    return images


def files_of(folder: Path, root: Path) -> list[os.DirEntry[str]]:
    """Visible files of a folder by name; see `sorted_entries`."""
    return [entry for entry in sorted_entries(folder, root) if entry.is_file()]


def sorted_entries(folder: Path, root: Path) -> list[os.DirEntry[str]]:
    """Visible entries of a folder by name: files and folders.

    Raises:
        DataError: the folder is missing or cannot be listed, or an entry is a
            link to nothing, no plain file, or has a name that is no text.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(filter(_is_visible, entries), key=lambda e: e.name)
    except OSError as error:
        raise DataError(
            f"cannot list the folder: {error.strerror}",
            where=str(folder),
            expected=f"train/<class>/<images> and val/<class>/<images> below {root}",
            remedy="name the folder that holds train and val, and check that it can be read",
        ) from error
    for entry in found:
        _refuse_unusable(entry, folder)
    return found


def _refuse_unusable(entry: os.DirEntry[str], folder: Path) -> None:
    refuse_undecodable_name(entry.name, str(folder))
    if not entry.is_file() and not entry.is_dir():
        raise DataError(
            "the entry is neither a file nor a folder"
            + (", but a link to nothing" if entry.is_symlink() else ""),
            where=entry.path,
            expected="image files, or links to them",
            remedy="restore what it links to, or remove it",
        )


def refuse_undecodable_name(name: str, where: str) -> None:
    """A name goes into the manifest as text.

    Raises:
        DataError: it holds bytes that are no UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name {os.fsencode(name)!r} is no text",
            where=where,
            expected="names in UTF-8",
            remedy="rename it",
        ) from error


def _is_visible(entry: os.DirEntry[str]) -> bool:
    """Whether a person put it there: file managers leave .DS_Store and Thumbs.db behind."""
    return not entry.name.startswith(".") and entry.name not in LEFT_BY_FILE_MANAGERS


def image_of(entry: os.DirEntry[str], root: Path, split: SplitName, class_name: str) -> SourceImage:
    """The image behind a folder entry.

    Raises:
        DataError: the file has no image's extension.
    """
    # pathlib would take half the time of listing ImageNet.
    if os.path.splitext(entry.name)[1].lower() not in EXTENSIONS:  # noqa: PTH122
        raise DataError(
            f"the file is no image by its name (class {class_name})",
            where=entry.path,
            expected=f"one of {', '.join(sorted(EXTENSIONS))}",
            remedy="move it out of the class folder",
        )
    stat = entry.stat()
    relative = entry.path.removeprefix(f"{root}{os.sep}")
    return SourceImage(split, class_name, relative, stat.st_size, stat.st_mtime_ns)


Item = tuple[SourceImage, bytes | None]


class ImageSource(Protocol):
    """What the preparation needs to know of a source."""

    @property
    def kind(self) -> str:
        """Kind of source, recorded."""

    @property
    def root(self) -> Path:
        """Folder that paths are relative to."""

    @property
    def origin(self) -> Path:
        """What was given as the source; for messages."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in label order."""

    @property
    def size_bytes(self) -> int:
        """Bytes to be read."""

    @property
    def count(self) -> int | None:
        """Number of images, where known."""

    def items(self, on_bytes: Callable[[int], None]) -> Iterator[Item]:
        """Images, with their bytes where they are not files yet."""
