"""`harness verdict --baseline`: a folder of `harness evaluate` against a published row."""

import difflib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from harness.baselines.loading import load_baselines
from harness.baselines.schema import AccuracyRow
from harness.errors import RecordError, UsageError
from harness.recipes.imagenet import VAL_IMAGES
from harness.recipes.protocol import Protocol
from harness.record.predictions import read_predictions
from harness.sources.labels.files import read_val_labels
from harness.sources.labels.numbers import VAL_NAME, published_val_labels
from harness.verdict.imported import (
    Draw,
    EvaluationAnswer,
    EvaluationFacts,
    drawn_numbers,
    drawn_of_classes,
    judge_evaluation,
)

DOCUMENT = "evaluation.json"
_VALIDATION_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})")


def judge_evaluation_folder(
    folder: Path, baseline: str, *, draw: Path | None = None
) -> EvaluationAnswer:
    """Judge the evaluation of the baseline's protocol in a folder.

    Args:
        folder: Written by `harness evaluate`.
        baseline: Name of a published row.
        draw: Record of a random draw, as JSON; its image count must fit.

    Raises:
        UsageError: no such row, one that is a goal, or no evaluation.
        DataError: labels of a stratified draw that cannot be read.
        RecordError: files that are missing, damaged or do not fit each other.
    """
    row = _row(baseline)
    document = _read_json(folder / DOCUMENT)
    try:
        facts = [_facts(document, entry, folder) for entry in document["evaluations"]]
    except (KeyError, TypeError, ValidationError) as error:
        raise RecordError(
            f"the document is malformed: {error}",
            where=str(folder / DOCUMENT),
            expected="as written by `harness evaluate`",
            remedy="evaluate again",
        ) from error
    if not facts:
        raise UsageError("the folder holds no evaluation", where=str(folder))
    nearest, entry = min(
        zip(facts, document["evaluations"], strict=True),
        key=lambda pair: len(row.protocol.differences(pair[0].protocol)),
    )
    record = _draw(draw, nearest, _predictions(folder, entry)) if draw else None
    return judge_evaluation(nearest, row, record)


def _row(name: str) -> AccuracyRow:
    rows = {row.name: row for row in load_baselines().accuracy}
    if name in rows and rows[name].data != "imagenet":
        raise UsageError(
            f"{name} is about {rows[name].data}",
            expected="a row about ImageNet: only its imported weights are judged here",
            remedy="judge training runs with `harness verdict RUN...`",
        )
    if name in rows and rows[name].measured:
        return rows[name]
    if name in rows:
        raise UsageError(
            f"{name} is {rows[name].settings or 'a goal'}: no weights scored it",
            expected="the row of the network whose weights were evaluated",
            remedy="see `harness list baselines`",
        )
    near = difflib.get_close_matches(name, rows, n=3, cutoff=0.3)
    raise UsageError(
        f"there is no published row named {name!r}",
        expected=f"such as {', '.join(near)}" if near else "a name of `harness list baselines`",
        remedy="see `harness list baselines`",
    )


def _predictions(folder: Path, entry: dict[str, Any]) -> Path:
    """The file of predictions, beside the document whatever that says."""
    return folder / Path(str(entry["predictions_file"])).name


def _facts(document: dict[str, Any], entry: dict[str, Any], folder: Path) -> EvaluationFacts:
    predictions = read_predictions(_predictions(folder, entry))
    labels = predictions.column("label").to_numpy()
    top5 = predictions.column("top5_class").combine_chunks().flatten().to_numpy().reshape(-1, 5)
    right = top5[:, 0] == labels
    if len(labels) != entry["images"] or int(right.sum()) != entry["top1_correct"]:
        raise RecordError(
            f"{len(labels):,} predictions with {int(right.sum()):,} right, the document says "
            f"{entry['images']:,} with {entry['top1_correct']:,}",
            where=str(_predictions(folder, entry)),
            expected="the predictions that the document was made from",
            remedy="evaluate again",
        )
    present, counts = np.unique(labels, return_counts=True)
    return EvaluationFacts(
        model=document["model"],
        protocol=Protocol.model_validate_json(json.dumps(entry["protocol"])),
        images=entry["images"],
        images_in_split=entry["images_in_split"],
        top1_correct=entry["top1_correct"],
        top5_correct=int((top5 == labels[:, None]).any(axis=1).sum()),
        classes=len(document["data"]["classes"]),
        data_kind=document["data"]["kind"],
        correct_by_label={int(x): int(right[labels == x].sum()) for x in present},
        images_by_label={int(x): int(n) for x, n in zip(present, counts, strict=True)},
    )


def _draw(path: Path, facts: EvaluationFacts, predictions: Path) -> Draw:
    try:
        draw = Draw.model_validate_json(json.dumps(_read_json(path)))
    except ValidationError as error:
        raise RecordError(
            f"the record of the draw is wrong: {error.errors()[0]['msg']}",
            where=str(path),
            expected=f"kind (simple or stratified), seed, images, population ({VAL_IMAGES}), and "
            "for a stratified draw labels, a file",
            remedy="write it when the images are drawn",
        ) from error
    if draw.images != facts.images:
        raise RecordError(
            f"the draw took {draw.images:,} images, {facts.images:,} were evaluated",
            where=str(path),
            expected="all drawn images evaluated",
            remedy="evaluate every image of the draw",
        )
    _refuse_other_images(draw, predictions, path)
    return draw


def _refuse_other_images(draw: Draw, predictions: Path, path: Path) -> None:
    """A draw follows from its record: the images must be those."""
    ids = read_predictions(predictions).column("image_id").to_pylist()
    numbers = {int(found[1]) for i in ids if (found := _VALIDATION_NUMBER.search(i))}
    simple = draw.kind == "simple"
    wanted = drawn_numbers(draw) if simple else drawn_of_classes(_labels(draw, path), draw)
    if numbers != wanted:
        raise RecordError(
            f"{len(wanted - numbers):,} of the {draw.images:,} images that seed {draw.seed} draws "
            "were not evaluated",
            where=f"{path} and {predictions}",
            expected="the first images of the seed's permutation of "
            + ("1 to the population" if simple else "each class"),
            remedy="draw with `harness.verdict.imported."
            f"{'drawn_numbers' if simple else 'drawn_of_classes'}` and evaluate those",
        )


def _labels(draw: Draw, record: Path) -> list[str]:
    """WordNet ids of all validation images by number: the published ones, or a named file's."""
    file = record.parent / draw.labels if draw.labels else None
    labels = published_val_labels() if file is None else read_val_labels(file)
    names = [VAL_NAME.format(number) for number in range(1, draw.population + 1)]
    missing = [name for name in names if name not in labels]
    if missing:
        raise RecordError(
            f"{len(missing):,} images have no label, such as {missing[0]}",
            where=str(file or record),
            expected=f"the labels of all {draw.population:,} validation images",
            remedy="name the complete file",
        )
    return [labels[name] for name in names]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RecordError(
            f"cannot read the file: {error}",
            where=str(path),
            expected="a JSON object",
            remedy="name a folder that `harness evaluate` wrote",
        ) from error
    if not isinstance(found, dict):
        raise RecordError("the file is no JSON object", where=str(path), expected="an object")
    return found
