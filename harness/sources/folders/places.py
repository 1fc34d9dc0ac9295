"""Where in a folder the data lies: folders of both splits, tars, a TFDS directory.

People name a folder at any level: Kaggle's archive has train and val three
folders down, TFDS keeps its files below name and version. So folders are
searched level by level, and the nearest one that holds something decides.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.sources.folders.names import shown_all
from harness.sources.folders.tree import Entry, entries_if_readable, visible_entries

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VAL_TAR = "ILSVRC2012_img_val.tar"
TFDS_MARK = "dataset_info.json"
DEEPEST = 4
"""Levels that are searched: TFDS' data directory is three above its files."""

MOST_FOLDERS = 50
"""A folder with more folders than this holds classes and no data sets."""

_WORDS = {"train": "train|training", "val": "val|valid|validation", "test": "test|testing"}
_SPLIT = {
    split: re.compile(rf"(ilsvrc\d*[_-])?(img[_-]|images?[_-])?({words})([_-]?(images?|set|dir))?")
    for split, words in _WORDS.items()
}
_LIKE = {
    split: re.compile(rf"(?<![a-z])({words})")
    for split, words in (_WORDS | {"val": r"valid|val(?!ue|ley)|eval|dev(?![a-z])"}).items()
}
_ASIDE = frozenset({"annotations", "imagesets", "ilsvrc2012_devkit_t12", "downloads"})
"""Folders beside images that have their structure and hold none."""


@dataclass(frozen=True)
class Place:
    """A folder in which something lies.

    Attributes:
        folder: the folder.
        entries: everything visible in it.
        train: folders whose names say that they hold training images.
        val: the same for validation images.
        test: the same for test images.
        tars: whether one of ILSVRC's tars lies there.
        tfds: whether it is a TFDS directory.
    """

    folder: Path
    entries: tuple[Entry, ...]
    train: tuple[Path, ...]
    val: tuple[Path, ...]
    test: tuple[Path, ...]
    tars: bool
    tfds: bool

    @property
    def holds_something(self) -> bool:
        """Whether anything of a data set lies there."""
        return bool(self.train or self.val or self.tars or self.tfds)


def find_places(path: Path) -> tuple[Place, ...]:
    """The nearest folders at or below a path that hold something, all of one level.

    Raises:
        DataError: a folder cannot be listed.
    """
    visible_entries(path)  # the only folder that has to be readable
    level = [path]
    for _ in range(DEEPEST + 1):
        found = [look(folder) for folder in level]
        if held := tuple(place for place in found if place.holds_something):
            return held
        level = [Path(entry.path) for place in found for entry in _inside(place)]
    downloads = path / "downloads"
    return find_places(downloads) if downloads.is_dir() else ()  # TFDS', nothing built yet


def look(folder: Path) -> Place:
    """What lies in one folder, by names alone."""
    entries = entries_if_readable(folder)
    named = {split: tuple(_splits(entries, split)) for split in _SPLIT}
    files = {entry.name for entry in entries if not entry.is_folder}
    return Place(
        folder=folder,
        entries=entries,
        train=named["train"],
        val=named["val"],
        test=named["test"],
        tars=bool({TRAIN_TAR, VAL_TAR} & files),
        tfds=TFDS_MARK in files and ".incomplete" not in folder.name,
    )


def what_lies_there(entries: tuple[Entry, ...]) -> str:
    """Folders and files by name, for a message."""
    folders = [entry.name + "/" for entry in entries if entry.is_folder]
    files = [entry.name for entry in entries if not entry.is_folder]
    return shown_all([*folders, *files], 8) if entries else "nothing"


def beside(place: Place, used: tuple[str, ...]) -> tuple[str, ...]:
    """Folders that may hold more of the same images, for a person: `train_2` beside `train`."""
    found = [e.name for e in place.entries if e.is_folder and e.path not in used
             and split_named(e.name) is None
             and any(named_like(e.name, split) for split in ("train", "val"))]  # fmt: skip
    return (f"beside them: {shown_all(f'{name}/' for name in found)}",) if found else ()


def split_named(name: str) -> str | None:
    """The split that a folder's name says it holds."""
    return next((s for s, words in _SPLIT.items() if words.fullmatch(name.casefold())), None)


def named_like(name: str, split: str) -> bool:
    """Whether a name holds a word for the split: `train_2`, `seg_test`, `dev`."""
    return bool(_LIKE[split].search(name.casefold()))


def _splits(entries: tuple[Entry, ...], split: str) -> Iterator[Path]:
    for entry in entries:
        if entry.is_folder and split_named(entry.name) == split:
            yield Path(entry.path)


def _inside(place: Place) -> list[Entry]:
    inside = [e for e in place.entries if e.is_folder and e.name.casefold() not in _ASIDE]
    return inside if len(inside) <= MOST_FOLDERS else []
