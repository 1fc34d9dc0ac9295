"""How much arithmetic and disk a training needs, counted before it begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Structure

from harness.evaluation.passes import shared_passes, widest_of
from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Model, Recipe

BYTES_PER_FLOAT32 = 4
CHECKPOINTS_KEPT = 3
EPOCHS_PER_KEPT_CHECKPOINT = 5
"""As the reference kept its weights."""
SMALL_STATE_BYTES = 8 << 20
"""A state up to this size stays after each epoch: the audit of a run then draws short segments."""
JOURNAL_BYTES_PER_STEP = 160
TRACKER_BYTES = 200 << 20
PREDICTION_BYTES_PER_IMAGE = 80


class Counts(Structure):
    """What is counted of a data set: its identity, or its shape before it is inspected."""

    @property
    def train_images(self) -> int:
        """Training images."""

    @property
    def val_images(self) -> int:
        """Validation images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""


@dataclass(frozen=True)
class Workload:
    """What one seed of a recipe still needs.

    Attributes:
        steps: Training steps.
        images: Training images, repetitions counted.
        crops: Crops evaluated, in units of one crop of the training size.
        flops: Floating-point operations in convolutions and matrix products.
        disk_bytes: For checkpoints, predictions and journal.
    """

    steps: int
    images: int
    crops: float
    flops: float
    disk_bytes: int


def workload(
    recipe: Recipe,
    data: Counts,
    *,
    forward_multiply_adds: int,
    trainable: int,
    moving: int,
    steps_done: int = 0,
    last_step: int | None = None,
    eval_images: int | None = None,
) -> Workload:
    """Count the rest of one seed.

    Args:
        recipe: What is trained.
        data: On which images.
        forward_multiply_adds: Of one image of the recipe's size.
        trainable: Parameters learned by gradients.
        moving: Moving statistics.
        steps_done: Steps that a checkpoint holds already.
        last_step: Where a `--steps` limit ends the run; None is the recipe's end.
        eval_images: Images of each evaluation; None is the whole split.
    """
    from harness.measure.operations import forward_flops, training_flops

    per_epoch = recipe.steps_in_epoch(data.train_images)
    total = recipe.total_steps(per_epoch)
    end = min(total, last_step or total)
    steps = max(0, end - steps_done)
    images = steps * recipe.batch
    evaluated = min(data.val_images, eval_images or data.val_images)
    size = recipe.model.image_size
    evaluations = epoch_evaluations(recipe, per_epoch, steps_done, end)
    crops = evaluations * _crops([recipe.epoch_protocol], size)
    # A trial that names its images ends with the final protocols as well.
    final = recipe.final_protocols if end == total or eval_images is not None else ()
    state_bytes = BYTES_PER_FLOAT32 * (2 * trainable + moving)
    crops += _crops(final, size)
    return Workload(
        steps=steps,
        images=images,
        crops=evaluated * crops,
        flops=training_flops(
            forward_multiply_adds,
            images,
            trunk_is_frozen=recipe.model.trunk_is_frozen,
        )
        + forward_flops(forward_multiply_adds, 1) * evaluated * crops,
        disk_bytes=_disk_bytes(
            state_bytes,
            kept=_kept(per_epoch * kept_every_epochs(state_bytes), steps_done, end),
            steps=steps,
            predictions=evaluated * (evaluations + len(final)),
        ),
    )


def forward_share(model: Model) -> float:
    """A crop's part of an image's training: gradients cost about two forward passes more.

    Below a frozen trunk nothing is derived.
    """
    return 1.0 if model.trunk_is_frozen else 1 / 3


def epoch_evaluations(recipe: Recipe, per_epoch: int, first: int, last: int) -> int:
    """Evaluations after steps in (first, last]; the recipe's end has its own protocols."""
    every = recipe.evaluate_every_epochs * per_epoch
    last = min(last, recipe.total_steps(per_epoch) - 1)
    return max(0, last // every - first // every)


def _crops(protocols: Sequence[Protocol], image_size: int) -> float:
    """Crops of one image in every pass, larger ones weighed by their area."""
    walks = map(widest_of, shared_passes(tuple(protocols)))
    return sum(_area(walk, image_size) for walk in walks)


def _area(protocol: Protocol, image_size: int) -> float:
    sizes = [protocol.crop_size or side for side in protocol.short_sides]
    return protocol.views / len(sizes) * sum((size / image_size) ** 2 for size in sizes)


def kept_every_epochs(state_bytes: int) -> int:
    """Which epochs' checkpoints stay although they are old: each, or every fifth."""
    return 1 if state_bytes <= SMALL_STATE_BYTES else EPOCHS_PER_KEPT_CHECKPOINT


def _kept(every: int, first: int, last: int) -> int:
    """Checkpoints after steps in (first, last] that stay although they are old."""
    return max(0, last // every - first // every)


def _disk_bytes(state: int, *, kept: int, steps: int, predictions: int) -> int:
    """Bytes that are still to be written; a kept checkpoint holds the momentum as well.

    Args:
        state: Bytes of a checkpoint: weights, moving statistics and momentum.
        kept: Checkpoints that stay.
        steps: Lines of the journal.
        predictions: Lines of the predictions.
    """
    return (
        # One more than are kept: the new one is complete before the oldest goes.
        (CHECKPOINTS_KEPT + 1) * state
        + kept * state
        + steps * JOURNAL_BYTES_PER_STEP
        + predictions * PREDICTION_BYTES_PER_IMAGE
        + TRACKER_BYTES
    )
