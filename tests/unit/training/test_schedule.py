"""Learning rates against Keras' own schedules and closed forms."""

import math

import keras
import numpy as np
import pytest

from harness.errors import RecipeError
from harness.recipes.recipe import Constant, Cosine, Linear, Phase
from harness.recipes.smoke import SMOKE
from harness.training.schedule import learning_rates, momentum_kept

STEPS_PER_EPOCH = 7
PHASES = (
    Phase(epochs=1, rate=Linear(start=1e-4, end=0.05)),
    Phase(epochs=3, rate=Cosine(start=0.05, alpha=1e-4), reset_momentum=True),
    Phase(epochs=1, rate=Constant(rate=0.01), reset_momentum=True),
)


def test_closed_forms_in_float64() -> None:
    linear = [1e-4 + (0.05 - 1e-4) * i / 7 for i in range(7)]
    cosine = [0.05 * ((1 - 1e-4) * (1 + math.cos(math.pi * i / 21)) / 2 + 1e-4) for i in range(21)]
    expected = np.array([*linear, *cosine, *[0.01] * 7], np.float64).astype(np.float32)
    np.testing.assert_array_equal(learning_rates(PHASES, STEPS_PER_EPOCH, 0, 35), expected)


def test_keras_schedules() -> None:
    polynomial = keras.optimizers.schedules.PolynomialDecay(1e-4, 7, 0.05)
    cosine = keras.optimizers.schedules.CosineDecay(0.05, 21, alpha=1e-4)
    expected = [float(polynomial(i)) for i in range(7)] + [float(cosine(i)) for i in range(21)]
    ours = learning_rates(PHASES, STEPS_PER_EPOCH, 0, 28)
    four_roundings = 4 * 0.05 * np.finfo(np.float32).eps
    np.testing.assert_allclose(ours, expected, rtol=0, atol=four_roundings)


@pytest.mark.parametrize("first", range(35))
def test_a_rate_depends_on_the_step_alone(first: int) -> None:
    whole = learning_rates(PHASES, STEPS_PER_EPOCH, 0, 35)
    count = min(5, 35 - first)
    part = learning_rates(PHASES, STEPS_PER_EPOCH, first, count)
    np.testing.assert_array_equal(part, whole[first : first + count])


@pytest.mark.parametrize(
    ("first", "count", "reset_at"), [(0, 35, {7, 28}), (7, 5, {7}), (8, 20, set()), (0, 7, set())]
)
def test_momentum_is_reset_where_a_phase_asks(first: int, count: int, reset_at: set[int]) -> None:
    kept = momentum_kept(PHASES, STEPS_PER_EPOCH, first, count)
    assert {first + i for i, value in enumerate(kept) if value == 0} == reset_at


MIXED = (
    Phase(steps=4, rate=Linear(start=0.0, end=0.1)),
    Phase(epochs=2, rate=Constant(rate=0.1)),
    Phase(steps=10, rate=Cosine(start=0.1, alpha=0.0), reset_momentum=True),
)
"""4 steps, 14 steps, 10 steps."""


def test_phases_in_steps_and_in_epochs_follow_each_other() -> None:
    cosine = [0.05 * (1 + math.cos(math.pi * i / 10)) for i in range(10)]
    expected = np.array([0.0, 0.025, 0.05, 0.075, *[0.1] * 14, *cosine]).astype(np.float32)
    np.testing.assert_array_equal(learning_rates(MIXED, STEPS_PER_EPOCH, 0, 28), expected)
    kept = momentum_kept(MIXED, STEPS_PER_EPOCH, 0, 28)
    assert np.flatnonzero(kept == 0).tolist() == [18]
    with pytest.raises(RecipeError, match="step 28 lies beyond the schedule"):
        learning_rates(MIXED, STEPS_PER_EPOCH, 27, 2)


@pytest.mark.parametrize("first", [0, 3, 17, 18, 19])
def test_a_rate_of_mixed_phases_depends_on_the_step_alone(first: int) -> None:
    whole = learning_rates(MIXED, STEPS_PER_EPOCH, 0, 28)
    part = learning_rates(MIXED, STEPS_PER_EPOCH, first, 9)
    np.testing.assert_array_equal(part, whole[first : first + 9])


@pytest.mark.parametrize(("steps_per_epoch", "steps"), [(7, 28), (1, 16), (100, 214)])
def test_only_phases_in_epochs_grow_with_the_epoch(steps_per_epoch: int, steps: int) -> None:
    recipe = SMOKE.model_copy(update={"phases": MIXED})
    assert recipe.total_steps(steps_per_epoch) == steps


def test_a_step_beyond_the_schedule_is_refused() -> None:
    with pytest.raises(RecipeError, match="step 35 lies beyond the schedule"):
        learning_rates(PHASES, STEPS_PER_EPOCH, 34, 2)
