"""Folders of image files as a source: classes by folder, by name or by label."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import DataError, UsageError
from harness.sources.class_order import Order
from harness.sources.folders.hints import unpack_classes
from harness.sources.folders.layout import SplitLayout
from harness.sources.folders.names import (
    normal,
    shown,
    shown_all,
    stem,
    without_wnid_behind,
    wnid_before,
    wnid_behind,
)
from harness.sources.folders.places import Place
from harness.sources.folders.tree import FolderImages
from harness.sources.labels.files import refuse_labels_without_image
from harness.sources.labels.search import Labels, find_labels
from harness.sources.source import Listing, Source


@dataclass(frozen=True)
class SplitFolders:
    """Both splits as read.

    Attributes:
        given: the folder that was named.
        place: where the splits lie, or one of them.
        root: at or above both; paths are relative to it.
        train: as read.
        val: as read.
    """

    given: Path
    place: Place
    root: Path
    train: SplitLayout
    val: SplitLayout


@dataclass(frozen=True)
class _Part:
    """Images of one folder: their classes, one for all or one each, and names in the data set."""

    in_val: bool
    prefix: str
    images: FolderImages
    classes: str | Sequence[str]
    names: pa.Array


def folder_source(
    folders: SplitFolders, *, val_labels: Path | None = None, order: Order | None = None
) -> Source:
    """List the images of both splits with their classes.

    Args:
        folders: as read.
        val_labels: label file of validation images that lie side by side.
        order: class order of numbers in it.

    Raises:
        DataError: an image without a class, or classes that only one split has.
        UsageError: an option is given that is not needed.
    """
    root = str(folders.root)
    train = _parts(folders.train, root) or [_by_name(folders.train, root)]
    classes = _classes(train)
    kind = "flat" if folders.train.is_flat else "folder"
    found = None
    if folders.val.is_flat:
        part, found = _flat_val(folders, root, classes, val_labels, order)
        val = [part]
        if kind != "flat":
            kind = "kaggle" if found and found.kaggle else "flat_val"
    else:
        _refuse_labels(val_labels, order)
        val = _parts(folders.val, root)
    by = found.source if folders.val.is_flat and found else ""
    _refuse_other_classes(classes, _classes(val), folders, by)
    notes = (*folders.train.unused(by), *folders.val.unused(by))
    return Source(kind, folders.root, _listing(train, val, classes), classes, notes)


def shared_source(top: SplitLayout, share: float) -> Source:
    """Class folders without train and val: a share of each class is held back for validation.

    Which images is decided by the SHA-256 of their names, so adding others moves few.

    Args:
        top: the folder with the class folders, as read.
        share: of each class; at least one image goes either way.

    Raises:
        DataError: there are no class folders, or a class has one image alone.
    """
    parts = _parts(top, top.folder.path)
    single = [str(part.classes) for part in parts if len(part.images) < 2]
    if not parts or single:
        raise DataError(
            f"{shown_all(single)} have one image alone" if parts else "there are no class folders",
            where=top.folder.path,
            expected="a folder for each class with two images or more",
            remedy="sort the images into class folders, and take a class of one image away",
        )
    classes = _classes(parts)
    listing = _listing(parts, [], classes)
    held = np.concatenate([_held_back(part, share) for part in parts])
    note = f"{int(held.sum()):,} of {len(held):,} images are held back for validation"
    notes = (note, *top.unused(""))
    return Source("folder", Path(top.folder.path), replace(listing, in_val=held), classes, notes)


def _held_back(part: _Part, share: float) -> np.ndarray:
    names = part.images.names.to_pylist()
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).digest())
    count = min(max(round(share * len(names)), 1), len(names) - 1)
    held = np.zeros(len(names), bool)
    held[order[:count]] = True
    return held


def _parts(split: SplitLayout, root: str) -> list[_Part]:
    return [
        _Part(split.split == "val", _prefix(f.path, root), f.images, name, f.images.names)
        for name, f in sorted(split.classes.items())
    ]


def _prefix(path: str, root: str) -> str:
    return path.removeprefix(root).strip("/")


def _classes(parts: Sequence[_Part]) -> tuple[str, ...]:
    found: set[str] = set()
    for part in parts:
        found |= {part.classes} if isinstance(part.classes, str) else set(part.classes)
    return tuple(sorted(found))


def _by_name(split: SplitLayout, root: str) -> _Part:
    """Images side by side whose names carry their classes, as Hugging Face writes them."""
    names = split.folder.images.names.to_pylist()
    classes = [_class_in(name, split) for name in names]
    without = [name for name, found in zip(names, classes, strict=True) if found is None]
    if without:
        raise DataError(
            f"{len(without):,} of {len(names):,} images lie side by side in {split.split} and "
            f"carry no WordNet id in their names: {shown_all(without)}",
            where=split.folder.path,
            expected=f"class folders in {split.split}, or names such as n01440764_18.JPEG",
            remedy="sort the images into class folders, or give --train-list and --val-list to "
            "`harness prepare`",
        )
    return _flat(split, root, names, [str(found) for found in classes])


def _class_in(name: str, split: SplitLayout) -> str | None:
    own = stem(name)
    behind, before = wnid_behind(own), wnid_before(own)
    if behind and before and behind != before:
        raise DataError(
            f"the name {shown(name)} carries two classes, {before} and {behind}",
            where=split.folder.path,
            expected="one WordNet id, before the number and behind it",
            remedy="rename the image, or sort the images into class folders",
        )
    return behind or before


def _flat(split: SplitLayout, root: str, names: Sequence[str], classes: Sequence[str]) -> _Part:
    own = [without_wnid_behind(name) for name in names]
    return _Part(
        split.split == "val",
        _prefix(split.folder.path, root),
        split.folder.images,
        classes,
        pa.array(own, pa.string()),
    )


def _flat_val(
    folders: SplitFolders,
    root: str,
    classes: Sequence[str],
    val_labels: Path | None,
    order: Order | None,
) -> tuple[_Part, Labels | None]:
    split = folders.val
    names = split.folder.images.names.to_pylist()
    if val_labels is None and order is None and all(wnid_behind(stem(name)) for name in names):
        return _by_name(split, root), None
    labels = find_labels(
        folders.given, folders.place, names, told=val_labels, order=order, classes=classes,
        beside=[Path(split.top.path, name) for name in split.others],
    )  # fmt: skip
    spelling = {normal(name): name for name in classes}
    found = [labels.of(name) for name in names]
    without = [name for name, label in zip(names, found, strict=True) if label is None]
    if without:
        raise _no_label(without, names, labels, split)
    refuse_labels_without_image(
        labels.by_stem, [without_wnid_behind(name) for name in names], split.folder.path
    )
    return _flat(split, root, names, [spelling.get(str(f), str(f)) for f in found]), labels


def _no_label(
    without: Sequence[str], names: Sequence[str], labels: Labels, split: SplitLayout
) -> DataError:
    known = sorted(labels.by_stem)
    if len(without) == 1:
        what = f"the image {shown(without[0])} has no label"
    else:
        what = f"{len(without):,} of {len(names):,} images have no label: {shown_all(without)}"
    return DataError(
        what,
        where=split.folder.path,
        expected=f"one of the {len(known):,} images of {labels.source}, such as {shown(known[0])}",
        remedy="give the label file of these images, or move the images away",
    )


def _refuse_labels(val_labels: Path | None, order: Order | None) -> None:
    given = [
        *(["--val-labels"] if val_labels else []),
        *(["--class-order"] if order else []),
    ]
    if given:
        raise UsageError(
            f"{' and '.join(given)} would not be used: the validation images lie in class folders",
            expected="labels for validation images that lie side by side",
            remedy=f"leave {' and '.join(given)} out, or take the images out of the folders",
        )


def _refuse_other_classes(
    train: Sequence[str], val: Sequence[str], folders: SplitFolders, by: str
) -> None:
    only_val = sorted(set(val) - set(train))
    only_train = sorted(set(train) - set(val))
    if folders.val.is_flat and only_val:
        raise DataError(
            f"validation images belong to {len(only_val)} classes that train lacks: "
            f"{shown_all(only_val)}" + (f", by {by}" if by else ""),
            where=str(folders.place.folder),
            expected="a class folder in train for every class",
            remedy="add the missing classes, or give the labels of these images with "
            "`harness prepare --val-labels FILE`",
        )
    pairs = (("train", train, only_train, only_val, folders.val),
             ("val", val, only_val, only_train, folders.train))  # fmt: skip
    for here, every, only, other, there in pairs:
        if only:
            also = f"; {there.split} alone has {shown_all(other)}" if other else ""
            packed = any(f"{name}.tar" in there.others for name in only)
            raise DataError(
                f"{len(only)} of {len(every)} classes of {here} have no image in {there.split}: "
                f"{shown_all(only)}{also}{_same_but_case(only_train, only_val)}",
                where=there.folder.path,
                expected="the same class folders in train and val",
                remedy=f"they are still packed: {unpack_classes(Path(there.top.path))}"
                if packed
                else "add the missing class folders or take the surplus ones away",
            )


def _same_but_case(only_train: Sequence[str], only_val: Sequence[str]) -> str:
    small = {name.casefold(): name for name in only_val}
    pair = next(((n, small[n.casefold()]) for n in only_train if n.casefold() in small), None)
    return f"; {shown(pair[0])} and {shown(pair[1])} differ in case" if pair else ""


def _listing(train: Sequence[_Part], val: Sequence[_Part], classes: Sequence[str]) -> Listing:
    number: Mapping[str, int] = {name: label for label, name in enumerate(classes)}
    parts = [*train, *val]
    return Listing(
        paths=pa.concat_arrays([_paths(part) for part in parts]),
        names=pa.concat_arrays([part.names for part in parts]),
        labels=np.concatenate([_labels(part, number) for part in parts]),
        in_val=np.repeat([part.in_val for part in parts], [len(part.images) for part in parts]),
        size_bytes=np.concatenate([part.images.size_bytes for part in parts]),
        mtime_ns=np.concatenate([part.images.mtime_ns for part in parts]),
    )


def _paths(part: _Part) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(part.prefix), part.images.names, "/")


def _labels(part: _Part, number: Mapping[str, int]) -> np.ndarray:
    if isinstance(part.classes, str):
        return np.full(len(part.images), number[part.classes], np.int32)
    return np.array([number[name] for name in part.classes], np.int32)
