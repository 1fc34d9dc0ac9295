"""What a split's folder means: class folders, or images side by side. Pure, from a listing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from harness.errors import DataError
from harness.sources.folders.hints import BACKSLASHES
from harness.sources.folders.names import normal, shown, shown_all
from harness.sources.folders.tree import Folder


@dataclass(frozen=True)
class SplitLayout:
    """One split as read.

    Attributes:
        folder: the split's own, or the one inside it that holds everything.
        classes: the folder with the images of each class, by class name; empty where
            the images lie side by side.
        top: the split's own folder.
        others: what lies there and is no image, relative to `top`.
    """

    split: str
    folder: Folder
    classes: Mapping[str, Folder]
    top: Folder
    others: tuple[str, ...]

    def unused(self, used: str) -> tuple[str, ...]:
        """The same as a sentence for a person; `used` is where labels were found."""
        found = [name for name in self.others if not used.startswith(f"{self.top.path}/{name}")]
        if not found:
            return ()
        return (f"{_many(len(found), 'entry', 'entries')} in {self.top.name}/: {shown_all(found)}",)

    @property
    def is_flat(self) -> bool:
        """Whether the images lie side by side, without class folders."""
        return not self.classes

    @property
    def count(self) -> int:
        """Images."""
        folders = self.classes.values() or (self.folder,)
        return sum(len(folder.images) for folder in folders)


def read_split(top: Folder, split: str, known: Iterable[str] | None = None) -> SplitLayout | None:
    """Decide what a split's folder means; None where there is no image.

    Args:
        top: the split's folder as listed.
        split: which split it is.
        known: classes of the other split, where they are known already. A class
            folder that is theirs in another spelling of the same letters gets
            their spelling.

    Raises:
        DataError: images lie beside class folders, in deeper folders or under a
            name that is no image's; a class has no image.
    """
    spelling = {normal(name): name for name in known or ()}
    _refuse_unnamed(top)
    folder = _unwrapped(top, spelling)
    with_images = [below for below in folder.folders if below.count]
    if not with_images:
        _refuse_backslashes(folder)
        return SplitLayout(split, folder, {}, top, _others(top, ())) if folder.count else None
    if len(folder.images):
        raise DataError(
            f"{split} has {_many(len(with_images), 'class folder')} and "
            f"{_many(len(folder.images), 'image')} beside them: "
            f"{shown_all(folder.images.names.slice(0, 6).to_pylist())}",
            where=folder.path,
            expected="images in class folders, or all of them side by side with a label file",
            remedy="move these images into their class folders, or away",
        )
    _refuse_empty(folder, split, spelling)
    _refuse_deeper(with_images, split)
    by_letters: dict[str, Folder] = {}
    for below in with_images:
        first = by_letters.setdefault(normal(below.name), below)
        if first is not below:
            raise _two_spellings(first, below, split)
    classes = {
        spelling.get(letters, below.name): _innermost(below)
        for letters, below in by_letters.items()
    }
    return SplitLayout(split, folder, classes, top, _others(top, classes.values()))


def _unwrapped(top: Folder, spelling: Mapping[str, str]) -> Folder:
    """The folder inside that holds everything: `train/train/<class>`, `val/images/*.jpg`."""
    folder = top
    while not len(folder.images):
        inside = [below for below in folder.folders if below.count]
        empty = [below for below in folder.folders if not _files(below)]
        if len(inside) != 1 or empty or normal(inside[0].name) in spelling:
            break
        if len(inside[0].images) and not spelling:
            break  # a class by itself
        folder = inside[0]
    return folder


def _files(folder: Folder) -> int:
    return sum(len(f.images) + len(f.others) for f in folder.walk())


def _refuse_unnamed(top: Folder) -> None:
    found = [f"{folder.path}/{name}" for folder in top.walk() for name in folder.unnamed]
    if found:
        raise DataError(
            f"{_many(len(found), 'file')} hold{'' if len(found) > 1 else 's'} an image and "
            f"{'are' if len(found) > 1 else 'is'} not named like one: "
            f"{shown_all(path.rsplit('/', 1)[-1] for path in found)}",
            where=found[0],
            expected="images with a usual suffix, such as .jpg or .JPEG",
            remedy="rename them if they belong to the data set, or move them away",
        )


def _refuse_backslashes(folder: Folder) -> None:
    found = folder.images.names.filter(pc.match_substring(folder.images.names, "\\"))
    if len(found):
        names = shown_all(found.to_pylist())
        raise DataError(
            f"the names of {_many(len(found), 'image')} hold backslashes: {names}",
            where=folder.path,
            expected="images in class folders, or side by side",
            remedy=BACKSLASHES,
        )


def _refuse_empty(folder: Folder, split: str, spelling: Mapping[str, str]) -> None:
    empty = [
        below
        for below in folder.folders
        if not below.count and (not _files(below) or normal(below.name) in spelling)
    ]
    if empty:
        names = shown_all(below.name for below in empty)
        one = len(empty) == 1
        raise DataError(
            f"the class {names} has no images in {split}"
            if one
            else f"{len(empty):,} classes have no images in {split}: {names}",
            where=empty[0].path,
            expected="at least one image file per class" + _lies_there(empty[0]),
            remedy="put its images there, or remove the folder",
        )


def _lies_there(folder: Folder) -> str:
    return f"; there is {shown_all(folder.others)}" if folder.others else ""


def _refuse_deeper(folders: list[Folder], split: str) -> None:
    """Images of one class in more than one folder: whether they all belong to it is not known."""
    torn = [below for below in folders if _innermost(below).count != len(_innermost(below).images)]
    if not torn:
        return
    first = _innermost(torn[0])
    deeper = [below for below in first.folders if below.count]
    count = sum(below.count for folder in torn for below in _innermost(folder).folders)
    inside = ", ".join(f"{shown(below.name)} ({below.count:,})" for below in deeper[:3])
    more = f" and {len(deeper) - 3:,} more" if len(deeper) > 3 else ""
    raise DataError(
        f"{_many(count, 'image')} of {_many(len(torn), 'class folder')} in {split} lie in deeper "
        f"folders; {shown(torn[0].name)} has {_many(len(first.images), 'image')} itself and "
        f"these in {inside}{more}",
        where=first.path,
        expected=f"{split}/<class>/<images>, all images of a class in one folder",
        remedy="move them into the class folder if they belong to it, else away; where the deeper "
        "folders are the classes, move those up, or name each image with its label in "
        "--train-list and --val-list of `harness prepare`",
    )


def _innermost(folder: Folder) -> Folder:
    """The only folder with images inside a class folder, such as `<class>/images`."""
    while not len(folder.images):
        inside = [below for below in folder.folders if below.count]
        if len(inside) != 1:
            break
        folder = inside[0]
    return folder


def _two_spellings(first: Folder, second: Folder, split: str) -> DataError:
    return DataError(
        f"two class folders of {split} have the same name in different bytes: "
        f"{first.name!a} and {second.name!a}",
        where=second.path,
        expected="one folder for each class",
        remedy="move the images of both into one of them",
    )


def _others(top: Folder, classes: Iterable[Folder]) -> tuple[str, ...]:
    """Files that are no images, and folders without any file that are no class."""
    used = {folder.path for folder in classes}
    files = [f"{f.path}/{name}"[len(top.path) + 1 :] for f in top.walk() for name in f.others]
    idle = [f"{f.name}/" for f in top.folders if f.path not in used and not _files(f)]
    return (*files, *idle)


def _many(number: int, one: str, more: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"
