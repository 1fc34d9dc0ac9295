"""Open a data set: a prepared folder, or a plain one whose manifest is then made and kept."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.class_order import class_orders
from harness.data.dataset import Channels, DataSet, Split
from harness.data.imagenet_facts import images_per_class, kind_of, known_truths
from harness.data.manifest import (
    DESCRIPTION,
    Description,
    Truth,
    read_description,
    read_manifest,
    root_digest,
    stored_root_digest,
    write_manifest,
)
from harness.data.manifest_rows import OnProgress, Preparation, remove_parts
from harness.data.sources.detection import find_folder
from harness.data.sources.pixel_source import PixelSource
from harness.data.sources.source import SPLITS, ImageSource, Source
from harness.data.string_column import Texts
from harness.errors import DataError
from harness.files import make_folder
from harness.measure.machine import usable_cores
from harness.record.schema import DataDecisions, DataIdentity
from harness.system.folders import alone


def open_dataset(path: Path, *, manifests: Path) -> DataSet:
    """Open `path` for training or evaluation.

    Args:
        path: a folder written by `harness prepare`, or one whose images are read
            where they are: `train/<class>/*` and `val/<class>/*`, a flat `val`
            with known labels, or Kaggle's layout.
        manifests: where the manifest of a plain folder is made and kept.

    Raises:
        DataError: no data set, files missing or changed, or images that cannot be read.
    """
    path = path.resolve()
    if (path / DESCRIPTION).exists():
        return load(path)
    source = find_folder(path)
    kept = manifests / f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if not _describes(kept, source):
        with _alone_in(kept):
            # Whoever held the folder before may have made the manifest.
            if not _describes(kept, source):
                build(source, kept)
    return load(kept)


@contextmanager
def _alone_in(kept: Path) -> Iterator[None]:
    """Wait until no other process makes this manifest: the jobs of a study begin together."""
    make_folder(kept)
    with alone(kept / ".lock"):
        yield


def build(
    source: ImageSource,
    out: Path,
    *,
    workers: int | None = None,
    rehash: bool = False,
    decode: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Description:
    """Inspect a source and write its manifest and description to `out`.

    Args:
        source: the images.
        out: folder for the manifest and converted copies.
        workers: threads; None takes one per core.
        rehash: inspect everything anew, whatever an earlier preparation knows.
        decode: decode every image, not only its header; inspects everything anew.
        on_progress: called as images are done.

    Raises:
        DataError: a file cannot be read, two images have one id, or a class has
            no image in a split.
        MachineError: the disk is full or `out` cannot be written.
    """
    make_folder(out)  # told now and not after hours of hashing
    rows = Preparation(
        source,
        out,
        workers=workers or usable_cores(),
        rehash=rehash,
        decode=decode,
        on_progress=on_progress,
    ).rows()
    _refuse_doubles(rows, source)
    _refuse_empty_classes(rows, source)
    digest = root_digest(rows)
    classes = source.classes
    name, kind, truths = _named(source, rows, digest)
    decisions = dict(zip(*np.unique(rows["decision"].to_numpy(), return_counts=True), strict=True))
    description = Description(
        identity=DataIdentity(
            name=name,
            kind=kind,
            root_digest=digest,
            train_images=int(pc.sum(pc.equal(rows["split"], "train")).as_py()),
            val_images=int(pc.sum(pc.equal(rows["split"], "val")).as_py()),
            classes=classes,
            class_order="wordnet" if classes == class_orders().wnids else "folder",
        ),
        source=source.kind,
        images_root=str(source.root),
        as_is=int(decisions.get("as_is", 0)),
        converted=int(decisions.get("converted", 0)),
        refused=int(decisions.get("refused", 0)),
        turned=int(pc.sum(pc.greater(rows["source_orientation"], 1)).as_py() or 0),
        truths=truths,
    )
    write_manifest(rows, description, out)
    remove_parts(out)
    return description


def _named(source: ImageSource, rows: pa.Table, digest: str) -> tuple[str, str, tuple[Truth, ...]]:
    """A data set's name and kind, and what is known of the set that it is or could be."""
    if isinstance(source, PixelSource):
        known = source.known
        named = (known.name, known.kind) if known else (source.origin.name, "other")
        return *named, source.truths
    truths = known_truths(rows, source.classes)
    kind = kind_of(digest, source.classes, truths)
    name = {"imagenet": "ILSVRC2012", "digits": "digits"}.get(kind, source.root.name)
    return name, kind, truths + tuple(getattr(source, "truths", ()))


def load(folder: Path) -> DataSet:
    """Load a prepared folder.

    Raises:
        DataError: the manifest is damaged, or images in it were refused.
    """
    description = read_description(folder)
    _check_root(description, folder)
    if description.refused:
        raise _refused_error(description, folder)
    data = _load(description, folder)
    # What reading needed for a while goes back to the system: 200 MB for ImageNet.
    pa.default_memory_pool().release_unused()
    return data


def _load(description: Description, folder: Path) -> DataSet:
    rows = read_manifest(folder, _SPLIT_COLUMNS).combine_chunks()
    in_train = int(pc.sum(pc.equal(rows["split"], "train")).as_py() or 0)
    # Rows are sorted by id, so training rows come first: two slices, no copies.
    parts = rows.slice(0, in_train), rows.slice(in_train)
    splits = [_split(part, description, folder) for part in parts]
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


def refused_images(folder: Path, limit: int) -> tuple[tuple[str, str], ...]:
    """Id and reason of the first refused images of a prepared folder."""
    rows = read_manifest(folder, ["id", "decision", "reason"])
    refused = rows.filter(pc.equal(rows["decision"], "refused")).slice(0, limit)
    return tuple((row["id"], row["reason"]) for row in refused.to_pylist())


_SPLIT_COLUMNS = ["id", "split", "label", "path", "width", "height", "orientation", "converted",
                  "farmhash64", "colour_model"]  # fmt: skip


def _split(part: pa.Table, description: Description, folder: Path) -> Split:
    ids = part["id"].chunk(0) if len(part) else pa.array([], pa.string())
    return Split(
        ids=Texts(ids),
        paths=_paths(part, ids, description, folder),
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


def _paths(part: pa.Table, ids: pa.Array, description: Description, folder: Path) -> Texts:
    """Absolute paths; where they end as the ids do, the same buffer serves both."""
    prefixes = (f"{description.images_root}/", f"{folder}/")
    is_copy = pc.is_valid(part["converted"]).to_numpy().astype(np.uint8)
    ends = pc.coalesce(part["converted"], part["path"])
    if ends.equals(part["id"]):
        return Texts(ids, prefixes, is_copy)
    return Texts(pa.concat_arrays(ends.chunks), prefixes, is_copy)


def _describes(kept: Path, source: Source) -> bool:
    """Whether a kept manifest is about exactly these files, by path, size and time.

    One that is damaged, or a converted copy that is gone, has to be made again.
    """
    try:
        read_description(kept)
        rows = read_manifest(kept, ["path", "bytes", "mtime_ns", "converted"])
    except DataError:
        return False
    if not all((kept / copy).is_file() for copy in rows["converted"].drop_null().to_pylist()):
        return False
    columns = rows.drop_columns(["converted"]).itercolumns()
    known = set(zip(*(column.to_pylist() for column in columns), strict=True))
    return known == {(image.path, image.size_bytes, image.mtime_ns) for image in source.images}


def _check_root(description: Description, folder: Path) -> None:
    found = stored_root_digest(folder)
    if found != description.identity.root_digest:
        raise DataError(
            f"the manifest's root digest is {found}",
            where=str(folder),
            expected=f"{description.identity.root_digest}, as dataset.json says",
            remedy="the manifest was altered: prepare the data set again",
        )


def _refused_error(description: Description, folder: Path) -> DataError:
    named = [f"{name}: {reason}" for name, reason in refused_images(folder, 5)]
    return DataError(
        f"{description.refused} images cannot be read\n    " + "\n    ".join(named),
        where=description.images_root,
        expected="every file an image that decodes",
        remedy="replace or remove these files, then give the same command again; a folder made by "
        "`harness prepare` has to be prepared again",
    )


def _refuse_empty_classes(rows: pa.Table, source: ImageSource) -> None:
    for split in SPLITS:
        counts = images_per_class(rows, split, len(source.classes))
        empty = [name for name, n in zip(source.classes, counts, strict=True) if not n]
        if empty:
            raise DataError(
                f"{len(empty)} of {len(source.classes)} classes have no image in {split}: "
                f"{', '.join(empty[:5])}",
                where=str(source.origin),
                expected="every class in train and in val",
                remedy="add their images, or take the classes out of the source",
            )


def _refuse_doubles(rows: pa.Table, source: ImageSource) -> None:
    ids = rows["id"]
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counts = pc.value_counts(ids).to_pylist()
    doubled = next(c["values"] for c in counts if c["counts"] > 1)
    paths = rows.filter(pc.equal(ids, doubled))["path"].to_pylist()
    raise DataError(
        f"two files have the id {doubled}: {', '.join(paths[:3])}",
        where=str(source.root),
        expected="each image once",
        remedy="rename one of them or take it away",
    )
