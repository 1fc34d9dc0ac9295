"""Open a data set: a prepared folder, or a plain one whose manifest is then made and kept."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.building import build
from harness.data.dataset import Channels, DataSet, Split
from harness.data.known_rows import rows_of
from harness.data.manifest import (
    DESCRIPTION,
    DIGEST_COLUMNS,
    Description,
    read_description,
    read_manifest,
    root_digest,
)
from harness.data.moved import images_root
from harness.data.string_column import Texts
from harness.errors import DataError
from harness.files import make_folder
from harness.progress import SILENT, Progress
from harness.record.schema import DataDecisions
from harness.sources.detection import find_folder
from harness.sources.source import Source
from harness.system.folders import alone


@dataclass(frozen=True)
class FoundData:
    """What lies at a path, looked at once: a million files take seconds to list.

    Attributes:
        path: as it was named, resolved.
        description: of a folder that `harness prepare` made.
        source: listed images of any other folder.
    """

    path: Path
    description: Description | None
    source: Source | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What lies there and is not used."""
        return self.source.notes if self.source else ()


def find_dataset(path: Path, *, progress: Progress = SILENT) -> FoundData:
    """Look at a data folder: read its description, or list it.

    Args:
        path: a folder written by `harness prepare`, or one whose images are read
            where they are; docs/data.md says what is understood.
        progress: where the listing is shown.

    Raises:
        DataError: no data set, or one that has to be prepared.
    """
    path = path.resolve()
    if (path / DESCRIPTION).exists():
        return FoundData(path, read_description(path), None)
    with progress.work("listing images", unit="files") as shown:
        return FoundData(path, None, find_folder(path, on_files=shown.add))


def open_dataset(path: Path, *, manifests: Path, progress: Progress = SILENT) -> DataSet:
    """Open `path` for training or evaluation; see `find_dataset` and `open_found`."""
    return open_found(find_dataset(path, progress=progress), manifests=manifests, progress=progress)


def open_found(found: FoundData, *, manifests: Path, progress: Progress = SILENT) -> DataSet:
    """Open what was found.

    Args:
        found: by `find_dataset`.
        manifests: where the manifest of a plain folder is made and kept.
        progress: where the making of a manifest is shown.

    Raises:
        DataError: files missing or changed, or images that cannot be read.
    """
    if found.source is None:
        return load(found.path, progress=progress)
    kept = kept_folder(found.path, manifests)
    with progress.work("comparing the files with their manifest"):
        rows = rows_of(kept, found.source, COLUMNS)
    if rows is None:
        with alone_in(kept, progress):
            # Whoever held the folder before may have made the manifest.
            if rows_of(kept, found.source) is None:
                build(found.source, kept, progress=progress)
    data = load(kept, rows, progress=progress)
    del rows
    _release()
    return data


def kept_folder(path: Path, manifests: Path) -> Path:
    """Where the manifest of a plain folder is kept."""
    return manifests / f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


@contextmanager
def alone_in(kept: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other process makes this manifest: the jobs of a study begin together."""
    make_folder(kept)
    with ExitStack() as held:
        with progress.work("waiting for another process that makes the manifest"):
            held.enter_context(alone(kept / ".lock"))
        yield


def load(folder: Path, rows: pa.Table | None = None, *, progress: Progress = SILENT) -> DataSet:
    """Load a prepared folder.

    Args:
        folder: its manifest's.
        rows: of the manifest, `COLUMNS` at least, where they were read already.
        progress: where the reading is shown.

    Raises:
        DataError: the manifest is damaged, images in it were refused, or they are
            not where they were.
    """
    description = read_description(folder)
    with progress.work("reading the manifest"):
        rows = read_manifest(folder, COLUMNS) if rows is None else rows
        _check_root(rows, description, folder)
        _check_labels(rows, description, folder)
        if description.refused:
            raise _refused_error(description, folder)
        data = _load(rows.drop_columns(["class", "sha256"]), description, folder)
        del rows
    _release()
    return data


def _release() -> None:
    """What reading needed for a while goes back to the system: hundreds of MB for ImageNet."""
    pa.default_memory_pool().release_unused()


def _load(rows: pa.Table, description: Description, folder: Path) -> DataSet:
    rows = rows.combine_chunks()
    _refuse_outside(rows, folder)
    in_train = int(pc.sum(pc.equal(rows["split"], "train")).as_py() or 0)
    # Rows are sorted by id, so training rows come first: two slices, no copies.
    parts = rows.slice(0, in_train), rows.slice(in_train)
    root = images_root(description, folder, rows)
    splits = [_split(part, root, folder) for part in parts]
    identity = description.identity
    return DataSet(
        root=folder,
        train=splits[0],
        val=splits[1],
        classes=identity.classes,
        class_order=identity.class_order,
        identity=identity,
        decisions=DataDecisions(
            as_is=description.as_is, converted=description.converted, turned=description.turned
        ),
    )


def _refuse_outside(rows: pa.Table, folder: Path) -> None:
    """A prepared folder of somebody else's must not make any other file an image."""
    for column in ("path", "converted"):
        names = rows[column]
        if not pc.any(pc.or_(pc.match_substring(names, ".."), pc.starts_with(names, "/"))).as_py():
            continue  # nearly always, and four times as fast
        bad = pc.match_substring_regex(names, OUTSIDE)
        if pc.any(bad).as_py():
            name = rows.filter(bad)[column][0].as_py()
            raise DataError(
                f"the manifest names a file outside of the images' folder: {name!r}",
                where=str(folder),
                expected="paths below it, without `..`",
                remedy="do not use this folder: it was not made by `harness prepare`",
            )


def refused_images(folder: Path, limit: int) -> tuple[tuple[str, str], ...]:
    """Id and reason of the first refused images of a prepared folder."""
    rows = read_manifest(folder, ["id", "decision", "reason"])
    refused = rows.filter(pc.equal(rows["decision"], "refused")).slice(0, limit)
    return tuple((row["id"], row["reason"]) for row in refused.to_pylist())


OUTSIDE = r"^/|(^|/)\.\.(/|$)"
COLUMNS = [*DIGEST_COLUMNS, "split", "label", "path", "width", "height", "orientation",
           "converted", "farmhash64", "colour_model"]  # fmt: skip


def _split(part: pa.Table, root: Path, folder: Path) -> Split:
    ids = part["id"].chunk(0) if len(part) else pa.array([], pa.string())
    return Split(
        ids=Texts(ids),
        paths=_paths(part, ids, root, folder),
        labels=part["label"].to_numpy(),
        farmhash64=part["farmhash64"].to_numpy(),
        heights=part["height"].to_numpy(),
        widths=part["width"].to_numpy(),
        orientations=part["orientation"].to_numpy(),
        channels=_channels(part),
    )


def _channels(part: pa.Table) -> Channels:
    """What the rows say; `colour_model` is the original's, and every converted copy is RGB."""
    grey = pc.and_(pc.equal(part["colour_model"], "grey"), pc.is_null(part["converted"]))
    found = pc.min_max(grey).as_py()
    if found["min"] != found["max"]:
        return "mixed"
    return 1 if found["max"] else 3


def _paths(part: pa.Table, ids: pa.Array, root: Path, folder: Path) -> Texts:
    """Absolute paths; where they end as the ids do, the same buffer serves both."""
    prefixes = (f"{root}/", f"{folder}/")
    is_copy = pc.is_valid(part["converted"]).to_numpy().astype(np.uint8)
    ends = pc.coalesce(part["converted"], part["path"])
    if ends.equals(part["id"]):
        return Texts(ids, prefixes, is_copy)
    return Texts(pa.concat_arrays(ends.chunks), prefixes, is_copy)


def _check_root(rows: pa.Table, description: Description, folder: Path) -> None:
    found = root_digest(rows)
    if found != description.identity.root_digest:
        raise DataError(
            f"the manifest's root digest is {found}",
            where=str(folder),
            expected=f"{description.identity.root_digest}, as dataset.json says",
            remedy="the manifest was altered: prepare the data set again",
        )


def _check_labels(rows: pa.Table, description: Description, folder: Path) -> None:
    """The root covers classes by name: a label must be its class's place among them."""
    classes, labels = description.identity.classes, rows["label"].to_numpy()
    known = (labels >= 0) & (labels < len(classes))
    if known.all():
        told = pa.array(classes, pa.string()).take(rows["label"].combine_chunks())
        known = pc.equal(rows["class"], told).to_numpy()
    if not known.all():
        wrong = np.flatnonzero(~known)
        raise DataError(
            f"the manifest gives {len(wrong):,} images another label than their class has, such as "
            f"{rows['id'][int(wrong[0])].as_py()}",
            where=str(folder),
            expected="the place of the image's class among those of dataset.json",
            remedy="the manifest was altered: prepare the data set again",
        )


def _refused_error(description: Description, folder: Path) -> DataError:
    named = [f"{name}: {reason}" for name, reason in refused_images(folder, 5)]
    return DataError(
        f"{description.refused} images cannot be read\n    " + "\n    ".join(named),
        where=str(folder / description.images_root),
        expected="every file an image that decodes",
        remedy="replace or remove these files, then give the same command again; a folder made by "
        "`harness prepare` has to be prepared again",
    )
