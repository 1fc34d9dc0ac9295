"""The learning rate as a pure function of the step, computed in float64."""

import math

import numpy as np

from harness.errors import RecipeError
from harness.recipes.recipe import Constant, Cosine, Linear, Phase


def learning_rates(
    phases: tuple[Phase, ...], steps_per_epoch: int, first: int, count: int
) -> np.ndarray:
    """Learning rates of consecutive steps.

    Within a phase of n steps the i-th step (from 0) sits at t = i / n, as in
    Keras' `PolynomialDecay` and `CosineDecay` fed with `optimizer.iterations`.

    Args:
        phases: The recipe's phases.
        steps_per_epoch: Steps in an epoch.
        first: First step, from 0.
        count: How many steps.

    Returns:
        float32 [count].

    Raises:
        RecipeError: a step lies beyond the last phase.
    """
    return np.array(
        [_rate(phases, steps_per_epoch, step) for step in range(first, first + count)],
        np.float32,
    )


def momentum_kept(
    phases: tuple[Phase, ...], steps_per_epoch: int, first: int, count: int
) -> np.ndarray:
    """0.0 at the first step of a phase that resets momentum, else 1.0. float32 [count]."""
    kept = np.ones(count, np.float32)
    start = 0
    for phase in phases:
        if phase.reset_momentum and first <= start < first + count:
            kept[start - first] = 0.0
        start += phase.length(steps_per_epoch)
    return kept


def _rate(phases: tuple[Phase, ...], steps_per_epoch: int, step: int) -> float:
    begin = 0
    for phase in phases:
        length = phase.length(steps_per_epoch)
        if step < begin + length:
            return _shape(phase.rate, (step - begin) / length)
        begin += length
    raise RecipeError(f"step {step} lies beyond the schedule", expected=f"a step below {begin}")


def _shape(rate: Linear | Cosine | Constant, t: float) -> float:
    match rate:
        case Linear():
            return rate.start + (rate.end - rate.start) * t
        case Cosine():
            cosine = 0.5 * (1.0 + math.cos(math.pi * t))
            return rate.start * ((1.0 - rate.alpha) * cosine + rate.alpha)
        case Constant():
            return rate.rate
