"""Which small data set lies in a folder: decided by the files' first bytes, then by their names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import DataError
from harness.sources.folders.places import named_like
from harness.sources.folders.tree import visible_entries
from harness.sources.pixels import cifar
from harness.sources.pixels.idx import idx_source, looks_like_idx
from harness.sources.pixels.pixel_source import PixelSource
from harness.sources.pixels.unpacking import first_bytes

SMALL_SETS = frozenset({"idx", "cifar_binary"})
"""The kinds of their sources, as recorded."""

TAR_MARK = slice(257, 262)
LOOK_BYTES = 512
MOST_FILES = 1_000
"""A folder with more entries holds images side by side."""

PICKLE = b"\x80"


LARGEST_ARCHIVE = 1 << 30
"""Bytes; CIFAR's have 170 MB."""


@dataclass
class SmallSetFiles:
    """Files of a folder that belong to small data sets."""

    idx: list[Path] = field(default_factory=list)
    binary: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    pickles: list[Path] = field(default_factory=list)

    @property
    def is_certain(self) -> bool:
        """Whether files of pixels lie there: an archive could hold anything."""
        return bool(self.idx or self.binary)

    @property
    def may_be_cifar(self) -> bool:
        """Whether an archive could be CIFAR's, and not one of another data set's images."""
        named = any("cifar" in archive.name.casefold() for archive in self.archives)
        parts = any(named_like(a.name, s) for a in self.archives for s in ("train", "val"))
        small = all(archive.stat().st_size < LARGEST_ARCHIVE for archive in self.archives)
        return bool(self.pickles) or named or (bool(self.archives) and small and not parts)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.idx or self.binary or self.archives or self.pickles)


def find_small_set(path: Path, root: Path) -> PixelSource | None:
    """The small data set at a path; None where nothing like one lies there.

    Args:
        path: a folder, or a tar archive.
        root: where the images will be written.

    Raises:
        DataError: it is incomplete or damaged, there is more than one, or it is
            CIFAR's Python version.
    """
    found = look(path)
    sources = [_named("IDX files", found.idx), _named("CIFAR's binary files", found.binary)]
    sources += [f"the archive {archive.name}" for archive in found.archives]
    present = [source for source in sources if source]
    if len(present) > 1:
        raise DataError(
            f"more than one data set lies there: {'; '.join(present)}",
            where=str(path),
            expected="one data set",
            remedy="give each a folder of its own, or name one archive with --source",
        )
    if found.idx:
        return idx_source(found.idx, path, root)
    if found.binary:
        return cifar.cifar_folder(found.binary, path, root)
    if found.archives:
        return cifar.cifar_archive(found.archives[0], root)
    if found.pickles:
        raise cifar.pickles_refused(found.pickles[0].parent)
    return None


def look(path: Path) -> SmallSetFiles:
    """Sort a folder's files, and those of CIFAR's own folders in it; reads their first bytes."""
    found = SmallSetFiles()
    if path.is_file():
        _sort(path, found)
        return found
    own = (path / name for name in cifar.FOLDERS + cifar.PICKLE_FOLDERS)
    for folder in (path, *filter(Path.is_dir, own)):
        entries = visible_entries(folder)
        if len(entries) > MOST_FILES:
            continue
        for entry in entries:
            if Path(entry.path).is_file():
                _sort(Path(entry.path), found)
    return found


def _sort(file: Path, found: SmallSetFiles) -> None:
    name, first = cifar.published_name(file.name), first_bytes(file, LOOK_BYTES)
    if name in cifar.BINARY_FILES:
        found.binary.append(file)
    elif looks_like_idx(name, first):
        found.idx.append(file)
    elif first[TAR_MARK] == b"ustar":
        found.archives.append(file)
    elif name in cifar.PICKLES and first.startswith(PICKLE):
        found.pickles.append(file)


def _named(what: str, files: Sequence[Path]) -> str:
    return f"{what} ({', '.join(file.name for file in files)})" if files else ""
