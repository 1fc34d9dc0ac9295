"""Two trained networks on the same images, image by image.

The comparison is about these two networks. Whether two recipes differ is a
question about their seeds: that needs several runs of each.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from harness.errors import RecordError
from harness.frozen import Frozen
from harness.recipes.protocol import Protocol
from harness.record.schema import Fraction
from harness.statistics.paired import PairedCounts, mcnemar_mid_p, paired_difference_interval
from harness.statistics.rounding import percent, points, span
from harness.verdict.judgement import Bounds
from harness.verdict.text import table

CONFIDENCE = 0.95
LISTED = 10
CAVEAT = "this compares two trained networks, not two recipes; recipes need several seeds of each"


class ClassChange(Frozen):
    """How the right answers of one class changed."""

    label: int
    images: int
    first_correct: int
    second_correct: int


class ImageChange(Frozen):
    """One image: what each network says, and the probabilities they give the label.

    A probability is 0 where the label is not among the five most probable.
    """

    image_id: str
    label: int
    first_class: int
    second_class: int
    first_probability: Fraction
    second_probability: Fraction


class PairedComparison(Frozen):
    """The whole comparison; differences are second minus first, fractions."""

    first: str
    second: str
    images: int
    first_accuracy: Fraction
    second_accuracy: Fraction
    first_only: int
    second_only: int
    difference: float
    interval: Bounds
    p_value: Fraction
    churn: Fraction
    protocol_differences: tuple[str, ...]
    classes: tuple[ClassChange, ...]
    changed: tuple[ImageChange, ...]
    caveat: str = CAVEAT


def compare_predictions(
    first: pa.Table, second: pa.Table, *, names: tuple[str, str] = ("first", "second")
) -> PairedComparison:
    """Compare two prediction tables of the same images.

    Args:
        first: As `read_predictions` returns it.
        second: The same, in any order of images.
        names: Of the two, for output and errors.

    Raises:
        RecordError: a table is empty, images of one are missing in the other, labels differ, or
            classes are numbered in different orders.
    """
    mine, theirs = _aligned(first, second, names)
    right = [part["top5_class"][:, 0] == part["label"] for part in (mine, theirs)]
    counts = PairedCounts(
        both=int((right[0] & right[1]).sum()),
        first_only=int((right[0] & ~right[1]).sum()),
        second_only=int((~right[0] & right[1]).sum()),
        neither=int((~right[0] & ~right[1]).sum()),
    )
    interval = paired_difference_interval(counts, CONFIDENCE)
    return PairedComparison(
        first=names[0],
        second=names[1],
        images=counts.n,
        first_accuracy=float(right[0].mean()),
        second_accuracy=float(right[1].mean()),
        first_only=counts.first_only,
        second_only=counts.second_only,
        difference=counts.difference,
        interval=Bounds(low=interval.low, high=interval.high, confidence=CONFIDENCE),
        p_value=mcnemar_mid_p(counts),
        churn=float((mine["top5_class"][:, 0] != theirs["top5_class"][:, 0]).mean()),
        protocol_differences=_protocol_differences(first, second),
        classes=_classes(mine["label"], right[0], right[1]),
        changed=_changed(mine, theirs),
    )


def comparison_text(found: PairedComparison, classes: Sequence[str] = ()) -> str:
    """A comparison for a terminal; classes by name where these are known."""
    lines = [f"first   {found.first}", f"second  {found.second}", ""]
    if found.protocol_differences:
        lines += [f"the protocols differ in: {', '.join(found.protocol_differences)}", ""]
    accuracies = f"{percent(found.first_accuracy)} and {percent(found.second_accuracy)}"
    level = f"{100 * found.interval.confidence:g} % interval"
    facts = {
        "images": f"{found.images:,}",
        "top-1": accuracies,
        "second - first": f"{points(found.difference)} points, {level} {span(found.interval)}",
        "right in one only": f"{found.first_only:,} and {found.second_only:,}",
        "McNemar, mid-p": f"p = {found.p_value:.4g}",
        "churn": f"{percent(found.churn)} of the images get another class",
    }
    lines += [f"{name:18}  {value}" for name, value in facts.items()]
    if found.classes:
        rows = [
            (named(c.label, classes), *map(str, (c.images, c.first_correct, c.second_correct)))
            for c in found.classes
        ]
        header = ("class that changed most", "images", "right in first", "right in second")
        lines += ["", *table(header, rows)]
    if found.changed:
        lines += ["", *table(_IMAGE_HEADER, [_image_row(one, classes) for one in found.changed])]
    return "\n".join([*lines, "", found.caveat])


_IMAGE_HEADER = ("image that changed most", "label", "first says", "second says", "p(label)")


def named(label: int, classes: Sequence[str]) -> str:
    """A class by its name, by its number where none is known."""
    return classes[label] if 0 <= label < len(classes) else str(label)


def _image_row(image: ImageChange, classes: Sequence[str]) -> tuple[str, ...]:
    return (
        image.image_id,
        *(named(one, classes) for one in (image.label, image.first_class, image.second_class)),
        f"{image.first_probability:.3f} -> {image.second_probability:.3f}",
    )


def _aligned(
    first: pa.Table, second: pa.Table, names: tuple[str, str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Both tables as arrays in the order of image ids."""
    empty = [name for part, name in zip((first, second), names, strict=True) if not len(part)]
    if empty:
        raise RecordError(
            "there are no predictions to compare: the file is empty",
            where=" and ".join(empty),
            expected="at least one image",
            remedy="evaluate again",
        )
    orders = [_metadata(part).get("class_order") for part in (first, second)]
    if None not in orders and orders[0] != orders[1]:
        raise RecordError(
            f"the classes are numbered in {orders[0]} and in {orders[1]} order",
            where=" and ".join(names),
            expected="one order of classes",
            remedy="evaluate both with `harness evaluate`, which brings classes into one order",
        )
    mine, theirs = (_arrays(part) for part in (first, second))
    _refuse_other_images(mine["image_id"], theirs["image_id"], names)
    _refuse_other_images(theirs["image_id"], mine["image_id"], (names[1], names[0]))
    unequal = np.flatnonzero(mine["label"] != theirs["label"])
    if len(unequal):
        i = unequal[0]
        raise RecordError(
            f"{len(unequal):,} images have different labels, such as {mine['image_id'][i]}: "
            f"{mine['label'][i]} and {theirs['label'][i]}",
            where=" and ".join(names),
            expected="predictions for one data set",
            remedy="evaluate both on the same data",
        )
    return mine, theirs


def _arrays(predictions: pa.Table) -> dict[str, np.ndarray]:
    ids = predictions.column("image_id").to_numpy()
    order = np.argsort(ids)
    columns = {"image_id": ids, "label": predictions.column("label").to_numpy()}
    for name in ("top5_class", "top5_probability"):
        flat = predictions.column(name).combine_chunks().flatten().to_numpy()
        columns[name] = flat.reshape(len(ids), 5)
    return {name: values[order] for name, values in columns.items()}


def _refuse_other_images(have: np.ndarray, need: np.ndarray, names: tuple[str, str]) -> None:
    missing = np.setdiff1d(need, have)
    if len(missing):
        raise RecordError(
            f"{len(missing):,} images of {names[1]} are missing, such as {missing[0]}",
            where=names[0],
            expected="predictions for the same images",
            remedy="evaluate both on all images of the same data",
        )


def _metadata(predictions: pa.Table) -> dict[str, str]:
    raw = predictions.schema.metadata or {}
    return {key.decode(): value.decode() for key, value in raw.items()}


def _protocol_differences(first: pa.Table, second: pa.Table) -> tuple[str, ...]:
    """Fields in which the recorded protocols differ; a protocol that is not recorded is said."""
    texts = [_metadata(part).get("protocol", "") for part in (first, second)]
    if texts[0] == texts[1]:
        return ()
    if not all(text.startswith("{") for text in texts):
        return ("the protocols recorded in the files",)
    one, other = (Protocol.model_validate_json(text) for text in texts)
    return one.differences(other)


def _classes(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[ClassChange, ...]:
    """The classes whose right answers changed most, largest change first."""
    size = int(labels.max()) + 1
    images, before, after = (
        np.bincount(labels, weights=weights, minlength=size).astype(int)
        for weights in (np.ones(len(labels)), first, second)
    )
    order = np.lexsort((np.arange(size), -np.abs(after - before)))
    return tuple(
        ClassChange(
            label=int(label),
            images=int(images[label]),
            first_correct=int(before[label]),
            second_correct=int(after[label]),
        )
        for label in order[:LISTED]
        if before[label] != after[label]
    )


def _changed(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> tuple[ImageChange, ...]:
    """The images whose label's probability changed most, among those with another answer."""
    probability = [
        np.where(part["top5_class"] == part["label"][:, None], part["top5_probability"], 0).sum(1)
        for part in (mine, theirs)
    ]
    answers = [part["top5_class"][:, 0] for part in (mine, theirs)]
    other = np.flatnonzero(answers[0] != answers[1])
    change = np.abs(probability[1] - probability[0])[other]
    order = other[np.argsort(-change, kind="stable")]
    return tuple(
        ImageChange(
            image_id=str(mine["image_id"][i]),
            label=int(mine["label"][i]),
            first_class=int(answers[0][i]),
            second_class=int(answers[1][i]),
            first_probability=min(1.0, float(probability[0][i])),
            second_probability=min(1.0, float(probability[1][i])),
        )
        for i in order[:LISTED]
    )
