"""Accuracy of the final weights by protocol, and the mistakes made with most confidence."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from harness.report.rendering.content import Picture, Section, Table
from harness.report.rendering.wording import MISSING, count, percent
from harness.report.run_record import RunRecord
from harness.statistics.intervals import proportion_interval

MISTAKES_SHOWN = 12
MISTAKES_LISTED = 50
CONFIDENCE = 0.95
CLASSES_OF_TOP5 = 5


@dataclass(frozen=True)
class Mistake:
    """One image that was classified wrongly.

    Attributes:
        image_id: As in the manifest.
        label: Name of the true class.
        predicted: Name of the most probable class.
        probability: Given to it.
    """

    image_id: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Mistakes:
    """What prediction files say.

    Attributes:
        by_run: Mistakes by name of run and protocol.
        foreign: Names of those whose prediction file is not the one that the
            run wrote.
    """

    by_run: Mapping[str, Sequence[Mistake]] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()


def accuracy(runs: Sequence[RunRecord]) -> Section:
    """Final accuracies by run and protocol, with exact binomial intervals."""
    rows = []
    for run in runs:
        names = dict.fromkeys(e.protocol.name for e in run.evaluations if e.final)
        for name in names:
            event = run.final(name)
            if event is None:
                continue
            bounds = proportion_interval(event.top1_correct, event.images, CONFIDENCE)
            rows.append(
                (
                    run.name,
                    name,
                    event.protocol_digest[:12],
                    f"{count(event.images)} of {count(event.images_in_split)}",
                    percent(event.top1_accuracy),
                    f"{percent(bounds.low)} to {percent(bounds.high)}",
                    percent(event.top5_accuracy),
                )
            )
    title = "Accuracy by protocol"
    if not rows:
        words = (
            "No evaluation of final weights is in the journals. A run that stopped early has none; "
            "`harness run` makes it at the recipe's last step."
        )
        return Section("protocols", title, (words,))
    columns = (
        "run", "protocol", "digest", "images", "top-1",
        f"exact {100 * CONFIDENCE:g} % binomial interval", "top-5",
    )  # fmt: skip
    words = (
        "Numbers are comparable only within one protocol digest. The interval tells the sampling "
        "of images, not the spread of seeds."
    )
    table = Table(
        "Accuracy of the final weights", columns, tuple(rows), frozenset({3, 4, 5, 6}),
        hidden=without_top5(runs, 6),
    )  # fmt: skip
    return Section("protocols", title, (words,), tables=(table,))


def without_top5(runs: Sequence[RunRecord], column: int) -> frozenset[int]:
    """The column of top-5 is hidden where no data has more than five classes: all are 100 %."""
    most = max(len(run.started.data.classes) for run in runs)
    return frozenset({column}) if most <= CLASSES_OF_TOP5 else frozenset()


def find_mistakes(predictions: pa.Table, classes: Sequence[str]) -> list[Mistake]:
    """Wrongly classified images, those with the greatest probability first.

    Args:
        predictions: As `harness.record.predictions.read_predictions` gives it.
        classes: Class names in label order.
    """
    labels = predictions.column("label").to_numpy()
    shape = (len(labels), 5)
    top = _matrix(predictions, "top5_class", shape)[:, 0]
    probability = _matrix(predictions, "top5_probability", shape)[:, 0]
    wrong = np.flatnonzero(top != labels)
    order = wrong[np.argsort(-probability[wrong], kind="stable")][:MISTAKES_LISTED]
    ids = predictions.column("image_id").take(pa.array(order)).to_pylist()
    return [
        Mistake(image, _name(classes, labels[i]), _name(classes, top[i]), float(probability[i]))
        for image, i in zip(ids, order.tolist(), strict=True)
    ]


def mistakes(of: Mistakes, pictures: Mapping[str, tuple[str, bytes]], missing: str) -> Section:
    """The mistakes made with most confidence.

    Args:
        of: What prediction files say.
        pictures: Media type and bytes by image id.
        missing: Why there are no pictures, when there are none.
    """
    title = "Mistakes made with most confidence"
    notes = tuple(
        f"{where}: the prediction file beside the run is not the one that it wrote; its mistakes "
        "are not shown."
        for where in of.foreign
    )
    if not any(of.by_run.values()):
        words = (
            "No image was classified wrongly."
            if of.by_run
            else "No predictions of final weights are beside the journals, so single mistakes "
            "cannot be shown."
        )
        return Section("mistakes", title, (*notes, words))
    rows = tuple(
        (where, one.image_id, one.label, one.predicted, percent(one.probability, 1))
        for where, some in of.by_run.items()
        for one in some
    )
    table = Table(
        "Wrongly classified images",
        ("run", "image", "class", "taken for", "probability"),
        rows,
        frozenset({4}),
        folded=len(rows) > MISTAKES_SHOWN,
    )
    drawn = tuple(_picture(where, one, pictures) for where, one in most_confident(of, pictures))
    paragraphs = notes if drawn else (*notes, missing)
    return Section("mistakes", title, paragraphs, tables=(table,), pictures=drawn)


def most_confident(of: Mistakes, among: Container[str]) -> list[tuple[str, Mistake]]:
    """The mistakes whose pictures are shown, with their run; each image once, greatest first.

    Args:
        of: What prediction files say.
        among: Image ids that have a picture.
    """
    found = [
        (where, one) for where, some in of.by_run.items() for one in some if one.image_id in among
    ]
    first: dict[str, tuple[str, Mistake]] = {}
    for where, one in sorted(found, key=lambda pair: -pair[1].probability):
        first.setdefault(one.image_id, (where, one))
    return list(first.values())[:MISTAKES_SHOWN]


def _picture(where: str, mistake: Mistake, pictures: Mapping[str, tuple[str, bytes]]) -> Picture:
    media_type, data = pictures[mistake.image_id]
    caption = (
        f"{mistake.label} taken for {mistake.predicted} ({percent(mistake.probability, 1)}; "
        f"{where}), {mistake.image_id}"
    )
    return Picture(caption, f"validation image of class {mistake.label}", media_type, data)


def _matrix(predictions: pa.Table, column: str, shape: tuple[int, int]) -> np.ndarray:
    values = predictions.column(column).combine_chunks().flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if 0 <= index < len(classes) else f"{MISSING} (class {index})"
