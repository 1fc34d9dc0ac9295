"""Where images come from: what is to be inspected, as columns or one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.frozen import Frozen

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, SplitName] = ("train", "val")


class Truth(Frozen):
    """One published fact about a data set, ImageNet or another, and what this one has."""

    fact: str
    expected: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image to inspect.

    Attributes:
        split: train or val.
        class_name: name of its class.
        path: its file, relative to the source's root.
        size_bytes: the file's size.
        mtime_ns: the file's time of last change.
        name: in the data set, where the file's own name is another one.
    """

    split: SplitName
    class_name: str
    path: str
    size_bytes: int
    mtime_ns: int
    name: str = ""

    @property
    def id(self) -> str:
        """Name within the data set, independent of the layout on disk."""
        name = self.name or self.path.rsplit("/", 1)[-1]
        return f"{self.split}/{self.class_name}/{name}"


@dataclass(frozen=True)
class Listing:
    """Image files of both splits as columns: a million of them fit into 100 MB.

    Attributes:
        paths: strings [n], relative to the source's root.
        names: strings [n], in the data set.
        labels: int32 [n], in the source's class order.
        in_val: bool [n].
        size_bytes: int64 [n].
        mtime_ns: int64 [n].
    """

    paths: pa.Array
    names: pa.Array
    labels: np.ndarray
    in_val: np.ndarray
    size_bytes: np.ndarray
    mtime_ns: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def ids(self, classes: tuple[str, ...]) -> pa.Array:
        """Names within the data set, see `SourceImage.id`."""
        split = pa.array(["train", "val"]).take(pa.array(self.in_val.astype(np.int8)))
        folders = pa.array(classes, pa.string()).take(pa.array(self.labels))
        return pc.binary_join_element_wise(split, folders, self.names, "/")


@dataclass(frozen=True)
class Source:
    """A listed source.

    Attributes:
        kind: how it is laid out.
        root: the folder that paths are relative to.
        listing: its images.
        classes: in label order.
        notes: what lies there and is not used, as sentences for a person.
    """

    kind: str
    root: Path
    listing: Listing
    classes: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def origin(self) -> Path:
        """The images' folder is what was given."""
        return self.root

    @property
    def size_bytes(self) -> int:
        """Bytes of all images."""
        return int(self.listing.size_bytes.sum())

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.listing)

    @property
    def images(self) -> Iterator[SourceImage]:
        """Every image, one by one."""
        return self.chosen(np.arange(len(self.listing)))

    def chosen(self, places: np.ndarray) -> Iterator[SourceImage]:
        """The images at some places of the listing, one by one.

        Args:
            places: integers [k].
        """
        listed = self.listing
        for place in places.tolist():
            yield SourceImage(
                split=SPLITS[int(listed.in_val[place])],
                class_name=self.classes[listed.labels[place]],
                path=listed.paths[place].as_py(),
                size_bytes=int(listed.size_bytes[place]),
                mtime_ns=int(listed.mtime_ns[place]),
                name=listed.names[place].as_py(),
            )

    def items(self, _on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, None]]:
        """Every image, without its bytes: they are read where they lie."""
        return ((image, None) for image in self.images)


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
