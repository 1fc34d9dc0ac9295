"""XLA as a recipe's numerics: what it compiles computes the same, what it cannot is refused."""

import numpy as np
import pytest
import tensorflow as tf

from harness.errors import RecipeError
from harness.models.build import build_model
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Model, Recipe
from harness.training.state import create_state
from harness.training.step import build_step

SPEC = Model(name="apm5-resnet18-v2", image_size=32)
BATCH = 4


def recipe(*, xla: bool, op_determinism: bool) -> Recipe:
    numerics = APM5_RESNET50.numerics.model_copy(
        update={"xla": xla, "op_determinism": op_determinism}
    )
    return APM5_RESNET50.model_copy(update={"batch": BATCH, "model": SPEC, "numerics": numerics})


def one_step(chosen: Recipe) -> tuple[float, list[np.ndarray]]:
    model = build_model(SPEC, classes=10, seed=0)
    step = build_step(create_state(model, float16=False), chosen, tf.distribute.get_strategy())
    image = tf.random.stateless_normal((BATCH, 32, 32, 3), (0, 0))
    output = step(image, tf.range(BATCH), tf.constant(0.01))
    return float(output.loss.numpy()), [v.numpy() for v in model.trainable_variables]


def test_xla_under_op_determinism_is_refused_before_anything_runs() -> None:
    with pytest.raises(RecipeError, match="under op determinism"):
        one_step(recipe(xla=True, op_determinism=True))


def test_a_step_compiled_by_xla_learns_the_same() -> None:
    plain_loss, plain = one_step(recipe(xla=False, op_determinism=False))
    loss, weights = one_step(recipe(xla=True, op_determinism=False))
    assert loss == pytest.approx(plain_loss, rel=1e-5)
    for ours, theirs in zip(weights, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5)
