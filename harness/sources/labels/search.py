"""Label files that lie beside the images: Kaggle's CSV, the development kit, packed or not."""

import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from harness.errors import DataError
from harness.sources.class_order import Order
from harness.sources.folders.names import shown, stem, without_wnid_behind
from harness.sources.folders.places import Place
from harness.sources.folders.tree import entries_if_readable
from harness.sources.labels.files import (
    GROUND_TRUTH,
    KAGGLE_LABELS,
    labels_of_rows,
    read_val_labels,
)
from harness.sources.labels.numbers import published_val_labels
from harness.sources.labels.text import read_rows, rows_of

DEVKIT_TAR = "ILSVRC2012_devkit_t12.tar.gz"
OWN_LIST = "val_annotations.txt"
"""Tiny ImageNet's, in its val folder."""

LABEL_FILES = (KAGGLE_LABELS, OWN_LIST, GROUND_TRUTH, DEVKIT_TAR)
PUBLISHED = "ImageNet's published labels, which come with this program"
_ABOVE_KAGGLE = 3
_DEEPEST = 5
_MOST_ENTRIES = 5_000
"""A folder with more entries than this holds images and no development kit."""


@dataclass(frozen=True)
class Labels:
    """Labels and where they come from.

    Attributes:
        by_stem: class by image name, without folders and suffix.
        source: file, or words.
        kaggle: whether they are Kaggle's.
    """

    by_stem: Mapping[str, str]
    source: str
    kaggle: bool = False

    def of(self, name: str) -> str | None:
        """The label of an image by its file's name."""
        own = stem(name)
        return self.by_stem.get(own) or self.by_stem.get(stem(without_wnid_behind(name)))


def find_labels(
    given: Path,
    place: Place,
    names: Collection[str],
    *,
    told: Path | None,
    order: Order | None,
    classes: Collection[str] = (),
    beside: Collection[Path] = (),
) -> Labels:
    """Labels of validation images that lie side by side.

    The file that the user names; else what lies beside the images; else, for
    ImageNet's images, the published labels.

    Args:
        given: the folder that was named.
        place: the folder with the images, at or below it.
        names: of the image files; empty where they are not known yet.
        told: a label file.
        order: class order of numbers.
        classes: names of training classes.
        beside: files among the images that are none.

    Raises:
        DataError: there is none, several disagree, or one cannot be read.
    """
    if told is not None:
        return Labels(read_val_labels(told, order, classes), str(told))
    files = (*_files(given, place), *(file for file in beside if file.name in LABEL_FILES))
    found = [_read(file, order, classes) for file in dict.fromkeys(files)]
    whole = [labels for labels in found if all(labels.of(name) for name in names)]
    for labels in whole[1:]:
        _refuse_other(whole[0], labels, names)
    if whole:
        return whole[0]
    published = Labels(published_val_labels(), PUBLISHED)
    if all(published.of(name) for name in names):
        _refuse_order(order)
        return published
    if found or any(published.of(name) for name in names):
        return (*found, published)[0]
    lists = [f for f in (*map(Path, (e.path for e in place.entries)), *beside) if _is_list(f)]
    raise DataError(
        f"{len(names):,} validation images lie side by side and nothing says their classes, as of "
        f"{shown(min(names))}",
        where=str(place.folder),
        expected=f"class folders, a label file, {KAGGLE_LABELS} or the development kit beside "
        "them, or ImageNet's file names",
        remedy=f"prepare the folder with --val-labels {quote(str(lists[0])) if lists else 'FILE'}, "
        "or sort the "
        "images into class folders",
    )


def _is_list(file: Path) -> bool:
    """Whether it may hold labels, by its name."""
    return file.suffix.lower() in {".txt", ".csv", ".tsv"} and "readme" not in file.name.lower()


def _files(given: Path, place: Place) -> Iterator[Path]:
    for folder in _around(given, place.folder):
        if (file := folder / KAGGLE_LABELS).is_file():
            yield file
    yield from _development_kits(given, place)


def _around(given: Path, folder: Path) -> Iterator[Path]:
    """The folders from the images' own up to the one that was named, in Kaggle's tree above it."""
    above = (folder, *folder.parents)
    if folder.name.casefold() == "cls-loc":
        yield from above[: _ABOVE_KAGGLE + 1]
    for place in above:
        yield place
        if place == given:
            return


def _development_kits(given: Path, place: Place) -> Iterator[Path]:
    images = {*place.train, *place.val, *place.test}
    level = [given]
    for _ in range(_DEEPEST + 1):
        below = []
        for folder in level:
            entries = entries_if_readable(folder)
            if len(entries) > _MOST_ENTRIES:
                continue
            files = {entry.name for entry in entries if not entry.is_folder}
            yield from (folder / name for name in (GROUND_TRUTH, DEVKIT_TAR) if name in files)
            below += [Path(entry.path) for entry in entries if entry.is_folder]
        level = [folder for folder in below if folder not in images]


def _read(file: Path, order: Order | None, classes: Collection[str]) -> Labels:
    if file.name == DEVKIT_TAR:
        inside = f"{file}, {GROUND_TRUTH}"
        rows = rows_of(_packed_truth(file), inside)
    else:
        inside, rows = str(file), read_rows(file)
    kaggle = file.name == KAGGLE_LABELS
    return Labels(labels_of_rows(rows, inside, order, classes), inside, kaggle)


def _packed_truth(path: Path) -> bytes:
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile() and member.name.rsplit("/", 1)[-1] == GROUND_TRUTH:
                    content = tar.extractfile(member)
                    if content is not None:
                        return content.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(
            f"the development kit cannot be read: {error}",
            where=str(path),
            expected="ILSVRC2012's development kit as published",
            remedy="download it again, or move it away: the labels of ImageNet's own images are "
            "known without it",
        ) from error
    raise DataError(
        f"the development kit holds no {GROUND_TRUTH}",
        where=str(path),
        expected="ILSVRC2012's development kit for tasks 1 and 2",
        remedy="move it away: the labels of ImageNet's own images are known without it",
    )


def _refuse_other(one: Labels, other: Labels, names: Collection[str]) -> None:
    differ = [name for name in sorted(names) if one.of(name) != other.of(name)]
    if differ:
        raise DataError(
            f"two label files disagree on {len(differ):,} of {len(names):,} images; "
            f"{shown(differ[0])} is {one.of(differ[0])} in one and {other.of(differ[0])} in the "
            "other",
            where=f"{one.source} and {other.source}",
            expected="one class for each image",
            remedy="prepare the folder with --val-labels and the file that is right",
        )


def _refuse_order(order: Order | None) -> None:
    if order is not None:
        raise DataError(
            "--class-order is given and not needed: no label file with numbers is read",
            expected=f"--class-order with labels that are numbers; these are {PUBLISHED}",
            remedy="leave --class-order out, or give --val-labels too",
        )
