"""A folder of images as it lies there: everything below it, listed once.

What a folder means is decided elsewhere, from the whole of this listing; so the
answer does not depend on the order in which a file system gives its entries.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from harness.errors import DataError
from harness.sources.folders.names import (
    EXTENSIONS,
    KNOWN_HIDDEN,
    NO_IMAGES,
    is_left_behind,
    suffix,
)

Kind = Literal["image", "other", "hidden_image"]
OnFiles = Callable[[int], None]
"""Called with how many more files were listed."""

FIRST_BYTES = 16
SAMPLE = 3
"""Folders that are listed first, to see how long a file takes."""

SLOW_FILE_S = 200e-6
"""Above this a file's state is waited for, on network storage; at 5 us (60 beside six others that
work on two cores) threads only get in the way of one another: twice the processor's time."""

MOST_AT_ONCE = 32
_USUAL = (".JPEG", ".jpg", ".jpeg", ".png", ".JPG", ".PNG")
"""Decided by one comparison: looking up each of a million suffixes would take a second."""

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*",
               b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ")  # fmt: skip


@dataclass(frozen=True)
class FolderImages:
    """Image files of one folder, sorted by name.

    Attributes:
        names: strings [n].
        size_bytes: int64 [n].
        mtime_ns: int64 [n], time of last change.
    """

    names: pa.Array
    size_bytes: np.ndarray
    mtime_ns: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)


@dataclass(frozen=True)
class Folder:
    """One folder and all below it; what systems leave behind is left out.

    Attributes:
        name: its own.
        path: absolute.
        images: files that are images by their names.
        folders: by name.
        others: names of files that are no images.
        unnamed: names of files that hold an image and are not named like one.
    """

    name: str
    path: str
    images: FolderImages
    folders: tuple["Folder", ...]
    others: tuple[str, ...]
    unnamed: tuple[str, ...]

    def walk(self) -> Iterator["Folder"]:
        """This folder and every one below it, by name."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    @property
    def count(self) -> int:
        """Images in it and below it."""
        return sum(len(folder.images) for folder in self.walk())


@dataclass(frozen=True)
class Entry:
    """One visible entry of a folder; links are followed."""

    name: str
    path: str
    is_folder: bool


def visible_entries(folder: Path) -> tuple[Entry, ...]:
    """Entries by name, without what systems leave behind; a link to nothing is a file.

    Raises:
        DataError: the folder cannot be listed.
    """
    with _listing(str(folder)) as entries:
        found = [
            Entry(e.name, f"{folder}/{e.name}", e.is_dir())
            for e in entries
            if not is_left_behind(e.name)
        ]
    return tuple(sorted(found, key=attrgetter("name")))


def entries_if_readable(folder: Path) -> tuple[Entry, ...]:
    """The same, nothing where it cannot be listed: what lies beside the images is not needed."""
    try:
        return visible_entries(folder)
    except DataError:
        return ()


def read_tree(
    folder: Path,
    on_files: OnFiles = lambda _: None,
    *,
    now: Callable[[], float] = time.perf_counter,
) -> Folder:
    """List a folder and everything below it.

    The folders in it are listed at once where a file takes long.

    Args:
        folder: with the images or class folders of a split.
        on_files: may be called from several threads.
        now: clock in seconds.

    Raises:
        DataError: something cannot be listed, is a link to nothing or in a circle,
            or has a name that is no text.
    """
    path = str(folder)
    here = _identity(path)
    top = _Level.of(path, on_files)
    names = iter(top.names)
    begun_s = now()
    first = [_read(f"{path}/{name}", (here,), on_files) for name in islice(names, SAMPLE)]
    each_s = (now() - begun_s) / max(1, sum(len(f.images) for f in first))
    workers = MOST_AT_ONCE if each_s > SLOW_FILE_S else 1
    pool = ThreadPoolExecutor(workers, thread_name_prefix="listing")
    collecting = gc.isenabled()
    gc.disable()  # a million tuples are no garbage, and looking for it takes a sixth of the time
    try:
        rest = pool.map(lambda name: _read(f"{path}/{name}", (here,), on_files), names)
        return top.folder(path, (*first, *rest))
    finally:
        # After an error or Ctrl-C what has not begun is not worth waiting for.
        pool.shutdown(cancel_futures=True)
        if collecting:
            gc.enable()


def _read(path: str, above: tuple[tuple[int, int], ...], on_files: OnFiles) -> Folder:
    here = _identity(path)
    if here in above:
        raise DataError(
            "the folder contains itself, by a link",
            where=path,
            expected="links that lead out of the folders above them",
            remedy="remove the link",
        )
    level = _Level.of(path, on_files)
    below = tuple(_read(f"{path}/{name}", (*above, here), on_files) for name in level.names)
    return level.folder(path, below)


@dataclass(frozen=True)
class _Level:
    """The entries of one folder, sorted out."""

    images: FolderImages
    names: tuple[str, ...]
    others: tuple[str, ...]
    unnamed: tuple[str, ...]

    @classmethod
    def of(cls, path: str, on_files: OnFiles) -> "_Level":
        files: list[tuple[str, int, int]] = []
        folders: list[str] = []
        others: list[str] = []
        unnamed: list[str] = []
        with _listing(path) as entries:
            for entry in entries:
                name = entry.name
                usual = name.endswith(_USUAL) and name[0] != "."
                if not usual and is_left_behind(name):
                    if _hides_images(path, entry):
                        others.append(name)
                    continue
                if entry.is_file():
                    kind = "image" if usual else _kind(f"{path}/{name}")
                    if kind == "image":
                        stat = entry.stat()
                        files.append((name, stat.st_size, stat.st_mtime_ns))
                    else:
                        (others if kind == "other" else unnamed).append(name)
                elif entry.is_dir():
                    folders.append(name)
                else:
                    raise _unusable(entry, f"{path}/{name}")
        files.sort(key=itemgetter(0))
        _refuse_undecodable(path, folders, others, unnamed, [name for name, *_ in files])
        on_files(len(files))
        return cls(_columns(files), *(tuple(sorted(part)) for part in (folders, others, unnamed)))

    def folder(self, path: str, below: tuple[Folder, ...]) -> Folder:
        name = path.rsplit("/", 1)[-1]
        return Folder(name, path, self.images, below, self.others, self.unnamed)


def _hides_images(path: str, entry: "os.DirEntry[str]") -> bool:
    """Whether a hidden name may be a person's, such as the class `.22_rifle`: it is named then."""
    name = entry.name
    if name[0] != "." or name.casefold().startswith(KNOWN_HIDDEN):
        return False
    try:
        names = os.listdir(f"{path}/{name}") if entry.is_dir() else [name]  # noqa: PTH208
    except OSError:
        return False
    return any(suffix(name) in EXTENSIONS for name in names)


def _columns(files: list[tuple[str, int, int]]) -> FolderImages:
    return FolderImages(
        pa.array([name for name, _, _ in files], pa.string()),
        np.array([size for _, size, _ in files], np.int64),
        np.array([time for _, _, time in files], np.int64),
    )


def _kind(path: str) -> Kind:
    end = suffix(path.rsplit("/", 1)[-1])
    if end in EXTENSIONS:
        return "image"
    if end in NO_IMAGES:
        return "other"
    return "hidden_image" if _holds_an_image(path) else "other"


def _holds_an_image(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - once for each odd file, and there can be many
            first = file.read(FIRST_BYTES)
    except OSError:
        return False
    webp = first[:4] == b"RIFF" and first[8:12] == b"WEBP"
    bitmap = first[:2] == b"BM" and first[6:10] == b"\0\0\0\0"
    phone = first[4:8] == b"ftyp" and first[8:12] in {b"heic", b"heix", b"mif1", b"avif"}
    return first.startswith(_SIGNATURES) or webp or bitmap or phone


class _listing:  # noqa: N801 - used like a function, as contextlib's own are
    """`os.scandir`, with an error that says what to do.

    By descriptor: the state of a file is then found without the path before it, which
    takes a fifth less time. `DirEntry.path` is the bare name.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> "Iterator[os.DirEntry[str]]":
        try:
            self.folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            self.entries = os.scandir(self.folder)
        except OSError as error:
            raise _unlistable(self.path, error) from error
        return self.entries

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.entries.close()
        os.close(self.folder)
        if isinstance(error, OSError):
            raise _unlistable(self.path, error) from error


def _unlistable(path: str, error: OSError) -> DataError:
    return DataError(
        f"cannot list the folder: {error.strerror}",
        where=os.path.join(path, error.filename) if isinstance(error.filename, str) else path,  # noqa: PTH118
        expected="a folder that can be read, with images in train and val",
        remedy="name the folder that holds train and val, and check that it can be read",
    )


def _identity(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)  # noqa: PTH116 - once for each of 2,000 folders
    except OSError as error:
        raise _unlistable(path, error) from error
    return stat.st_dev, stat.st_ino


def _unusable(entry: "os.DirEntry[str]", path: str) -> DataError:
    return DataError(
        "the entry is neither a file nor a folder"
        + (", but a link to nothing" if entry.is_symlink() else ""),
        where=path,
        expected="image files, or links to them",
        remedy="restore what it links to, or remove it",
    )


def _refuse_undecodable(path: str, *names: list[str]) -> None:
    for part in names:
        try:
            "\n".join(part).encode()
        except UnicodeEncodeError:
            for name in part:
                refuse_undecodable_name(name, path)


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
