"""What a planned study can answer, and what it costs, before three days of GPU time are spent."""

from collections.abc import Iterator, Sequence
from math import sqrt

import scipy

from harness.baselines.schema import PublishedTarget, Target, ThroughputRow
from harness.errors import UsageError
from harness.frozen import Frozen
from harness.recipes.recipe import Recipe
from harness.statistics.power import (
    Chances,
    Design,
    chances,
    expected_half_width,
    seeds_needed,
    undecidable_band,
)
from harness.statistics.rounding import points
from harness.verdict.planned_variants import PlannedVariant, variant_lines, variants
from harness.verdict.text import table

TRUE_DIFFERENCES = (0.0, 0.001, 0.002, 0.003, 0.005, 0.0057, 0.0075, 0.01)
WANTED = (0.80, 0.95)
TRUE_ACCURACIES = (0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99)
SECONDS_PER_HOUR = 3600
SHARED_IMAGES = (
    "seeds are taken as independent; they share the images, so the chance lies between this one "
    "and that of a single seed"
)
HOURS = "hours are for training steps alone, without evaluations and checkpoints"


class AnswerChances(Frozen):
    """What happens at one true difference; None: no number of seeds is enough.

    `seeds_80` and `seeds_95` are the fewest seeds for that chance of a
    conclusive answer; `limit` is the chance with endless seeds.
    """

    true_difference: float
    reproduced: float
    not_reproduced: float
    exceeds: float
    inconclusive: float
    seeds_80: int | None
    seeds_95: int | None
    limit: float


class PassChance(Frozen):
    """The chance that every seed reaches a threshold at one true accuracy."""

    true_accuracy: float
    passes: float


class Cost(Frozen):
    """Compute at one rate."""

    images_per_s: float
    origin: str
    hours_per_seed: float
    hours_in_all: float


class StudyPlan(Frozen):
    """The whole plan; the lists that do not apply to the target's kind are empty."""

    recipe: str
    target: str | None
    seeds: int
    images_per_seed: int
    steps_per_seed: int
    margin: float | None
    half_width: float | None
    undecidable: tuple[float, float] | None
    chances: tuple[AnswerChances, ...]
    variants: tuple[PlannedVariant, ...] = ()
    pass_chances: tuple[PassChance, ...]
    costs: tuple[Cost, ...]
    assumptions: tuple[str, ...]


def plan_study(
    recipe: Recipe,
    target: Target | None,
    *,
    seeds: int,
    train_images: int,
    rates: Sequence[tuple[float, str]],
    rivals: Sequence[float] = (),
) -> StudyPlan:
    """Plan a study of `seeds` runs.

    Args:
        recipe: What would be run.
        target: What it would be judged against; None when nothing is registered.
        seeds: Runs.
        train_images: Images of the training split.
        rates: Pairs of images per second and where that rate is from.
        rivals: Other published accuracies of the same recipe: what if they are right?

    Raises:
        UsageError: fewer than one seed, or a rate that is not positive.
    """
    if seeds < 1 or any(rate <= 0 for rate, _ in rates):
        raise UsageError(
            f"{seeds} seeds at {', '.join(f'{rate:g}' for rate, _ in rates) or 'no'} images/s",
            expected="at least one seed and rates above 0",
        )
    steps = recipe.total_steps(recipe.steps_in_epoch(train_images))
    images = steps * recipe.batch
    evaluations = steps // recipe.steps_in_epoch(train_images) // recipe.evaluate_every_epochs
    published = target if isinstance(target, PublishedTarget) else None
    enough = published is not None and seeds >= published.min_seeds
    design = design_of(published, seeds) if published and enough else None
    threshold = target if target is not None and published is None else None
    return StudyPlan(
        recipe=recipe.name,
        target=target.name if target else None,
        seeds=seeds,
        images_per_seed=images,
        steps_per_seed=steps,
        margin=published.margin if published else None,
        half_width=expected_half_width(design) if design else None,
        undecidable=undecidable_band(design, WANTED[0]) if design else None,
        chances=tuple(_chance(published, seeds, size) for size in _sizes(published, rivals))
        if published
        else (),
        variants=tuple(variants(published, design, evaluations)) if published and design else (),
        pass_chances=_pass_chances(threshold, seeds) if threshold else (),
        costs=tuple(_cost(images, seeds, rate, origin) for rate, origin in rates),
        assumptions=_assumptions(target),
    )


def design_of(target: PublishedTarget, seeds: int) -> Design:
    """The comparison that a target's first look prescribes, our spread taken as the target's."""
    target = target.looks()[0]
    spread = target.run_spread
    return Design(
        runs=seeds,
        spread=spread.standard_deviation,
        published_runs=target.n,
        published_spread=spread.standard_deviation,
        published_df=spread.df,
        margin=target.margin,
        alpha=target.alpha,
    )


def published_rates(rows: Sequence[ThroughputRow], recipe: Recipe) -> tuple[tuple[float, str], ...]:
    """Published rates of one device for the recipe's network: its own precision's first.

    Those of other precisions are named as such, because they are what a recipe in them would
    take; within a precision the fastest comes first.
    """
    fitting = [row for row in rows if row.devices == 1 and row.network in recipe.model.name]
    own = recipe.precision.name
    return tuple(
        (
            row.images_per_s,
            f"{row.precision}: {row.device}, {row.software} ({row.input} input), published",
        )
        for row in sorted(
            fitting, key=lambda row: (row.precision != own, row.precision, -row.images_per_s)
        )
    )


def _sizes(target: PublishedTarget, rivals: Sequence[float]) -> list[float]:
    """True differences of both signs, from the greatest loss to the greatest gain."""
    apart = {round(abs(top1 - target.top1), 6) for top1 in rivals}
    sizes = {*TRUE_DIFFERENCES, *apart}
    return sorted({sign * size for size in sizes for sign in (-1, 1)})


def _chance(target: PublishedTarget, seeds: int, size: float) -> AnswerChances:
    """The chances at one true difference; too few seeds are always inconclusive."""
    design = design_of(target, max(seeds, target.min_seeds))
    at = chances(design, size) if seeds >= target.min_seeds else Chances(0.0, 0.0, 0.0, 1.0)
    needed = [seeds_needed(design, -abs(size), wanted, target.min_seeds) for wanted in WANTED]
    return AnswerChances(
        true_difference=size,
        reproduced=at.reproduced,
        not_reproduced=at.not_reproduced,
        exceeds=at.exceeds,
        inconclusive=at.inconclusive,
        seeds_80=needed[0].runs,
        seeds_95=needed[1].runs,
        limit=needed[0].limit,
    )


def _pass_chances(target: Target, seeds: int) -> tuple[PassChance, ...]:
    images = target.data.val_images
    if isinstance(target, PublishedTarget) or images is None:
        return ()
    least = next(k for k in range(images + 1) if k / images >= target.threshold)
    return tuple(
        PassChance(
            true_accuracy=accuracy,
            passes=float(scipy.stats.binom.sf(least - 1, images, accuracy)) ** seeds,
        )
        for accuracy in TRUE_ACCURACIES
    )


def _cost(images: int, seeds: int, rate: float, origin: str) -> Cost:
    hours = images / rate / SECONDS_PER_HOUR
    return Cost(images_per_s=rate, origin=origin, hours_per_seed=hours, hours_in_all=hours * seeds)


def _assumptions(target: Target | None) -> tuple[str, ...]:
    if target is None:
        return (HOURS,)
    if not isinstance(target, PublishedTarget):
        return (SHARED_IMAGES, HOURS)
    spread = target.run_spread
    size = 100 * spread.standard_deviation
    return (
        f"seed-to-seed spread of our runs {size:.3f} points, as of the target's",
        f"that spread: {spread.origin}",
        spread.assumption,
        f"conditional on the validation images, which are the same{_binomial(target)}",
        HOURS,
    )


def _binomial(target: PublishedTarget) -> str:
    images = target.data.val_images
    if images is None:
        return ""
    part = 100 * sqrt(target.top1 * (1 - target.top1) / images)
    return f"; with another draw of {images:,} both would move by {part:.3f} points (binomial)"


def plan_text(plans: Sequence[StudyPlan]) -> str:
    """The plans of one study, one for each target, for a terminal; the cost is printed once."""
    first = plans[0]
    lines = [f"plan: {first.recipe}, {first.seeds} seed{'' if first.seeds == 1 else 's'}"]
    for plan in plans:
        lines += [*_target_lines(plan)]
        if len(plans) > 1:
            lines += [*_assumption_lines(plan.assumptions[:-1]), ""]
    lines += _cost_lines(first)
    lines += ["", *_assumption_lines(first.assumptions if len(plans) == 1 else (HOURS,))]
    return "\n".join(lines)


def _assumption_lines(assumptions: Sequence[str]) -> list[str]:
    return ["assumptions:", *(f"  {text}" for text in assumptions)]


def _target_lines(plan: StudyPlan) -> Iterator[str]:
    yield from (f"target: {plan.target or 'none is registered for this recipe'}", "")
    if plan.chances:
        yield from (*_chance_lines(plan), "")
    if plan.variants:
        yield from (*variant_lines(plan.variants), "")
    if plan.chances and plan.half_width is None:
        yield from ("fewer seeds than the target asks for: the answer would be inconclusive", "")
    if plan.pass_chances:
        rows = [(f"{100 * c.true_accuracy:.1f} %", f"{c.passes:.3f}") for c in plan.pass_chances]
        yield from table(("true accuracy", "chance that every seed reaches the threshold"), rows)
        yield ""


def _chance_lines(plan: StudyPlan) -> list[str]:
    header = (
        "true difference",
        "reproduced",
        "not reproduced",
        "exceeds",
        "inconclusive",
        "seeds for 80 %",
        "seeds for 95 %",
    )
    rows = [
        (
            f"{points(c.true_difference)} points" if c.true_difference else "0",
            f"{c.reproduced:.3f}",
            f"{c.not_reproduced:.3f}",
            f"{c.exceeds:.3f}",
            f"{c.inconclusive:.3f}",
            _needed(c.seeds_80, c.limit),
            _needed(c.seeds_95, c.limit),
        )
        for c in plan.chances
    ]
    lines = table(header, rows)
    if plan.undecidable and plan.margin and plan.half_width:
        reach, low, high = plan.half_width, *plan.undecidable
        span = f"{100 * (plan.margin - reach):.2f} and {100 * (plan.margin + reach):.2f}"
        lines += ["", f"the deciding interval reaches {100 * reach:.2f} points to each side, so"]
        lines += [f"  an observed difference between {span} points is inconclusive (on average)"]
        lines += [f"  a true one between {100 * low:.2f} and {100 * high:.2f} points has less than"]
        lines += [f"  {100 * WANTED[0]:.0f} % chance of a conclusive answer"]
    return lines


def _needed(runs: int | None, limit: float) -> str:
    return f"none, at most {100 * limit:.0f} %" if runs is None else str(runs)


def _cost_lines(plan: StudyPlan) -> list[str]:
    work = f"{plan.steps_per_seed:,} steps, {plan.images_per_seed:,} images a seed"
    if not plan.costs:
        return [work, "hours: no rate; give --images-per-s, or --measured RUN"]
    rows = [
        (c.origin, f"{c.images_per_s:,.1f}", f"{c.hours_per_seed:,.1f}", f"{c.hours_in_all:,.1f}")
        for c in plan.costs
    ]
    return [work, "", *table(("rate", "images/s", "hours per seed", "hours in all"), rows)]
