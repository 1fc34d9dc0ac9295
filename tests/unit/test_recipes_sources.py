"""The recipes of every source: learning rates at the edges, and what their sources fix.

Rates are computed here in float64 from the sources' own formulas, with ImageNet's
numbers: floor(1,281,167 / 128) = 10,009 and floor(1,281,167 / 256) = 5,004 steps an epoch.
"""

import math

import numpy as np
import pytest

from harness.models.catalogue import describe
from harness.recipes.catalogue import RECIPES
from harness.training.schedule import learning_rates, momentum_kept

E = 10_009


def cosine(step: int, steps: int) -> float:
    """tf.keras.experimental.CosineDecay(0.05, steps, alpha=1e-4)."""
    return 0.05 * ((1 - 1e-4) * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-4)


RATES_2019 = {
    0: 1e-4,
    1: 1e-4 + (0.05 - 1e-4) / E,
    E - 1: 1e-4 + (0.05 - 1e-4) * (E - 1) / E,
    E: 0.05,
    E + 1: cosine(1, 50 * E),
    26 * E: cosine(25 * E, 50 * E),
    51 * E - 1: cosine(50 * E - 1, 50 * E),
}
RATES_2020 = {
    0: 0.0,
    1: 0.05 / E,
    E - 1: 0.05 * (E - 1) / E,
    E: 0.05,
    E + 1: cosine(1, 49 * E),
    50 * E - 1: cosine(49 * E - 1, 49 * E),
}
RATES_2015 = {
    0: 0.1,
    30 * 5004 - 1: 0.1,
    30 * 5004: 0.01,
    60 * 5004 - 1: 0.01,
    60 * 5004: 0.001,
    90 * 5004 - 1: 0.001,
    90 * 5004: 0.0001,
    120 * 5004 - 1: 0.0001,
}
TABLES = {
    "apm5-resnet50": (E, 51 * E, RATES_2019),
    "apm5-resnet18": (E, 51 * E, RATES_2019),
    "keras-resnet50": (E, 51 * E, RATES_2019),
    "apm5-resnet50-2020": (E, 50 * E, RATES_2020),
    "apm5-resnet18-2020": (E, 50 * E, RATES_2020),
    "he2015-resnet50": (5004, 600_480, RATES_2015),
}


@pytest.mark.parametrize("name", TABLES)
def test_learning_rates_at_the_edges(name: str) -> None:
    epoch, steps, rates = TABLES[name]
    recipe = RECIPES[name]
    assert 1_281_167 // recipe.batch == epoch
    assert recipe.total_steps(epoch) == steps
    for step, rate in rates.items():
        (found,) = learning_rates(recipe.phases, epoch, step, 1)
        np.testing.assert_allclose(found, np.float32(rate), rtol=1e-7, err_msg=f"step {step}")


def test_the_floor_of_2019_is_a_fraction_of_the_peak() -> None:
    (last,) = learning_rates(RECIPES["apm5-resnet50"].phases, E, 51 * E - 1, 1)
    assert last == pytest.approx(5e-6, rel=1e-5)


def test_momentum_is_reset_after_the_extra_warm_up_epoch_alone() -> None:
    for name, (epoch, _, _) in TABLES.items():
        kept = momentum_kept(RECIPES[name].phases, epoch, epoch - 1, 3)
        expected = [1, 1, 1] if name.endswith("2020") or name.startswith("he") else [1, 0, 1]
        assert kept.tolist() == expected, name


@pytest.mark.parametrize("name", TABLES)
def test_a_recipe_names_a_network_and_feeds_it_as_it_evaluates_it(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.model.image_size == describe(recipe.model.name).image_size
    for protocol in recipe.protocols().values():
        assert protocol.normalisation == recipe.normalisation
    assert "ten_crop" in recipe.protocols()
    assert recipe.notes.citation
    assert recipe.notes.expected
    assert recipe.notes.deviations


def test_what_the_sources_differ_in() -> None:
    he, old, new = (RECIPES[n] for n in ("he2015-resnet50", "apm5-resnet50", "apm5-resnet50-2020"))
    assert (old.optimizer.nesterov, new.optimizer.nesterov) == (True, False)
    assert (he.loss.decayed, he.loss.label_smoothing, old.loss.label_smoothing) == ("all", 0, 0.1)
    assert he.augmentation.short_side == (256, 481)
    assert he.model.initializer == "he_normal"
