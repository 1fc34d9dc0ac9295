"""Prepare a data set: find the source, inspect every file, write the manifest."""

from dataclasses import dataclass
from pathlib import Path

from harness.data.class_order import Order
from harness.data.manifest import Description
from harness.data.manifest_rows import OnProgress
from harness.data.opening import build, refused_images
from harness.data.sources.detection import find_source
from harness.data.sources.small_sets import SMALL_SETS
from harness.data.sources.source import SplitName
from harness.data.sources.tars import PublishedTar


@dataclass(frozen=True)
class Prepared:
    """What a preparation found.

    Attributes:
        out: the prepared folder.
        description: its `dataset.json`.
        refused: id and reason of up to 20 images that cannot be used.
    """

    out: Path
    description: Description
    refused: tuple[tuple[str, str], ...]


def prepare(
    source: Path,
    out: Path,
    *,
    lists: dict[SplitName, Path] | None = None,
    val_labels: Path | None = None,
    order: Order | None = None,
    workers: int | None = None,
    rehash: bool = False,
    decode: bool = False,
    published: dict[str, PublishedTar] | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Prepared:
    """Prepare `source` into `out`; the same call again continues or checks.

    Raises:
        DataError: the source is incomplete, damaged or contradicts itself.
        MachineError: the disk is full or `out` cannot be written.
    """
    found = find_source(
        source, out, lists=lists, val_labels=val_labels, order=order, published=published
    )
    description = build(
        found, out, workers=workers, rehash=rehash, decode=decode, on_progress=on_progress
    )
    refused = refused_images(out, 20) if description.refused else ()
    return Prepared(out, description, refused)


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
