"""Which kind of source a path is, told by all of what lies there.

Folders of images that can be seen come before packed files beside them: who
unpacked the tars leaves them there. An option that is given decides, and one
that nothing needs is refused.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from harness.errors import DataError, UsageError
from harness.sources.class_order import Order
from harness.sources.folder_images import SplitFolders, folder_source, shared_source
from harness.sources.folders.hints import missing_split, not_one, prepare_command
from harness.sources.folders.layout import SplitLayout, read_split
from harness.sources.folders.places import (
    TRAIN_TAR,
    VAL_TAR,
    Place,
    beside,
    find_places,
    look,
    what_lies_there,
)
from harness.sources.folders.tree import Folder, OnFiles, read_tree
from harness.sources.labels.search import find_labels
from harness.sources.lists import list_files
from harness.sources.pixels import small_sets
from harness.sources.source import SPLITS, ImageSource, Source, SplitName
from harness.sources.tars import PublishedTar, open_tars
from harness.sources.tfds import TfdsSource

IMAGES = "images"
"""Folder below --out for the images of tars, TFDS directories and small data sets."""

Layout = Literal["folders", "tars", "tfds", "pixels"]
WORDS: dict[Layout, str] = {
    "folders": "folders train and val with images",
    "tars": "ILSVRC's tars",
    "tfds": "a TFDS directory",
    "pixels": "IDX files, or CIFAR's",
}


@dataclass(frozen=True)
class Told:
    """What a person says of a source, by the options of `harness prepare`.

    Attributes:
        lists: the reference's list files by split.
        val_labels: label file of validation images that lie side by side.
        order: class order of labels that are numbers.
        layout: which of several readings to take.
        folders: the folder of each split.
        val_share: of each class, where class folders lie there without train and val.
    """

    lists: Mapping[SplitName, Path] = field(default_factory=dict)
    val_labels: Path | None = None
    order: Order | None = None
    layout: Layout | None = None
    folders: Mapping[SplitName, Path] = field(default_factory=dict)
    val_share: float | None = None


NOTHING_TOLD = Told()


def _silent(_files: int) -> None:
    """Nobody wants to know."""


def find_source(
    path: Path,
    out: Path,
    told: Told = NOTHING_TOLD,
    *,
    published: dict[str, PublishedTar] | None = None,
    on_files: OnFiles = _silent,
) -> ImageSource:
    """List or open a source.

    Args:
        path: folder of images, of tars, of TFDS, of IDX or CIFAR files, or one above
            it; an archive of CIFAR; with lists, the folder that their paths start from.
        out: the prepared folder.
        told: what the person says of it.
        published: sizes and md5 sums of the tars; None takes ImageNet's.
        on_files: called with how many more files were listed, from several threads.

    Raises:
        DataError: nothing that is known lies there, it is incomplete, or it can be
            read in two ways.
        UsageError: an option is given that this source does not need.
    """
    path = path.resolve()
    if told.val_share is not None:
        return _shared(path, told, on_files)
    if told.lists:
        _refuse_half(told)
        _refuse_unused(told, ("val_labels", "layout", "folders"), "the lists name every image")
        return list_files(path, dict(told.lists), told.order)
    found = _visible_or_packed(path, told, on_files)
    if isinstance(found, Source):
        return found
    place, kind = found
    images = out.resolve() / IMAGES
    if kind == "tars":
        _refuse_unused(told, ("folders",), "the tars hold the images")
        labels = find_labels(path, place, (), told=told.val_labels, order=told.order)
        return open_tars(place.folder, images, labels, published)
    _refuse_unused(told, ("val_labels", "order", "folders"), f"{WORDS[kind]} have their own labels")
    if kind == "tfds":
        return TfdsSource(images, place.folder)
    small = small_sets.find_small_set(path, images)
    if small is None:
        raise not_one(path, ())
    return small


def _shared(path: Path, told: Told, on_files: OnFiles) -> Source:
    """Class folders of which a share is held back; what has a validation split already is not."""
    _refuse_unused(
        told, ("lists", "val_labels", "order", "layout", "folders"), "--val-share splits"
    )
    place = look(path)
    if len(place.train) == 1 and not place.val:
        path = place.train[0]
    elif any(found.folder == path for found in find_places(path)):
        raise UsageError(
            "--val-share would not be used: train and val lie there",
            where=str(path),
            expected="a folder of class folders",
            remedy="leave --val-share out, or name the folder train itself",
        )
    layout = read_split(read_tree(path, on_files), "train")
    if layout is None:
        raise not_one(path, ())
    return shared_source(layout, told.val_share or 0)


def find_folder(path: Path, told: Told = NOTHING_TOLD, *, on_files: OnFiles = _silent) -> Source:
    """List a folder whose images can be read where they are; see `find_source`.

    Raises:
        DataError: it holds tars, a TFDS directory or files of many images, which
            have to be prepared first, or nothing that is known.
    """
    path = path.resolve()
    found = _visible_or_packed(path, told, on_files)
    if isinstance(found, Source):
        return found
    place, kind = found
    raise DataError(
        f"the images are packed: {WORDS[kind]}",
        where=str(place.folder),
        expected="a folder of image files, or one made by `harness prepare`",
        remedy=f"{prepare_command(path).strip()}, then name DIR",
    )


def _visible_or_packed(path: Path, told: Told, on_files: OnFiles) -> Source | tuple[Place, Layout]:
    """Images that are files, listed, or the place of packed ones and how they are packed."""
    if path.is_file():
        if path.name in {TRAIN_TAR, VAL_TAR}:
            raise not_one(path, ())
        return _bare(path), "pixels"
    places = find_places(path)
    pixels = _pixels(path, places, told)
    if pixels and not (told.layout or told.folders):
        return _bare(path), "pixels"
    place = _one_place(path, places, told)
    if told.layout in {None, "folders"} and (place.train or place.val or told.folders):
        source = _visible(path, place, told, on_files)
        if source is not None:
            return source
    return place, _packed(place, told, pixels)


def _bare(path: Path) -> Place:
    return Place(path, (), (), (), (), tars=False, tfds=False)


def _pixels(path: Path, places: tuple[Place, ...], told: Told) -> bool:
    """Whether IDX or CIFAR files lie there: pixels right there, or an archive and nothing else."""
    here = any(place.folder == path for place in places)
    if here and told.layout != "pixels":
        return False
    found = small_sets.look(path)
    return found.is_certain or (found.may_be_cifar and not places)


def _one_place(path: Path, places: tuple[Place, ...], told: Told) -> Place:
    if len(places) > 1:
        # Several folders have the names; one of them may have the images.
        places = tuple(p for p in places if p.tars or p.tfds or _has_images(p)) or places
    if len(places) == 1:
        return places[0]
    if told.folders or told.layout:
        return look(path)
    raise not_one(path, places)


def _has_images(place: Place) -> bool:
    return all(any(read_tree(f).count for f in found) for found in (place.train, place.val))


def _visible(path: Path, place: Place, told: Told, on_files: OnFiles) -> Source | None:
    """The source whose images are files; None where there are none and they are packed."""
    trees = {split: _trees(place, split, told, path, on_files) for split in SPLITS}
    if not trees["train"] and not trees["val"] and (place.tars or place.tfds):
        return None
    train = _one(trees["train"], "train", place)
    found = read_split(train, "train") if train else None
    classes = tuple(found.classes) if found else ()
    val = _one(trees["val"], "val", place) or (_test(place, on_files) if found else None)
    read = read_split(val, "val", classes) if val else None
    if found is None or read is None:
        raise _half(place, {"train": found, "val": read})
    root = path if told.folders else place.folder
    folders = SplitFolders(path, place, root, found, read)
    source = folder_source(folders, val_labels=told.val_labels, order=told.order)
    return replace(source, notes=(*source.notes, *beside(place, (found.top.path, read.top.path))))


def _trees(
    place: Place, split: SplitName, told: Told, path: Path, on_files: OnFiles
) -> tuple[Folder, ...]:
    """The split's folders that hold images."""
    folders = place.train if split == "train" else place.val
    if named := told.folders.get(split):
        folders = (_below(path, named),)
    trees = tuple(read_tree(folder, on_files) for folder in folders)
    return tuple(tree for tree in trees if tree.count or any(f.unnamed for f in tree.walk()))


def _below(path: Path, named: Path) -> Path:
    # By its name, for it may be a link to another disk; or by what an absolute path leads to.
    ways = Path(os.path.normpath(path / named)), (path / named).resolve()
    folder = next((way for way in ways if way.is_relative_to(path) and way.is_dir()), None)
    if folder is None:
        raise UsageError(
            f"the folder {named} is not below the source",
            where=str(path),
            expected="a folder below --source",
            remedy="name it as it lies there, such as --val-folder validation",
        )
    return folder


def _one(trees: tuple[Folder, ...], split: SplitName, place: Place) -> Folder | None:
    if len(trees) < 2:
        return trees[0] if trees else None
    named = " and ".join(f"{tree.name}/ ({tree.count:,} images)" for tree in trees)
    raise DataError(
        f"two folders can be {split}: {named}",
        where=str(place.folder),
        expected=f"one folder for {split}",
        remedy=f"{prepare_command(place.folder, f'--{split}-folder', trees[0].name)}, or with "
        f"{trees[1].name}; or move one away",
    )


def _test(place: Place, on_files: OnFiles) -> Folder | None:
    """Test images stand for validation images where there are none and their classes are known."""
    trees = [read_tree(folder, on_files) for folder in place.test]
    sorted_ = [tree for tree in trees if tree.count and not len(tree.images)]
    return sorted_[0] if len(sorted_) == 1 else None


def _half(place: Place, layouts: Mapping[SplitName, SplitLayout | None]) -> DataError:
    missing = [split for split in SPLITS if layouts[split] is None]
    there = what_lies_there(place.entries)
    if len(missing) == 2:
        found = f"there are no images in train or in val; there is {there}"
        remedy = "put the images there, or name the folder that holds them"
    else:
        other = "val" if missing[0] == "train" else "train"
        found = f"there are no images in {missing[0]}, only in {other}; there is {there}"
        remedy = f"put the images of {missing[0]} there, or name the folder that holds both"
    for split in missing:
        empty = place.train if split == "train" else place.val
        remedy = missing_split(place, split, empty) or remedy
        if any(e.name == split and not e.is_folder for e in place.entries):
            found += f"; {split} is no folder" + (
                ", but a link to nothing" if (place.folder / split).is_symlink() else ""
            )
    return DataError(
        found,
        where=str(place.folder),
        expected="images in train and in val, in class folders or side by side",
        remedy=remedy,
    )


def _packed(place: Place, told: Told, pixels: bool) -> Layout:
    """Which packed reading to take.

    Raises:
        DataError: there are two, or not the one that was asked for.
    """
    lies: dict[Layout, bool] = {"tars": place.tars, "tfds": place.tfds, "pixels": pixels}
    held = [kind for kind, there in lies.items() if there]
    if told.layout in held:
        return told.layout
    if told.layout is not None or not held:
        wanted = WORDS[told.layout or "folders"]
        raise DataError(
            f"there are no {wanted}; there is {what_lies_there(place.entries)}",
            where=str(place.folder),
            expected=wanted,
            remedy="leave --layout out, or name another folder",
        )
    if len(held) > 1:
        raise DataError(
            f"it can be read in two ways: as {' and as '.join(WORDS[kind] for kind in held)}",
            where=str(place.folder),
            expected="one reading",
            remedy=f"say which with --layout {' or --layout '.join(held)}",
        )
    return held[0]


def _refuse_half(told: Told) -> None:
    if len(told.lists) < len(SPLITS):
        raise UsageError(
            "only one of --train-list and --val-list is given",
            expected="both, or neither",
            remedy="give the other one too",
        )


def _refuse_unused(told: Told, names: tuple[str, ...], why: str) -> None:
    options = {"val_labels": "--val-labels", "order": "--class-order", "layout": "--layout",
               "folders": "--train-folder and --val-folder",
               "lists": "--train-list and --val-list"}  # fmt: skip
    given = [options[name] for name in names if getattr(told, name)]
    if given:
        raise UsageError(
            f"{', '.join(given)} would not be used: {why}",
            expected="options that this source needs",
            remedy=f"leave {' and '.join(given)} out",
        )
