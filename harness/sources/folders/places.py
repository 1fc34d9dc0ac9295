"""Where in a folder the data lies: folders of both splits, tars, a TFDS directory.

People name a folder at any level: Kaggle's archive has train and val three
folders down, TFDS keeps its files below name and version. So folders are
searched level by level, and the nearest one that holds something decides.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.sources.folders.names import EXTENSIONS, shown_all, suffix
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
        tfds=TFDS_MARK in files,
    )


def what_lies_there(entries: tuple[Entry, ...]) -> str:
    """Folders and files by name, for a message."""
    folders = [entry.name + "/" for entry in entries if entry.is_folder]
    files = [entry.name for entry in entries if not entry.is_folder]
    return shown_all([*folders, *files], 8) if entries else "nothing"


def not_one(path: Path, places: tuple[Place, ...]) -> DataError:
    """The error of a path with several data sets, or none, below it."""
    if places:
        named = ", ".join(str(place.folder) for place in places[:5])
        return DataError(
            f"{len(places)} folders below it hold a data set: {named}",
            where=str(path),
            expected="one data set",
            remedy=f"name one of them, such as {places[0].folder}; where these are classes, each "
            "with its own train and val, turn the folders round: train/<class> and val/<class>",
        )
    entries = entries_if_readable(path)
    there = f"there is {what_lies_there(entries)}" if path.is_dir() else "it is a file"
    return DataError(
        f"no data set lies there; {there}",
        where=str(path),
        expected="folders train and val with images, ILSVRC's tars or a TFDS directory, there or "
        f"at most {DEEPEST} folders down; IDX or CIFAR files, or CIFAR's archive",
        remedy=_instead(path, entries),
    )


_PACKED = {
    "Parquet files": re.compile(r".*\.(parquet|arrow)"),
    "TFRecords": re.compile(r".*(\.tfrecords?\b.*|-\d{5}-of-\d{5})"),
    "archives": re.compile(r".*\.(tar|tgz|zip|tar\.\w+|7z|rar)"),
    "databases": re.compile(r".*\.(l?mdb|h5|hdf5|npz|rec|beton|ffcv)"),
}
"""Forms of packing that are not read, by the files' names."""


def packed_hint(folders: Iterable[Path]) -> str:
    """What to do about images that are packed in a form that is not read; "" where none are."""
    for folder in folders:
        names = [entry.name for entry in entries_if_readable(folder) if not entry.is_folder]
        for what, words in _PACKED.items():
            if found := [name for name in names if words.fullmatch(name.lower())]:
                return (
                    f"{what} are not read, such as {found[0]}: write each image as a file, "
                    "train/<class>/<name>.JPEG and val/<class>/<name>.JPEG"
                )
    return ""


def _instead(path: Path, entries: tuple[Entry, ...]) -> str:
    """What to do about a folder in which no split was found."""
    if split := split_named(path.name):
        return f"this is the folder {split} itself: name {path.parent}"
    folders = [Path(entry.path) for entry in entries if entry.is_folder]
    begins = {
        split: next((f.name for f in folders if re.match(words, f.name.casefold())), "")
        for split, words in _WORDS.items()
    }
    if begins["train"] and (begins["val"] or begins["test"]):
        options = f"--train-folder {begins['train']} --val-folder {begins['val'] or begins['test']}"
        return f"if these are the splits: harness prepare --source {path} --out DIR {options}"
    if hint := packed_hint([path, *folders[:MOST_FOLDERS]]):
        return hint
    if any(entry.name.lower().endswith((".csv", ".txt", ".lst")) for entry in entries) and folders:
        return (
            "name the folder that holds train and val; where lists name the images, give both "
            "to `harness prepare` with --train-list and --val-list"
        )
    if len(folders) > 1 and all(_holds_images(folder) for folder in folders[:3]):
        return (
            "these look like the classes of one split: put them into a folder train, and those "
            "of the validation images into val beside it"
        )
    return "name the folder that holds train and val"


def _holds_images(folder: Path) -> bool:
    return any(suffix(entry.name) in EXTENSIONS for entry in entries_if_readable(folder))


def split_named(name: str) -> str | None:
    """The split that a folder's name says it holds."""
    return next((s for s, words in _SPLIT.items() if words.fullmatch(name.casefold())), None)


def _splits(entries: tuple[Entry, ...], split: str) -> Iterator[Path]:
    for entry in entries:
        if entry.is_folder and split_named(entry.name) == split:
            yield Path(entry.path)


def _inside(place: Place) -> list[Entry]:
    inside = [e for e in place.entries if e.is_folder and e.name.casefold() not in _ASIDE]
    return inside if len(inside) <= MOST_FOLDERS else []
