"""Linear scaling and warm-up as Goyal et al. have them; nothing changes a rate unasked."""

import pytest

from harness.errors import RecipeError
from harness.recipes.catalogue import find_recipe
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Linear, Recipe
from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.training.schedule import learning_rates

STEPS = 40


def rates(recipe: object, steps_per_epoch: int) -> list[float]:
    total = recipe.total_steps(steps_per_epoch)  # type: ignore[attr-defined]
    return learning_rates(recipe.phases, steps_per_epoch, 0, total).tolist()  # type: ignore[attr-defined]


def test_another_batch_alone_leaves_the_learning_rate() -> None:
    changed = with_settings(SMOKE, ("batch=64",))
    assert changed.phases == SMOKE.phases
    assert changed.digest != SMOKE.digest


@pytest.mark.parametrize(("recipe", "factor"), [(SMOKE, 2), (APM5_RESNET50, 8)])
def test_rates_grow_with_the_batch_after_a_warm_up_of_five_epochs(
    recipe: object, factor: int
) -> None:
    batch = recipe.batch * factor  # type: ignore[attr-defined]
    scaled = with_settings(recipe, (f"linear_scaling={batch}",))  # type: ignore[arg-type]
    assert scaled.batch == batch
    assert sum(p.epochs for p in scaled.phases) == sum(p.epochs for p in recipe.phases)  # type: ignore[attr-defined]
    warm_up = scaled.phases[0]
    assert warm_up.epochs == 5
    assert isinstance(warm_up.rate, Linear)
    peak = max(rates(recipe, STEPS))
    assert warm_up.rate.end / warm_up.rate.start == pytest.approx(factor)
    assert max(rates(scaled, STEPS)) == pytest.approx(peak * factor, rel=1e-5)
    assert scaled.digest != recipe.digest  # type: ignore[attr-defined]


def test_an_epoch_stays_an_epoch() -> None:
    scaled = with_settings(APM5_RESNET50, (f"linear_scaling={APM5_RESNET50.batch * 8}",))
    if APM5_RESNET50.steps_per_epoch is not None:
        assert scaled.steps_per_epoch == round(APM5_RESNET50.steps_per_epoch / 8)


CIFAR = find_recipe("he2015-cifar10-resnet20")


def test_phases_in_steps_become_shorter_as_the_batch_grows() -> None:
    """390 steps an epoch at batch 128 are 98 at 512; 64,000 steps are 16,000."""
    scaled = with_settings(CIFAR, ("steps_per_epoch=390", "linear_scaling=512"))
    assert scaled.steps_per_epoch == 98
    assert [phase.steps for phase in scaled.phases] == [5 * 98, 8_000 - 5 * 98, 4_000, 4_000]
    assert scaled.total_steps(98) == 16_000
    found = rates(scaled, 98)
    assert found[0] == pytest.approx(0.1)
    assert [found[i] for i in (490, 7_999, 8_000, 12_000)] == pytest.approx([0.4, 0.4, 0.04, 0.004])


def test_steps_that_cannot_be_told_in_epochs_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"counted in steps[^$]*--set steps_per_epoch=N before"):
        with_settings(CIFAR, ("linear_scaling=512",))
    with pytest.raises(RecipeError, match="too short"):
        with_settings(CIFAR, ("steps_per_epoch=390", "phases.0.steps=100", "linear_scaling=512"))


@pytest.mark.parametrize("value", ["0", "-8", "many", "1.5", "true"])
def test_no_batch_is_refused(value: str) -> None:
    with pytest.raises(RecipeError, match="is no batch"):
        with_settings(SMOKE, (f"linear_scaling={value}",))


def test_a_short_recipe_is_refused() -> None:
    phase = '{"epochs": 4, "rate": {"kind": "constant", "rate": 0.1}}'
    with pytest.raises(RecipeError, match="too short"):
        with_settings(SMOKE, (f"phases=[{phase}]", "linear_scaling=64"))


@pytest.mark.parametrize("recipe", [SMOKE, APM5_RESNET50])
def test_rates_shrink_with_the_batch_and_no_warm_up_comes_in(recipe: Recipe) -> None:
    scaled = with_settings(recipe, (f"linear_scaling={recipe.batch // 2}",))
    assert scaled.batch == recipe.batch // 2
    assert [p.epochs for p in scaled.phases] == [p.epochs for p in recipe.phases]
    assert [p.reset_momentum for p in scaled.phases] == [p.reset_momentum for p in recipe.phases]
    halves = [rate / 2 for rate in rates(recipe, STEPS)]
    assert rates(scaled, STEPS) == pytest.approx(halves, rel=1e-6)


def test_phases_in_steps_become_longer_as_the_batch_shrinks() -> None:
    scaled = with_settings(CIFAR, ("linear_scaling=64",))
    assert [phase.steps for phase in scaled.phases] == [64_000, 32_000, 32_000]
    found = rates(scaled, 780)
    assert [found[i] for i in (0, 63_999, 64_000)] == pytest.approx([0.05, 0.05, 0.005])
    fashion = with_settings(find_recipe("zhong2020-fashion-resnet20"), ("linear_scaling=64",))
    assert (fashion.steps_per_epoch, fashion.phases[0].epochs) == (938, 150)


@pytest.mark.parametrize("recipe", [SMOKE, APM5_RESNET50, CIFAR])
def test_its_own_batch_leaves_a_recipe_as_it_is(recipe: Recipe) -> None:
    assert with_settings(recipe, (f"linear_scaling={recipe.batch}",)) == recipe


def test_a_larger_batch_gives_the_recipe_that_it_always_gave() -> None:
    digests = {
        recipe.name: with_settings(recipe, (f"linear_scaling={4 * recipe.batch}",)).digest
        for recipe in (SMOKE, APM5_RESNET50)
    }
    assert digests == {
        "smoke": "305bb7aae3d05533a199bab8c27e1020b648432db8f99d7223d2c8167d1c289e",
        "apm5-resnet50": "7fb31e606f22a92aeb9f1807ad365b4c427e462e727d248ef68ecc377afd05c5",
    }
