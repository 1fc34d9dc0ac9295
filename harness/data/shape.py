"""What a data folder claims to be, found in seconds: before anything is hashed or trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.imagenet_facts import (
    TRAIN_PER_CLASS,
    VAL_PER_CLASS,
    images_per_class,
    published_labels,
)
from harness.data.manifest import read_manifest
from harness.data.opening import FoundData
from harness.errors import DataError
from harness.recipes.imagenet import TRAIN_IMAGES, VAL_IMAGES
from harness.sources.class_order import class_orders
from harness.sources.folders.names import normal, shown_all, stem
from harness.sources.labels.numbers import published_val_labels
from harness.sources.source import Source

GET_IMAGENET = (
    "get ILSVRC2012_img_train.tar (147,897,477,120 bytes) and ILSVRC2012_img_val.tar "
    "(6,744,924,160 bytes) from image-net.org (an account is needed), run "
    "`harness prepare --source FOLDER_OF_TARS --out DIR`, which needs 160 GB for the images and no "
    "label file, then give the command again with IMAGENET_DIR=DIR"
)
ALMOST = 900
"""With so many of the 1,000 classes a folder is ImageNet with something wrong in it."""


@dataclass(frozen=True)
class DataShape:
    """Counts of a data set; `looks_like_imagenet` is a claim until its manifest is made."""

    train_images: int
    val_images: int
    classes: tuple[str, ...]
    looks_like_imagenet: bool


def data_shape(found: FoundData) -> DataShape:
    """Counts from a prepared folder's description, or from a plain one's listing."""
    if found.description is not None:
        identity = found.description.identity
        return DataShape(
            train_images=identity.train_images,
            val_images=identity.val_images,
            classes=identity.classes,
            looks_like_imagenet=identity.kind == "imagenet",
        )
    assert found.source is not None  # noqa: S101 - for the type checker; one of both is there
    source = found.source
    listed = source.listing
    val = int(listed.in_val.sum())
    train = source.count - val
    val_per_class = np.bincount(listed.labels[listed.in_val], minlength=len(source.classes))
    return DataShape(
        train_images=train,
        val_images=val,
        classes=source.classes,
        looks_like_imagenet=(
            sorted(source.classes) == list(class_orders().wnids)
            and (train, val) == (TRAIN_IMAGES, VAL_IMAGES)
            and bool((val_per_class == VAL_PER_CLASS).all())
            and all(truth.holds for truth in published_labels(_val_ids(source)))
        ),
    )


def refuse_other_than_imagenet(found: FoundData, shape: DataShape) -> None:
    """Refuse what is not the whole of ImageNet (ILSVRC2012), and say what is wrong with it.

    Raises:
        DataError: other classes, or images that are missing or too many, by class.
    """
    if shape.looks_like_imagenet:
        return
    wnids = class_orders().wnids
    missing, surplus = set(wnids) - set(shape.classes), set(shape.classes) - set(wnids)
    if len(wnids) - len(missing) < ALMOST:
        raise DataError(
            f"the folder is not ImageNet: it has {shape.train_images:,} training and "
            f"{shape.val_images:,} validation images in {len(shape.classes):,} classes",
            where=str(found.path),
            expected=f"{TRAIN_IMAGES:,} and {VAL_IMAGES:,} images in the 1,000 classes of "
            "ILSVRC2012, named by WordNet id",
            remedy=GET_IMAGENET,
        )
    if missing or surplus:
        parts = [f"lacks {shown_all(sorted(missing))}"] if missing else []
        parts += [f"has {shown_all(sorted(surplus))} besides"] if surplus else []
        raise DataError(
            f"the folder is ImageNet but for its classes: it {' and '.join(parts)}",
            where=str(found.path),
            expected="the 1,000 classes of ILSVRC2012, named by WordNet id",
            remedy="give these classes their WordNet ids again, or restore them; nothing else has "
            "to be fetched",
        )
    raise _wrong_counts(found, shape)


def _wrong_counts(found: FoundData, shape: DataShape) -> DataError:
    train, val, names = _per_class(found, shape.classes)
    parts = []
    if shape.val_images != VAL_IMAGES or (val != VAL_PER_CLASS).any():
        parts.append(_wrong_val(val, shape.classes, names))
    parts += [f"val: {t.fact}: {t.found}" for t in published_labels(pa.array(names)) if not t.holds]
    if shape.train_images != TRAIN_IMAGES:
        parts.append(_wrong_train(train, shape.classes))
    counts = f"{shape.train_images:,} training and {shape.val_images:,} validation images"
    return DataError(
        f"the folder is ImageNet but for some images: it has {counts}\n    "
        + "\n    ".join(parts or ["every count is right, but not a fact that its manifest checks"]),
        where=str(found.path),
        expected=f"{TRAIN_IMAGES:,} and {VAL_IMAGES:,}, {VAL_PER_CLASS} of each class in val",
        remedy="restore these images from your copy of the tars (tar -xf ILSVRC2012_img_val.tar "
        "NAME; each class has a tar inside ILSVRC2012_img_train.tar), or take away what is too "
        "much; nothing else has to be fetched",
    )


def _wrong_val(counts: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> str:
    published = published_val_labels()
    there = {stem(name) for name in names}
    missing = [f"{name} of {published[name]}" for name in published if normal(name) not in there]
    wrong = [f"{c} ({n})" for c, n in zip(classes, counts, strict=True) if n != VAL_PER_CLASS]
    lacking = f"; missing: {shown_all(missing)}" if missing and len(missing) <= ALMOST else ""
    return f"val: not {VAL_PER_CLASS} images in {shown_all(wrong) or 'no class'}{lacking}"


def _wrong_train(counts: np.ndarray, classes: Sequence[str]) -> str:
    """The published counts by class are not at hand, only their range and their sum."""
    least, most = TRAIN_PER_CLASS
    by_class = sorted(zip(classes, counts.tolist(), strict=True), key=lambda pair: -pair[1])
    outside = [f"{name} ({n:,})" for name, n in by_class if not least <= n <= most]
    if outside:
        return f"train: not {least} to {most:,} images in {shown_all(outside)}"
    lacking = TRAIN_IMAGES - int(counts.sum())
    if lacking > 0:
        near = [f"{name} ({n:,})" for name, n in by_class if most - lacking <= n < most]
        return (
            f"train: {lacking:,} missing; most classes have {most:,}, and just below that are "
            f"{shown_all(near, 10) or 'none'}"
        )
    return f"train: {-lacking:,} too many, in classes of fewer than {most:,}"


def _val_ids(source: Source) -> pa.Array:
    listed, in_val = source.listing, source.listing.in_val
    folders = pa.array(source.classes, pa.string()).take(pa.array(listed.labels[in_val]))
    names = listed.names.filter(pa.array(in_val))
    return pc.binary_join_element_wise(pa.scalar("val"), folders, names, "/")


def _per_class(
    found: FoundData, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, Sequence[str]]:
    """Images of each class in train and in val, and the names of those in val."""
    if found.source is not None:
        listed = found.source.listing
        ids = _val_ids(found.source).to_pylist()
        labels, in_val = listed.labels, listed.in_val
        train, val = (np.bincount(labels[in_val == v], minlength=len(classes)) for v in (0, 1))
        return train, val, ids
    rows = read_manifest(found.path, ["id", "split", "label"])
    train, val = (images_per_class(rows, split, len(classes)) for split in ("train", "val"))
    ids = [name for name in rows["id"].to_pylist() if name.startswith("val/")]
    return train, val, ids
