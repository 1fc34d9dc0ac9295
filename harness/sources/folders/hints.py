"""What to do about a folder that cannot be read as it lies there: commands that work as printed."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import DataError
from harness.sources.folders.names import EXTENSIONS, suffix
from harness.sources.folders.places import (
    DEEPEST,
    MOST_FOLDERS,
    TRAIN_TAR,
    VAL_TAR,
    Place,
    named_like,
    split_named,
    what_lies_there,
)
from harness.sources.folders.tree import Entry, entries_if_readable

_PACKED = {
    "Parquet files": re.compile(r".*\.(parquet|arrow)"),
    "TFRecords": re.compile(r".*(\.tfrecords?\b.*|-\d{5}-of-\d{5})"),
    "archives": re.compile(r".*\.(tar|tgz|zip|tar\.\w+|7z|rar)"),
    "databases": re.compile(r".*\.(l?mdb|h5|hdf5|npz|rec|beton|ffcv)"),
}
"""Forms of packing that are not read, by the files' names."""

_OF_A_CLASS = re.compile(r"n\d{8}\.tar")
_OF_SAMPLES = re.compile(r".*[-_]\d{2,}\.tar")
"""Shards of WebDataset: images with their labels beside them."""

_SPLITS = ("train", "val", "test")
FOLDER = "name the folder that holds train and val"
BACKSLASHES = (
    "an archive of Windows was unpacked by a program that takes backslashes for letters; unpack "
    "it again with `unzip` or `bsdtar -xf`, which make folders of them"
)


def prepare_command(source: Path, *options: str) -> str:
    """The command that prepares a folder, as a shell takes it."""
    return f"harness prepare --source {shlex.quote(str(source))} --out DIR {shlex.join(options)}"


def packed_hint(folders: Iterable[Path], split: str | None = None) -> str:
    """What to do about images that are packed in a form that is not read; "" where none are.

    Args:
        folders: in which they may lie.
        split: only files whose names say this split.
    """
    for folder in folders:
        names = [e.name for e in entries_if_readable(folder) if not e.is_folder]
        names = [name for name in names if split is None or named_like(name, split)]
        for what, words in _PACKED.items():
            if found := [name for name in names if words.fullmatch(name.lower())]:
                shards = _OF_SAMPLES.fullmatch(found[0]) and not _OF_A_CLASS.fullmatch(found[0])
                if what == "archives" and not shards:
                    return f"{what} are not read, such as {found[0]}: {_unpack(folder, found)}"
                return (
                    f"{what} are not read, such as {found[0]}: write each image as a file, "
                    "train/<class>/<name>.JPEG and val/<class>/<name>.JPEG"
                )
    return ""


def unpack_classes(folder: Path) -> str:
    """The command that unpacks the tars of single classes, each into its class folder."""
    loop = 'for f in n*.tar; do mkdir -p "${f%.tar}" && tar -xf "$f" -C "${f%.tar}"; done'
    return f"cd {shlex.quote(str(folder))} && {loop}"


def _unpack(folder: Path, names: Sequence[str]) -> str:
    if all(_OF_A_CLASS.fullmatch(name) for name in names):
        return unpack_classes(folder)
    commands = []
    for split in (*_SPLITS, None):
        own = [n for n in names if next((s for s in _SPLITS if named_like(n, s)), None) == split]
        if own:
            to = folder / split if split and split_named(folder.name) is None else folder
            commands.append(_unpack_into([folder / name for name in own], to))
    return "; ".join(commands)


def _unpack_into(archives: Sequence[Path], to: Path) -> str:
    place, kind = shlex.quote(str(to)), archives[0].suffix.lower()
    begun = f"mkdir -p {place} && " if to != archives[0].parent else ""
    many = len(archives) > 1
    file = '"$f"' if many else shlex.quote(str(archives[0]))
    command = {
        ".zip": f"unzip -q {file} -d {place}",
        ".7z": f"7z x {file} -o{place}",
        ".rar": f"unrar x {file} {place}",
    }.get(kind, f"tar -xf {file} -C {place}")
    if many:
        command = f"for f in {shlex.join(map(str, archives))}; do {command}; done"
    return begun + command


def not_one(path: Path, places: tuple[Place, ...]) -> DataError:
    """The error of a path with several data sets, or none, below it."""
    if places:
        named = ", ".join(str(place.folder) for place in places[:5])
        tars = all(place.tars and not place.train and not place.val for place in places)
        return DataError(
            f"{len(places)} folders below it hold a data set: {named}",
            where=str(path),
            expected="one data set",
            remedy=f"put {TRAIN_TAR} and {VAL_TAR} into one folder, or name one of these"
            if tars
            else f"name one of them, such as {places[0].folder}; where these are classes, each "
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


def _instead(path: Path, entries: tuple[Entry, ...]) -> str:
    """What to do about a path at which no split was found."""
    above = shlex.quote(str(path.parent))
    if split := split_named(path.name):
        return f"this is the folder {split} itself: name {above}"
    if path.is_file():
        packed = _PACKED["archives"].fullmatch(path.name.lower())
        packed = packed if path.name not in {TRAIN_TAR, VAL_TAR} else None
        return (f"{_unpack(path.parent, [path.name])}, then " if packed else "") + f"name {above}"
    if any("\\" in entry.name for entry in entries):
        return BACKSLASHES
    folders = [Path(entry.path) for entry in entries if entry.is_folder][:MOST_FOLDERS]
    return (
        _by_like_names(folders)
        or packed_hint([path, *folders])
        or _by_lists(entries, folders)
        or _by_classes(path, folders)
        or FOLDER
    )


def _by_like_names(folders: Sequence[Path]) -> str:
    like = {s: [f for f in folders if named_like(f.name, s)] for s in _SPLITS}
    val = like["val"] or like["test"]
    if not like["train"] or not val:
        return ""
    if len(like["train"]) > 1:
        names = ", ".join(folder.name for folder in like["train"][:5])
        return (
            f"put the class folders of {names} into one folder train, and those of "
            f"{val[0].name} into val beside it"
        )
    options = ("--train-folder", like["train"][0].name, "--val-folder", val[0].name)
    return f"if these are the splits: {prepare_command(folders[0].parent, *options)}"


def _by_lists(entries: tuple[Entry, ...], folders: Sequence[Path]) -> str:
    if not folders or not any(e.name.lower().endswith((".csv", ".txt", ".lst")) for e in entries):
        return ""
    return (
        f"{FOLDER}; where lists name the images, give both to `harness prepare` with "
        "--train-list and --val-list"
    )


def _by_classes(path: Path, folders: Sequence[Path]) -> str:
    found = [folder for folder in (path, *folders) if _holds_classes(folder)]
    if len(found) == 1:
        return held_back(found[0])
    return f"{FOLDER}, or which is which with --train-folder and --val-folder" if found else ""


def _holds_classes(folder: Path) -> bool:
    inside = [Path(e.path) for e in entries_if_readable(folder) if e.is_folder]
    return len(inside) > 1 and all(_holds_images(below) for below in inside[:3])


def _holds_images(folder: Path) -> bool:
    return any(suffix(entry.name) in EXTENSIONS for entry in entries_if_readable(folder))


def held_back(folder: Path) -> str:
    """What to do about the classes of one split alone."""
    command = prepare_command(folder, "--val-share", "0.2")
    return f"{folder.name} looks like the classes of one split: {command} holds a fifth of each \
back for validation; or put the folders train and val side by side"


def missing_split(place: Place, split: str, empty: Sequence[Path]) -> str:
    """What to do where the images of one split are not found; "" where nothing tells."""
    if hint := packed_hint(empty):
        return hint
    if split == "val" and (place.folder / VAL_TAR).is_file():
        command = _unpack_into([place.folder / VAL_TAR], place.folder / split)
        return f"{VAL_TAR} is still packed: {command}; the labels come by themselves"
    if split == "train" and (place.folder / TRAIN_TAR).is_file():
        return (
            f"{TRAIN_TAR} is still packed, and holds a tar for each class: move val away and "
            f"give `{prepare_command(place.folder).strip()}` both tars, which unpacks them"
        )
    if hint := packed_hint([place.folder], split):
        return hint
    like = [e.name for e in place.entries if e.is_folder and named_like(e.name, split)]
    like = [name for name in like if split_named(name) is None]
    if like:
        return f"if {like[0]} is {split}: " + prepare_command(
            place.folder, f"--{split}-folder", like[0]
        )
    return held_back(place.train[0]) if split == "val" and place.train else ""


def another_tar(folder: Path, name: str) -> str:
    """What to do about a missing tar; files that may be it under another name are named."""
    like = name.removesuffix(".tar").lower()
    found = [e.name for e in entries_if_readable(folder) if like in e.name.lower()]
    if found:
        words = (str(folder / found[0]), str(folder / name))
        return f"if {found[0]} is it, whole and not unpacked: mv {shlex.join(words)}"
    return "put both into one folder; image-net.org has them"
