"""Prepare a data set: find the source, inspect every file, write the manifest."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from harness.data.building import build
from harness.data.dataset import Leak, leak
from harness.data.manifest import Description, read_manifest
from harness.data.opening import alone_in, refused_images
from harness.progress import SILENT, Progress
from harness.sources.detection import NOTHING_TOLD, Told, find_source
from harness.sources.pixels.small_sets import SMALL_SETS
from harness.sources.tars import PublishedTar


@dataclass(frozen=True)
class Prepared:
    """What a preparation found.

    Attributes:
        out: the prepared folder.
        description: its `dataset.json`.
        refused: id and reason of up to 20 images that cannot be used.
        notes: what lies in the source and is not used.
        leak: validation images that are training images too.
    """

    out: Path
    description: Description
    refused: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    leak: Leak | None = None


def prepare(
    source: Path,
    out: Path,
    told: Told = NOTHING_TOLD,
    *,
    workers: int | None = None,
    rehash: bool = False,
    decode: bool = False,
    published: dict[str, PublishedTar] | None = None,
    progress: Progress = SILENT,
) -> Prepared:
    """Prepare `source` into `out`; the same call again continues or checks.

    Args:
        source: where the images lie.
        out: the prepared folder.
        told: what the person says of the source.
        workers: threads; None takes one per core.
        rehash: read every file again.
        decode: decode every image too.
        published: sizes and md5 sums of the tars; None takes ImageNet's.
        progress: where it is shown how far it is.

    Raises:
        DataError: the source is incomplete, damaged or contradicts itself.
        MachineError: the disk is full or `out` cannot be written.
    """
    with progress.work("listing images", unit="files") as shown:
        found = find_source(source, out, told, published=published, on_files=shown.add)
    with _alone_in(out, progress):
        description = build(
            found, out, workers=workers, rehash=rehash, decode=decode, progress=progress
        )
    refused = refused_images(out, 20) if description.refused else ()
    with progress.work("looking for validation images among the training images"):
        leaked = _leak(out)
    return Prepared(out, description, refused, getattr(found, "notes", ()), leaked)


def _alone_in(out: Path, progress: Progress) -> AbstractContextManager[None]:
    """A folder that is prepared already may lie where nobody can write: it is only checked."""
    fixed = out.is_dir() and not os.access(out, os.W_OK)
    return nullcontext() if fixed else alone_in(out, progress)


def _leak(folder: Path) -> Leak | None:
    rows = read_manifest(folder, ["id", "split", "farmhash64"])
    split = rows.column("split").to_numpy(zero_copy_only=False)
    marks = rows.column("farmhash64").fill_null(0).to_numpy()
    is_val = (split == "val") & (marks != 0)
    names = rows.column("id").filter(pa.array(is_val)).to_pylist()
    return leak(marks[(split == "train") & (marks != 0)], marks[is_val], tuple(names))


def render(prepared: Prepared) -> str:
    """The result as plain text."""
    description, identity = prepared.description, prepared.description.identity
    decisions = (
        f"{description.as_is:,} used as is, {description.converted:,} converted, "
        f"{description.refused:,} refused; {description.turned:,} turned by EXIF"
    )
    lines = [
        f"{identity.name} ({identity.kind}) in {prepared.out}",
        f"  images:      {identity.train_images:,} train, {identity.val_images:,} val",
        f"  classes:     {len(identity.classes):,}, in {identity.class_order} order",
        f"  decisions:   {decisions}",
        f"  root digest: {identity.root_digest}",
    ]
    lines += [f"  not used:    {note}" for note in prepared.notes]
    if prepared.leak is not None:
        lines.append(f"  leakage:     {prepared.leak.text}")
    small = description.source in SMALL_SETS
    for truth in description.truths if small or identity.kind.startswith("imagenet") else ():
        mark = "holds" if truth.holds else f"NOT MET, found {truth.found}"
        lines.append(f"  known truth: {truth.fact} {truth.expected}: {mark}")
    if small and identity.kind == "other":
        lines.append("  this is no set that is known by the SHA-256 of its files")
    elif not small and identity.kind != "imagenet":
        what = "a subset of ImageNet" if identity.kind == "imagenet_subset" else "not ImageNet"
        lines.append(f"  this is {what}: no verdict about ImageNet is offered on it")
    lines += [f"  refused: {name}: {reason}" for name, reason in prepared.refused]
    return "\n".join(lines)
