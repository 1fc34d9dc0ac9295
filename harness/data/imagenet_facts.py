"""What is known about ImageNet (ILSVRC 2012), and which data set a manifest describes."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.recipes.imagenet import CLASSES, TRAIN_IMAGES, VAL_IMAGES
from harness.sources.class_order import class_orders
from harness.sources.digits import ROOT_DIGEST as DIGITS_ROOT
from harness.sources.folders.names import shown
from harness.sources.labels.numbers import published_val_labels
from harness.sources.source import Truth

TRAIN_PER_CLASS = (732, 1_300)
VAL_PER_CLASS = 50

Kind = Literal["imagenet", "imagenet_subset", "digits", "other"]


def known_truths(rows: pa.Table, classes: tuple[str, ...]) -> tuple[Truth, ...]:
    """Compare a manifest's counts and validation labels with ImageNet's."""
    train, val = (images_per_class(rows, split, len(classes)) for split in ("train", "val"))
    return (
        _truth("training images", TRAIN_IMAGES, int(train.sum())),
        _truth("validation images", VAL_IMAGES, int(val.sum())),
        _truth("classes", CLASSES, len(classes)),
        Truth(
            fact="class names",
            expected="ImageNet's 1,000 WordNet ids",
            found=", ".join(classes[:2]) + (", ..." if len(classes) > 2 else ""),
            holds=sorted(classes) == list(class_orders().wnids),
        ),
        Truth(
            fact="training images per class",
            expected=f"{TRAIN_PER_CLASS[0]} to {TRAIN_PER_CLASS[1]}",
            found=f"{train.min()} to {train.max()}",
            holds=(int(train.min()), int(train.max())) == TRAIN_PER_CLASS,
        ),
        Truth(
            fact="validation images per class",
            expected=str(VAL_PER_CLASS),
            found=f"{val.min()} to {val.max()}",
            holds=bool((val == VAL_PER_CLASS).all()),
        ),
        *published_labels(rows["id"].filter(pc.equal(rows["split"], "val")).combine_chunks()),
    )


def published_labels(ids: pa.Array) -> tuple[Truth, ...]:
    """Whether validation images lie in their published classes; none where names are others.

    Args:
        ids: `val/<class>/<name>`; those of other splits are left out.
    """
    ids = ids.filter(pc.starts_with(ids, "val/"))
    published = published_val_labels()
    names = pc.replace_substring_regex(ids, r"^.*/([^/.]*)(\.[^/]*)?$", r"\1")
    place = pc.index_in(names, value_set=pa.array(published))
    named = ids.filter(pc.is_valid(place))
    if not len(named):
        return ()
    classes = pc.replace_substring_regex(named, r"^val/([^/]*)/.*$", r"\1")
    right = pa.array(published.values()).take(place.drop_null())
    wrong = named.filter(pc.not_equal(classes, right))
    such = f", such as {shown(wrong[0].as_py())}" if len(wrong) else ""
    return (
        Truth(
            fact="validation images in another class than the published one",
            expected="0",
            found=f"{len(wrong):,}{such}",
            holds=not len(wrong),
        ),
    )


def kind_of(root_digest: str, classes: tuple[str, ...], truths: tuple[Truth, ...]) -> Kind:
    """Which data set this is.

    `imagenet` only when every known truth holds, `imagenet_subset` when at
    least every class is one of ImageNet's, `digits` by its root digest.
    """
    if root_digest == DIGITS_ROOT:
        return "digits"
    if all(truth.holds for truth in truths):
        return "imagenet"
    if set(classes) <= set(class_orders().wnids):
        return "imagenet_subset"
    return "other"


def images_per_class(rows: pa.Table, split: str, classes: int) -> np.ndarray:
    """Images of each label in a split, int64 [classes]."""
    in_split = pc.equal(rows["split"], split).to_numpy()
    return np.bincount(rows["label"].to_numpy()[in_split], minlength=classes)


def _truth(fact: str, expected: int, found: int) -> Truth:
    return Truth(fact=fact, expected=f"{expected:,}", found=f"{found:,}", holds=found == expected)
