"""What a run's records state, computed again from what lies beside it: digests and counts."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from harness.errors import DifferenceFoundError, RecordError, UsageError
from harness.frozen import digest_of
from harness.recipes.protocol import Protocol
from harness.record.journal import journal_content
from harness.record.predictions import read_predictions
from harness.record.run_length import other_length
from harness.record.schema import Evaluation, RunStarted
from harness.record.summary import RunSummary

NAMED_FILES = 5
"""Missing prediction files that a message names; the others are counted."""

Labels = dict[str, str]
"""By a data set's root: the digest of its validation images with their labels."""


def check_stored(run: RunSummary, labels: Labels) -> tuple[str, ...]:
    """Compute again what a run's journal states; returns what could not be, in words.

    The digests of recipe, protocols, numerics and registered targets, and from each
    prediction file its digest and its counts. A missing file is passed over where its
    evaluation decides nothing.

    Args:
        run: Of one study.
        labels: What the prediction files of earlier runs have; those of this one are added.

    Raises:
        DifferenceFoundError: a digest or a count is another one.
        RecordError: an evaluation was recorded twice, or a prediction file is damaged.
    """
    where = "/".join(run.folder.parts[-2:])
    _refuse_doubled(run, where)
    check_digests(run.folder, run.started, run.evaluations, where)
    missing = []
    for event in run.evaluations:
        name = event.predictions_file and Path(event.predictions_file).name
        if name and (run.folder / name).is_file():
            recount(run.folder / name, event, run.started, where, labels)
        elif event.final or run.started.recipe.selection != "last":
            missing.append(name or f"that of {event.protocol.name} after step {event.step:,}")
    words = [] if run.head.linked_from == 1 else [run.head.told.removesuffix(".")]
    if (found := other_length(run.started)) is not None:
        words.append(f"a run of another length than its recipe's: {found}")
    if run.excerpt:
        words.append(f"this is {run.excerpt.told.removesuffix('.')}")
    if missing:
        named = ", ".join(missing[:NAMED_FILES])
        more = f" and {len(missing) - NAMED_FILES} more" if len(missing) > NAMED_FILES else ""
        words.append(f"not counted again, the file is missing: {named}{more}")
    return tuple(f"{where}: {one}" for one in words)


def _refuse_doubled(run: RunSummary, where: str) -> None:
    """A run evaluates a protocol once after a step, resumed or not."""
    times = Counter((e.step, e.protocol_digest, e.final) for e in run.evaluations)
    names = {event.protocol_digest: event.protocol.name for event in run.evaluations}
    for (step, digest, _), n in times.items():
        if n > 1:
            raise RecordError(
                f"{names[digest]} is recorded {n} times after step {step:,}",
                where=where,
                expected="one evaluation of a protocol after a step",
                remedy="restore the journal from a copy; lines are never added by hand",
            )


def check_digests(
    path: Path, started: RunStarted, evaluations: Sequence[Evaluation], where: str
) -> None:
    """Digests of recipe, protocols, numerics and registered targets, and the images of the data.

    Fields that are newer than a journal have no part in the digests of recipe and
    protocol; those of the numerics have, so that its text is taken as it was written.
    """
    equal(started.recipe.digest, started.recipe_digest, "the recipe's digest", where)
    numerics = digest_of(_written_numerics(path))
    equal(numerics, started.numerics_digest, "the numerics digest", where)
    for target in started.targets or ():
        words = f"the digest of the registered target {target.name}"
        equal(digest_of(target.demands), target.digest, words, where)
    for event in evaluations:
        equal(event.protocol.digest, event.protocol_digest, "a protocol's digest", where)
        images = f"the number of validation images at {event.protocol.name}"
        equal(event.images_in_split, started.data.val_images, images, where)


def _written_numerics(path: Path) -> Any:
    # The first event is the start, however its line is spaced: the journal was read before.
    first = re.search(rb"\S[^\n]*", journal_content(path)[1])
    return json.loads(first[0])["numerics"] if first else None


def recount(file: Path, event: Evaluation, started: RunStarted, where: str, labels: Labels) -> None:
    """Compare a prediction file with its evaluation: digest, what it is about, images and hits.

    The labels of a whole evaluation are those of all other runs on the data: see `Labels`.
    """
    about = f"{where}, {file.name}"
    equal(sha256_of(file), event.predictions_digest, "the predictions' digest", about)
    table = read_predictions(file)
    written = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    try:
        protocol = Protocol.model_validate_json(written.get("protocol", ""))
    except ValidationError:
        protocol = None  # it is not stated
    equal(protocol and protocol.digest, event.protocol_digest, "the predictions' protocol", about)
    equal(written.get("data_root"), started.data.root_digest, "the predictions' data", about)
    equal(written.get("step"), str(event.step), "the predictions' step", about)
    top1, top5 = count_correct(table)
    equal(table.num_rows, event.images, "the number of images", about)
    equal(top1, event.top1_correct, "the number of top-1 hits", about)
    equal(top5, event.top5_correct, "the number of top-5 hits", about)
    if event.complete:
        mine = _labels_digest(table)
        theirs = labels.setdefault(started.data.root_digest, mine)
        equal(mine, theirs, "the digest of images and labels", f"{about}, beside other files")


def _labels_digest(predictions: pa.Table) -> str:
    table = predictions.select(["image_id", "label"]).sort_by("image_id")
    labels = table.column("label").to_numpy().tobytes()
    images = "\n".join(table.column("image_id").to_pylist()).encode()
    return hashlib.sha256(images + labels).hexdigest()


def count_correct(predictions: pa.Table) -> tuple[int, int]:
    """Images whose label is the most probable class, and among the five most probable."""
    labels = predictions.column("label").to_numpy()
    classes = predictions.column("top5_class").combine_chunks().flatten().to_numpy()
    hits = classes.reshape(-1, 5) == labels[:, None]
    return int(hits[:, 0].sum()), int(np.any(hits, axis=1).sum())


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the file cannot be read ({error.strerror})",
            where=str(path),
            expected="a file that this user may read",
            remedy="check the path",
        ) from error


def equal(found: object, expected: object, what: str, where: str) -> None:
    """Raise `DifferenceFoundError` unless both are equal."""
    if found != expected:
        raise DifferenceFoundError(
            f"{what} is {found}",
            where=where,
            expected=f"{expected}, as the journal says",
            remedy="the raw parts contradict each other: ask whoever made them",
        )
