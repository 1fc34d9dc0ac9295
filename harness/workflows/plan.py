"""`harness plan`: what a study could answer and what it would cost."""

from pathlib import Path
from statistics import median

from harness.baselines.loading import load_baselines
from harness.errors import RecordError
from harness.recipes.catalogue import find_recipe
from harness.record.journal import read_journal
from harness.verdict.planning import StudyPlan, plan_study, published_rates

IMAGENET_TRAIN_IMAGES = 1_281_167


def plan(
    recipe_name: str,
    seeds: int,
    *,
    images_per_s: float | None = None,
    measured: Path | None = None,
    train_images: int | None = None,
) -> StudyPlan:
    """Plan a study.

    Args:
        recipe_name: A recipe of the catalogue.
        seeds: Runs.
        images_per_s: A known training rate.
        measured: A run's folder whose rate is taken.
        train_images: Training images; default the target's, else ImageNet's.

    Raises:
        RecipeError: no such recipe.
        RecordError: `measured` has no steps.
        UsageError: seeds or rates out of range.
    """
    recipe = find_recipe(recipe_name)
    baselines = load_baselines()
    target = next((t for t in baselines.targets if t.recipe == recipe.name), None)
    known = target.data.train_images if target else None
    rates = [(images_per_s, "given")] if images_per_s is not None else []
    if measured is not None:
        rates.append((measured_rate(measured), f"measured in {measured}"))
    return plan_study(
        recipe,
        target,
        seeds=seeds,
        train_images=train_images or known or IMAGENET_TRAIN_IMAGES,
        rates=rates or published_rates(baselines.throughput, recipe),
    )


def measured_rate(run: Path) -> float:
    """Images per second of a recorded run: images over the median time of a step.

    Steps that hold compilation are left out.

    Raises:
        RecordError: the journal has no such steps.
    """
    times: list[float] = []
    images: list[int] = []
    for window in read_journal(run).steps:
        kept = [i for i, step in enumerate(window.step) if step not in window.compiled]
        times += [window.step_time_s[i] for i in kept]
        images += [window.images[i] for i in kept]
    if not times:
        raise RecordError(
            "the run has no steps to take a rate from",
            where=str(run),
            expected="a run with recorded steps beyond the compiled ones",
            remedy="name another run, or give --images-per-s",
        )
    return median(images) / median(times)
