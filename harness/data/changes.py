"""How a data set differs from an earlier state of it, image by image, from both manifests."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from harness.data.dataset import DataSet
from harness.data.manifest import (
    MANIFEST,
    earlier_manifest,
    read_description,
    read_manifest,
    read_rows,
)
from harness.errors import DataError
from harness.record.journal import Journal
from harness.record.schema import DataIdentity
from harness.sources.folders.names import shown

NAMED = 10
"""Images that are named of each kind."""

CLASSES_NAMED = 5
COLUMNS = ["id", "sha256", "path"]


@dataclass(frozen=True)
class ImageSample:
    """Some images: how many, and the paths of the first."""

    count: int
    first: tuple[str, ...]

    @classmethod
    def of(cls, rows: pa.Table) -> "ImageSample":
        """Those of a manifest's rows."""
        return cls(len(rows), tuple(rows["path"].slice(0, NAMED).to_pylist()))


@dataclass(frozen=True)
class Changes:
    """What became of a data set.

    Attributes:
        changed: same name, other content.
        vanished: in the earlier manifest only.
        came: in the later manifest only.
        moved: how many of those that came have the content of one that vanished.
    """

    changed: ImageSample
    vanished: ImageSample
    came: ImageSample
    moved: int

    def text(self) -> str:
        """Counts in one line, then a line for each kind."""
        kinds = [("changed", self.changed), ("vanished", self.vanished), ("came", self.came)]
        present = [(word, images) for word, images in kinds if images.count]
        counts = ", ".join(f"{images.count:,} {word}" for word, images in present)
        if self.moved:
            counts += f"; {self.moved:,} of those that came have the content of one that vanished"
        lines = [f"of its images {counts or 'none differ, only their order or classes'}"]
        for word, images in present:
            more = f" and {images.count - NAMED:,} more" if images.count > NAMED else ""
            lines.append(f"    {word}: {', '.join(map(shown, images.first))}{more}")
        return "\n".join(lines)


def changes_between(before: pa.Table, after: pa.Table) -> Changes:
    """Compare two manifests' rows (`COLUMNS`), each sorted by id."""
    before, after = before.combine_chunks(), after.combine_chunks()
    place = pc.index_in(after["id"], value_set=before["id"].combine_chunks())
    shared = after.filter(pc.is_valid(place))
    earlier = before["sha256"].take(place.drop_null())
    vanished = before.filter(
        pc.invert(pc.is_in(before["id"], value_set=after["id"].combine_chunks()))
    )
    came = after.filter(pc.is_null(place))
    moved = pc.sum(pc.is_in(came["sha256"], value_set=vanished["sha256"].combine_chunks()))
    return Changes(
        changed=ImageSample.of(shared.filter(pc.not_equal(shared["sha256"], earlier))),
        vanished=ImageSample.of(vanished),
        came=ImageSample.of(came),
        moved=int(moved.as_py() or 0),
    )


def changes_since(root_digest: str, folder: Path, others: Iterable[Path] = ()) -> Changes | None:
    """How the data set of a prepared folder differs from the one with another root digest.

    Args:
        root_digest: of the earlier state.
        folder: of the later state.
        others: more folders that may hold the earlier manifest.

    Returns:
        None where no manifest of the earlier state is kept.
    """
    for place in dict.fromkeys((folder, *others)):
        file = _manifest_of(root_digest, place)
        if file is not None:
            try:
                return changes_between(read_rows(file, COLUMNS), read_manifest(folder, COLUMNS))
            except DataError:
                continue  # a damaged manifest says nothing
    return None


def _manifest_of(root_digest: str, folder: Path) -> Path | None:
    kept = earlier_manifest(folder, root_digest)
    if kept.exists():
        return kept
    try:
        same = read_description(folder).identity.root_digest == root_digest
    except DataError:
        return None
    return folder / MANIFEST if same else None


def check_same_data(journal: Journal, data: DataSet, path: Path, manifests: Path) -> None:
    """Refuse to go on with other images or labels than those that a run began with.

    Args:
        journal: of the run.
        data: as opened now.
        path: the folder that was named.
        manifests: where manifests of plain folders are kept; one of the earlier
            state may be among them.

    Raises:
        DataError: images changed, vanished or came; the first of each are named. Or the
            classes count in another order.
    """
    recorded, now = journal.started.data, data.identity
    if recorded.root_digest == now.root_digest:
        _check_order(recorded.classes, now.classes, path, journal)
        return
    others = sorted(p.parent for p in manifests.glob("*/dataset.json"))
    changes = changes_since(recorded.root_digest, data.root, others)
    what = changes.text() if changes else _by_counts(recorded, now)
    raise DataError(
        f"the data is not what the run began with: {what}",
        where=str(path),
        expected=f"root {recorded.root_digest}, recorded by the run in {journal.path.parent}; "
        f"the root is now {now.root_digest}",
        remedy="restore the data, then give the same command again: it continues exactly; to train "
        "on the data as it is now, begin a run of its own with another --runs",
    )


def _check_order(
    before: tuple[str, ...], now: tuple[str, ...], path: Path, journal: Journal
) -> None:
    """The root covers the names of the classes and not their numbers."""
    if before == now:
        return
    label, old, new = next(
        (n, *pair) for n, pair in enumerate(zip(before, now, strict=False)) if pair[0] != pair[1]
    )
    raise DataError(
        f"the classes count in another order than the run began with: label {label} was "
        f"{shown(old)} and is {shown(new)}",
        where=str(path),
        expected=f"the order that the run in {journal.path.parent} recorded",
        remedy="name the data folder that the run began with; to train in the new order, begin a "
        "run of its own with another --runs",
    )


def _by_counts(recorded: DataIdentity, now: DataIdentity) -> str:
    """What identities tell; no manifest of the earlier state is at hand."""
    before = f"{recorded.train_images:,} training and {recorded.val_images:,} validation images"
    after = f"{now.train_images:,} and {now.val_images:,}"
    text = f"it had {before} in {len(recorded.classes):,} classes, now {after} in "
    text += f"{len(now.classes):,}"
    gone = sorted(set(recorded.classes) - set(now.classes))[:CLASSES_NAMED]
    came = sorted(set(now.classes) - set(recorded.classes))[:CLASSES_NAMED]
    text += f"; classes that vanished: {', '.join(gone)}" if gone else ""
    text += f"; classes that came: {', '.join(came)}" if came else ""
    return text + "; which images is not known: no manifest of the earlier state is kept"
