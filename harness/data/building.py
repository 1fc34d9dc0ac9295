"""Make a data set's manifest: inspect a source, check what was found, write."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from harness.data.imagenet_facts import images_per_class, kind_of, known_truths
from harness.data.known_rows import rows_of
from harness.data.manifest import (
    Description,
    read_description,
    root_digest,
    write_manifest,
)
from harness.data.manifest_rows import Preparation, remove_parts
from harness.data.moved import as_stored
from harness.errors import DataError, MachineError
from harness.files import make_folder
from harness.measure.machine import usable_cores
from harness.progress import SILENT, Progress
from harness.record.schema import DataIdentity
from harness.sources.class_order import class_orders
from harness.sources.pixels.pixel_source import PixelSource
from harness.sources.source import SPLITS, ImageSource, Source, Truth


def build(
    source: ImageSource,
    out: Path,
    *,
    workers: int | None = None,
    rehash: bool = False,
    decode: bool = False,
    progress: Progress = SILENT,
) -> Description:
    """Inspect a source and write its manifest and description to `out`.

    Args:
        source: the images.
        out: folder for the manifest and converted copies.
        workers: threads; None takes one per core.
        rehash: inspect everything anew, whatever an earlier preparation knows.
        decode: decode every image, not only its header; inspects everything anew.
        progress: where it is shown how far it is.

    Raises:
        DataError: a file cannot be read, two images have one id, or a class has
            no image in a split.
        MachineError: the disk is full or `out` cannot be written.
    """
    try:
        make_folder(out)  # told now and not after hours of hashing
    except MachineError:
        if not isinstance(source, Source) or rows_of(out, source) is None:
            raise
    preparation = Preparation(
        source,
        out,
        workers=workers or usable_cores(),
        rehash=rehash,
        decode=decode,
        progress=progress,
    )
    rows = preparation.rows()
    with progress.work("checking and writing the manifest"):
        description = _described(rows, source, out)
        if rows is not preparation.earlier or not _is_written(description, out):
            write_manifest(rows, description, out)
        remove_parts(out)
    return description


def _described(rows: pa.Table, source: ImageSource, out: Path) -> Description:
    """What the manifest is about, checked.

    Raises:
        DataError: two images have one id, or a class has no image in a split.
    """
    _refuse_doubles(rows, source)
    _refuse_empty_classes(rows, source)
    digest = root_digest(rows)
    classes = source.classes
    name, kind, truths = _named(source, rows, digest)
    decisions = {c["values"]: c["counts"] for c in pc.value_counts(rows["decision"]).to_pylist()}
    return Description(
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
        images_root=as_stored(source.root, out),
        as_is=int(decisions.get("as_is", 0)),
        converted=int(decisions.get("converted", 0)),
        refused=int(decisions.get("refused", 0)),
        turned=int(pc.sum(pc.greater(rows["source_orientation"], 1)).as_py() or 0),
        truths=truths,
    )


def _is_written(description: Description, out: Path) -> bool:
    """Whether the folder says this already; then it may be one that nobody may write."""
    try:
        return read_description(out) == description
    except DataError:
        return False


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
    ids = rows["id"]  # sorted, so that two of one name are neighbours
    same = pc.equal(ids.slice(1), ids.slice(0, max(0, len(ids) - 1)))
    if not pc.any(same).as_py():
        return
    doubled = ids[pc.index(same, True).as_py()].as_py()
    paths = rows.filter(pc.equal(ids, doubled))["path"].to_pylist()
    raise DataError(
        f"two files have the id {doubled}: {', '.join(paths[:3])}",
        where=str(source.root),
        expected="each image once",
        remedy="rename one of them or take it away",
    )
