"""`harness plan`: what a study could answer and what it would cost."""

from pathlib import Path

import numpy as np

from harness.baselines.loading import load_baselines, load_target
from harness.baselines.own import refuse_other_recipe
from harness.baselines.schema import PublishedTarget, Target
from harness.errors import RecordError, UsageError
from harness.recipes.catalogue import find_recipe
from harness.recipes.imagenet import TRAIN_IMAGES
from harness.recipes.recipe import Recipe
from harness.record.journal import read_journal
from harness.record.summary import read_summary
from harness.verdict.judge import first_own
from harness.verdict.planning import StudyPlan, plan_study, published_rates


def plan(
    recipe_name: str,
    seeds: int,
    *,
    images_per_s: float | None = None,
    measured: Path | None = None,
    train_images: int | None = None,
    target: str | None = None,
) -> tuple[StudyPlan, ...]:
    """Plan a study against each target of its recipe; one plan where there is none.

    Args:
        recipe_name: A recipe of the catalogue.
        seeds: Runs.
        images_per_s: A known training rate.
        measured: A run's folder whose rate is taken.
        train_images: Training images; default the target's, else ImageNet's.
        target: One target, as `load_target` takes it, instead of all of the recipe's.

    Raises:
        RecipeError: no such recipe.
        BaselineError: no such target, or one of another recipe or another state of it.
        RecordError: `measured` has no steps.
        UsageError: seeds or rates out of range, or `measured` is a run of another network,
            image size, batch or arithmetic.
    """
    recipe = find_recipe(recipe_name)
    baselines = load_baselines()
    of_recipe = first_own([t for t in baselines.targets if t.recipe == recipe.name], recipe.name)
    named = (_named(target, recipe),) if target else ()
    rates = [(images_per_s, "given")] if images_per_s is not None else []
    if measured is not None:
        _refuse_other_work(read_summary(measured).started.recipe, recipe, measured)
        rates.append((measured_rate(measured), f"measured in {measured}"))
    return tuple(
        plan_study(
            recipe,
            one,
            seeds=seeds,
            train_images=train_images or (one.data.train_images if one else None) or TRAIN_IMAGES,
            rates=rates or published_rates(baselines.throughput, recipe),
            rivals=[t.top1 for t in of_recipe if isinstance(t, PublishedTarget) and t != one],
        )
        for one in named or of_recipe or (None,)
    )


def _named(which: str, recipe: Recipe) -> Target:
    target = load_target(which)
    refuse_other_recipe(target, recipe.name, recipe.digest, which)
    return target


def _refuse_other_work(ran: Recipe, planned: Recipe, run: Path) -> None:
    """A step of another network, batch or arithmetic says nothing about the planned one's hours."""
    pairs = {
        "network": (ran.model.name, planned.model.name),
        "image size": (ran.model.image_size, planned.model.image_size),
        "batch": (ran.batch, planned.batch),
        "precision": (ran.precision, planned.precision),
    }
    differs = [f"{key} is {one}, not {two}" for key, (one, two) in pairs.items() if one != two]
    if differs:
        raise UsageError(
            f"the measured run is other work than the plan's: {'; '.join(differs)}",
            where=str(run),
            expected=f"a run with the network, batch and arithmetic of {planned.name}",
            remedy="name such a run, or give a rate with --images-per-s",
        )


def measured_rate(run: Path) -> float:
    """Images per second of a recorded run: images over the median time of a step.

    Steps that hold compilation are left out.

    Raises:
        RecordError: the journal has no such steps.
    """
    journal = read_journal(run)
    kept = ~journal.column("compiled")
    times, images = journal.column("step_time_s")[kept], journal.column("images")[kept]
    if not len(times):
        raise RecordError(
            "the run has no steps to take a rate from",
            where=str(run),
            expected="a run with recorded steps beyond the compiled ones",
            remedy="name another run, or give --images-per-s",
        )
    return float(np.median(images) / np.median(times))
