"""What the main job will do with this machine: hours, from what was measured."""

from dataclasses import dataclass
from typing import Any

from harness.baselines.loading import load_baselines
from harness.doctor.lines import Line
from harness.preflight.workload import Counts, Workload, forward_share, workload
from harness.progress import duration
from harness.recipes.imagenet import CLASSES, TRAIN_IMAGES, VAL_IMAGES
from harness.recipes.recipe import Recipe

MAX_HOURS = 120.0
"""What `harness reproduce` allows a seed."""
LIMIT_REMEDY = (
    "use a machine with a GPU, or with a faster one; `harness reproduce` refuses it here unless "
    "--max-hours is raised"
)


@dataclass(frozen=True)
class DataCounts:
    """Counts of a main job's data, ILSVRC2012's unless a target has others."""

    train_images: int = TRAIN_IMAGES
    val_images: int = VAL_IMAGES
    classes: tuple[str, ...] = ("",) * CLASSES


def counts_of(recipe: Recipe) -> Counts:
    """What the recipe's registered target says of its data; ImageNet where none does."""
    for target in load_baselines().targets:
        data = target.data
        if target.recipe == recipe.name and data.train_images and data.val_images:
            return DataCounts(data.train_images, data.val_images)
    return DataCounts()


def main_job(recipe: Recipe, multiply_adds: int) -> Workload:
    """One seed of the recipe on its target's data. Imports TensorFlow."""
    from harness.models.catalogue import describe

    counts = counts_of(recipe)
    classes = recipe.model.classes or len(counts.classes)
    size = describe(recipe.model.name, classes, recipe.normalisation.channel_count)
    return workload(
        recipe,
        counts,
        forward_multiply_adds=multiply_adds,
        trainable=size.trainable,
        moving=size.moving,
    )


def job_line(recipe: Recipe, lines: list[Line], seeds: int) -> Line:
    """Hours of the main job, from the timed step; of other precisions from the peak rates.

    Args:
        recipe: Of the main job.
        lines: With those named step, matrix product and input.
        seeds: Declared.
    """
    figures = {line.name: line.figures for line in lines}
    step = figures.get("step", {})
    if "step_s" not in step:
        return Line("main job", "note", "no step was timed, so nothing can be said about its time")
    load = Workload(**step["load"])
    image_s = step["step_s"] / step["batch"]
    hours = (load.images + load.crops * forward_share(recipe.model)) * image_s / 3600
    gpus = max(1, int(figures.get("tensorflow", {}).get("gpus", 0)))
    told: dict[str, Any] = {"hours_a_seed": hours, "gpus": gpus, "seeds": seeds}
    words = (
        f"{recipe.name}: about {duration(3600 * hours)} a seed on one device, {seeds} are declared"
    )
    if gpus > 1:
        words += f"; {gpus} GPUs can train {gpus} seeds at once, or share one (--devices all)"
    for name, bound in _bounds(load, figures.get("matrix product", {})).items():
        told[f"least_hours_{name}"] = bound
        words += f"; {name} {duration(3600 * bound)} of arithmetic alone"
    rate = figures.get("input", {})
    if gpus and rate.get("images_per_s", float("inf")) < rate.get("needed_images_per_s", 0.0):
        slower = rate["needed_images_per_s"] / rate["images_per_s"]
        told["hours_a_seed_with_input"] = hours * slower
        words += f"; with this host's input about {duration(3600 * hours * slower)}"
    if hours > MAX_HOURS:
        return Line("main job", "slow", words, LIMIT_REMEDY, told)
    return Line("main job", "ok", words, figures=told)


def _bounds(load: Workload, product: dict[str, Any]) -> dict[str, float]:
    """Least hours in each further precision: counted operations at its peak rate."""
    rates = product.get("flops_per_s", {})
    return {name: load.flops / rate / 3600 for name, rate in rates.items() if name != "float32"}
