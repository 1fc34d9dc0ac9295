"""A process of a scaling measurement trains the recipe that is named."""

import pytest

from harness.bench.scaling.process import initial_state
from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.training.state import INITIAL_LOSS_SCALE

SMALL = "model.name=he2015-cifar-resnet20-a"


@pytest.mark.parametrize(
    ("compute", "scale"),
    [("float32", 1.0), ("bfloat16", 1.0), ("float16", INITIAL_LOSS_SCALE)],
)
def test_the_precision_is_the_recipe_s(compute: str, scale: float) -> None:
    state = initial_state(with_settings(SMOKE, (SMALL, f"precision.compute={compute}")), 10)
    assert state.model.get_layer("conv0").compute_dtype == compute
    assert float(state.loss_scale) == scale


def test_a_trunk_is_frozen_where_the_recipe_keeps_it() -> None:
    state = initial_state(with_settings(SMOKE, (SMALL, "model.trunk=imported_frozen")), 10)
    assert len(state.trainable) == 2
