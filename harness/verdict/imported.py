"""Imported weights evaluated against a published accuracy of the same weights.

All images of the set leave no sampling error: the published figure counts the
same images. A difference is then preprocessing, class order or decoder, if the
weights are the published ones, which nothing here can tell. A subset is judged
only if it was drawn at random with a recorded seed; any other is described.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from harness.baselines.schema import AccuracyRow
from harness.frozen import Frozen
from harness.recipes.imagenet import CLASSES, VAL_IMAGES
from harness.recipes.protocol import Protocol
from harness.statistics.finite_population import (
    Stratum,
    detectable_difference,
    simple_draw_interval,
    stratified_interval,
)
from harness.statistics.intervals import Interval
from harness.statistics.rounding import percent, points
from harness.verdict.judgement import Bounds

TOLERANCE = 0.0005
"""0.05 points: careful evaluators of the same weights agree within 0.03 (torchvision and timm)."""
CONFIDENCE = 0.95
CHANCE_FACTOR = 5

EvaluationWord = Literal["agrees", "differs", "cannot_tell", "described"]
_EXIT_CODES: dict[EvaluationWord, int] = {
    "agrees": 0,
    "differs": 1,
    "cannot_tell": 3,
    "described": 3,
}


class Draw(Frozen):
    """The record of a random draw of validation images.

    `seed` makes it repeatable: `drawn_numbers` and `drawn_of_classes`. A
    stratified draw takes equally many images of each class; which those are
    follows from `labels`, a file with the labels of all images (as `harness
    prepare` reads it).
    """

    kind: Literal["simple", "stratified"]
    seed: int = Field(ge=0)
    images: int = Field(ge=1)
    population: int = Field(ge=1)
    labels: str | None = None

    @model_validator(mode="after")
    def _from_the_whole_set(self) -> "Draw":
        if self.population != VAL_IMAGES:
            raise ValueError(
                f"population is {self.population:,}, but published accuracies are about all "
                f"{VAL_IMAGES:,} validation images"
            )
        if self.images > self.population:
            raise ValueError(f"{self.images:,} images of a population of {self.population:,}")
        each, rest = divmod(self.images, CLASSES)
        if self.kind == "stratified" and (rest or each < 2):
            raise ValueError(
                f"{self.images:,} images are not equally many, and at least two, of each of "
                f"{CLASSES:,} classes"
            )
        return self


class EvaluationFacts(Frozen):
    """What is known of an evaluation; counts per label are right answers and images."""

    model: str
    protocol: Protocol
    images: int
    images_in_split: int
    top1_correct: int
    top5_correct: int | None = None
    classes: int
    data_kind: str
    correct_by_label: dict[int, int]
    images_by_label: dict[int, int]


class EvaluationAnswer(Frozen):
    """The answer; differences are ours minus published, fractions."""

    word: EvaluationWord
    reasons: tuple[str, ...]
    suspects: tuple[str, ...]
    model: str
    row: str
    published: float
    images: int
    accuracy: float
    difference: float
    interval: Bounds | None
    detectable: float | None
    unstated: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 agrees; 1 differs; 3 cannot tell, or described only."""
        return _EXIT_CODES[self.word]


def drawn_numbers(draw: Draw) -> frozenset[int]:
    """Numbers of the images that a simple draw takes, a pure function of its record.

    ILSVRC2012's validation images are numbered from 1; the first `images` of
    NumPy's PCG64 permutation of all of them are taken.
    """
    taken = np.random.default_rng(draw.seed).permutation(draw.population)[: draw.images]
    return frozenset(int(i) + 1 for i in taken)


def drawn_of_classes(labels: Sequence[int] | Sequence[str], draw: Draw) -> frozenset[int]:
    """Numbers of the images that a stratified draw takes: equally many of each class.

    Args:
        labels: Of all images, by number from 1; classes are taken in their order.
        draw: The record; `images` is a multiple of the number of classes.
    """
    generator = np.random.default_rng(draw.seed)
    array = np.asarray(labels)
    classes = np.unique(array)
    taken: set[int] = set()
    for label in classes:
        members = np.flatnonzero(array == label)
        chosen = generator.permutation(len(members))[: draw.images // len(classes)]
        taken |= {int(i) + 1 for i in members[chosen]}
    return frozenset(taken)


def judge_evaluation(
    facts: EvaluationFacts, row: AccuracyRow, draw: Draw | None = None
) -> EvaluationAnswer:
    """Hold an evaluation against a published accuracy of the same weights.

    Args:
        facts: The evaluation.
        row: The published row.
        draw: How a subset was drawn; None for the whole set or any other subset.
    """
    obstacles = _not_comparable(facts, row)
    whole = facts.images == facts.images_in_split == VAL_IMAGES
    if obstacles:
        rest = () if whole or draw is not None else (_description(facts),)
        return _answer("described", (*obstacles, *rest), facts, row)
    if whole:
        return _judge_whole(facts, row)
    if draw is None:
        return _answer("described", (_description(facts),), facts, row)
    return _judge_draw(facts, row, draw)


def _judge_whole(facts: EvaluationFacts, row: AccuracyRow) -> EvaluationAnswer:
    pairs = [("top-1", facts.top1_correct, row.top1)]
    if facts.top5_correct is not None and row.top5 is not None:
        pairs.append(("top-5", facts.top5_correct, row.top5))
    apart = {name: correct / facts.images - published for name, correct, published in pairs}
    told = ", ".join(f"{name} {points(difference)}" for name, difference in apart.items())
    basis = f"all {facts.images:,} images: no sampling error, and the differences are {told} points"
    if all(abs(difference) <= TOLERANCE + 1e-12 for difference in apart.values()):
        reason = f"{basis}, within {100 * TOLERANCE:.2f}"
        return _answer("agrees", (reason,), facts, row)
    reason = (
        f"{basis}, not within {100 * TOLERANCE:.2f}: preprocessing, class order or decoder, or "
        "these are not the published weights"
    )
    return _answer("differs", (reason,), facts, row, suspects=_suspects(facts, row))


def _judge_draw(facts: EvaluationFacts, row: AccuracyRow, draw: Draw) -> EvaluationAnswer:
    interval = _draw_interval(facts, draw)
    found = Bounds(low=interval.low, high=interval.high, confidence=CONFIDENCE)
    power = detectable_difference(facts.images, draw.population, row.top1) + TOLERANCE
    span = f"[{percent(interval.low)}, {percent(interval.high)}]"
    basis = (
        f"a {draw.kind} draw of {facts.images:,} of {draw.population:,} images, seed {draw.seed}"
    )
    could = f"it could have detected {100 * power:.2f} points with 80 % power"
    if not interval.low - TOLERANCE <= row.top1 <= interval.high + TOLERANCE:
        reason = f"{basis}: the interval for the whole set, {span}, excludes the published figure"
        return _answer("differs", (reason, could), facts, row, suspects=_suspects(facts, row),
                       interval=found, detectable=power)  # fmt: skip
    reason = f"{basis}: the interval for the whole set, {span}, holds the published figure"
    return _answer("cannot_tell", (reason, could), facts, row, interval=found, detectable=power)


def _draw_interval(facts: EvaluationFacts, draw: Draw) -> Interval:
    if draw.kind == "simple":
        return simple_draw_interval(facts.top1_correct, facts.images, draw.population, CONFIDENCE)
    size = draw.population // len(facts.images_by_label)
    strata = [
        Stratum(size, images, facts.correct_by_label.get(label, 0))
        for label, images in facts.images_by_label.items()
    ]
    return stratified_interval(strata, CONFIDENCE)


def _not_comparable(facts: EvaluationFacts, row: AccuracyRow) -> tuple[str, ...]:
    """Every reason why no comparison is possible at all, in words."""
    found = []
    if facts.data_kind not in {"imagenet", "imagenet_subset"}:
        found.append(
            f"the data is {facts.data_kind}, the row is about ImageNet's validation images"
        )
    if row.architecture is None:
        found.append(f"the row does not state exactly which network it is about: {row.model}")
    elif row.architecture != facts.model:
        found.append(f"the network is {facts.model}, the row's {row.architecture}")
    if differs := row.protocol.differences(facts.protocol):
        keys = ", ".join(
            f"{key} ({getattr(facts.protocol, key)}, the row's {getattr(row.protocol, key)})"
            for key in differs
        )
        found.append(f"another protocol, differs in: {keys}")
    return tuple(found)


def _description(facts: EvaluationFacts) -> str:
    covered = len(facts.images_by_label)
    if covered < CLASSES:
        return f"covers {covered:,} of {CLASSES:,} classes, not a random draw"
    return (
        f"{facts.images:,} of {VAL_IMAGES:,} images without a recorded random draw: "
        "described, not judged"
    )


def _suspects(facts: EvaluationFacts, row: AccuracyRow) -> tuple[str, ...]:
    """What could explain a difference: fields that the source leaves open, most likely first."""
    accuracy = facts.top1_correct / facts.images
    found = []
    if accuracy < CHANCE_FACTOR / facts.classes:
        found.append("class order: the accuracy is near chance")
    order = ("normalisation", "crop_size", "short_sides", "decoder", "antialias", "interpolation",
             "resize_rule", "average", "fold_batch_norm")  # fmt: skip
    unstated = row.protocol.unstated()
    for name in order:
        if name in unstated:
            value = getattr(facts.protocol, name)
            shown = value.model_dump_json() if isinstance(value, Frozen) else value
            found.append(f"{name}: not stated by the source, here {shown}")
    return tuple(found)


def _answer(
    word: EvaluationWord,
    reasons: tuple[str, ...],
    facts: EvaluationFacts,
    row: AccuracyRow,
    *,
    suspects: tuple[str, ...] = (),
    interval: Bounds | None = None,
    detectable: float | None = None,
) -> EvaluationAnswer:
    accuracy = facts.top1_correct / facts.images
    return EvaluationAnswer(
        word=word,
        reasons=reasons,
        suspects=suspects,
        model=facts.model,
        row=row.name,
        published=row.top1,
        images=facts.images,
        accuracy=accuracy,
        difference=accuracy - row.top1,
        interval=interval,
        detectable=detectable,
        unstated=row.protocol.unstated(),
    )


def evaluation_text(answer: EvaluationAnswer) -> str:
    """For a terminal."""
    lines = [f"evaluation: {answer.word.replace('_', ' ').upper()}"]
    lines += [f"  {reason}" for reason in answer.reasons]
    lines += [
        "",
        f"model      {answer.model}",
        f"published  {percent(answer.published)} ({answer.row})",
    ]
    lines += [f"ours       {percent(answer.accuracy)} on {answer.images:,} images"]
    if answer.word != "described":
        lines += [f"difference {points(answer.difference)} points"]
    if answer.unstated:
        lines += [f"unstated   the row's source does not state {', '.join(answer.unstated)}"]
    if answer.suspects:
        lines += ["", "suspects:", *(f"  {suspect}" for suspect in answer.suspects)]
    return "\n".join(lines)
