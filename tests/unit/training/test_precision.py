"""float16 with its loss scale, and bfloat16: a planted overflow, growth, and an exact resume."""

import json
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from harness.models.batch_norm import FusedBatchNormalization
from harness.models.build import build_model
from harness.recipes.recipe import Model, Precision, Recipe
from harness.recipes.smoke import SMOKE
from harness.training.checkpoint import read_checkpoint, write_checkpoint
from harness.training.state import (
    INITIAL_LOSS_SCALE,
    TrainState,
    create_state,
    from_arrays,
    to_arrays,
)
from harness.training.step import SCALE_GROWTH_STEPS, StepFunction, StepOutput, build_step
from tests.sample_events import window_of

BATCH, CLASSES = 8, 5
RATE = tf.constant(0.05)
TOO_LARGE = 1e4
"""A pixel value whose gradient, times the loss scale, exceeds float16's 65,504."""


def recipe(compute: str, batch: int = BATCH, form: str = "rate_inside") -> Recipe:
    document = SMOKE.model_dump(mode="json")
    document |= {"batch": batch, "precision": {"compute": compute}}
    document["optimizer"]["form"] = form
    return Recipe.model_validate_json(json.dumps(document))


def training(
    compute: str = "float16", form: str = "rate_inside"
) -> tuple[TrainState, StepFunction]:
    """A dense network in `compute` with float32 variables, always with the same weights."""
    policy = "float32" if compute == "float32" else f"mixed_{compute}"
    inputs = keras.Input((2, 2, 3))
    flat = keras.layers.Flatten(dtype=policy)(inputs)
    logits = keras.layers.Dense(CLASSES, name="fully_connected", dtype=policy)(flat)
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(logits))
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    state = create_state(model, float16=compute == "float16")
    return state, build_step(state, recipe(compute, form=form), tf.distribute.get_strategy())


def batch(number: int, largest: float = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    generator = np.random.default_rng(number)
    image = generator.uniform(-largest, largest, (BATCH, 2, 2, 3)).astype(np.float32)
    label = generator.integers(0, CLASSES, BATCH).astype(np.int32)
    return tf.constant(image), tf.constant(label)


def steps(step: StepFunction, first: int, last: int, planted: int) -> list[StepOutput]:
    """Steps `first` to `last`; the images of step `planted` overflow."""
    return [
        step(*batch(number, TOO_LARGE if number == planted else 1.0), RATE)
        for number in range(first, last)
    ]


def trained(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n: a for n, a in arrays.items() if n.startswith(("weights/", "slots/"))}


@pytest.mark.parametrize("form", ["rate_inside", "rate_outside"])
def test_a_step_that_overflows_is_left_out_and_the_scale_halved(form: str) -> None:
    state, step = training(form=form)
    steps(step, 0, 2, planted=-1)
    before = to_arrays(state)
    (output,) = steps(step, 2, 3, planted=2)
    after = to_arrays(state)
    assert np.isfinite(output.loss)
    assert not np.isfinite(output.gradient_norm)
    assert trained(before).keys() == trained(after).keys()
    for name, array in trained(before).items():
        np.testing.assert_array_equal(after[name], array)
    assert (before["loss_scale"], before["scale_age"]) == (INITIAL_LOSS_SCALE, 2)
    assert (after["loss_scale"], after["scale_age"]) == (INITIAL_LOSS_SCALE / 2, 0)
    (output,) = steps(step, 3, 4, planted=-1)
    assert np.isfinite(output.gradient_norm)
    assert any((to_arrays(state)[n] != a).any() for n, a in trained(after).items())
    assert (state.loss_scale.numpy(), state.scale_age.numpy()) == (INITIAL_LOSS_SCALE / 2, 1)


@pytest.mark.parametrize(
    ("scale", "age", "overflow", "expected"),
    [
        (1024.0, SCALE_GROWTH_STEPS - 2, False, (1024.0, SCALE_GROWTH_STEPS - 1)),
        (1024.0, SCALE_GROWTH_STEPS - 1, False, (2048.0, 0)),
        (1024.0, SCALE_GROWTH_STEPS - 1, True, (512.0, 0)),
        (1.0, 5, True, (1.0, 0)),
    ],
    ids=["one step early", "grows", "an overflow comes first", "never below one"],
)
def test_the_scale_grows_after_finite_steps_alone(
    scale: float, age: int, overflow: bool, expected: tuple[float, int]
) -> None:
    state, step = training()
    state.loss_scale.assign(scale)
    state.scale_age.assign(age)
    image, label = batch(0)
    step(image * float("inf") if overflow else image, label, RATE)
    assert (state.loss_scale.numpy(), state.scale_age.numpy()) == expected


def test_a_resume_after_an_overflow_is_exact_to_the_bit(tmp_path: Path) -> None:
    state, step = training()
    outputs = steps(step, 0, 8, planted=2)
    whole = to_arrays(state)

    first, step = training()
    steps(step, 0, 4, planted=2)
    folder = write_checkpoint(tmp_path, 4, "0" * 8, to_arrays(first), lambda: None).folder
    second, step = training()
    from_arrays(second, read_checkpoint(folder).arrays, str(folder))
    again = steps(step, 4, 8, planted=2)

    assert [int(o.fingerprint) for o in again] == [int(o.fingerprint) for o in outputs[4:]]
    resumed = to_arrays(second)
    assert resumed.keys() == whole.keys()
    for name, array in whole.items():
        assert resumed[name].tobytes() == array.tobytes(), name
    assert (whole["loss_scale"], whole["scale_age"]) == (INITIAL_LOSS_SCALE / 2, 5)


@pytest.mark.parametrize(("compute", "tolerance"), [("bfloat16", 0.03), ("float16", 0.005)])
def test_three_steps_stay_near_those_in_float32(compute: str, tolerance: float) -> None:
    found = {}
    for name in ("float32", compute):
        state, step = training(name)
        losses = [float(o.loss) for o in steps(step, 0, 3, planted=-1)]
        found[name] = (losses, state.trainable[0].numpy())
        assert state.trainable[0].dtype == tf.float32
    np.testing.assert_allclose(found[compute][0], found["float32"][0], rtol=tolerance)
    difference = np.abs(found[compute][1] - found["float32"][1]).max()
    assert 0 < difference < tolerance


@cache
def first_taken_step(compute: str, most: int = 12) -> tuple[float, int]:
    """Loss of the first step that is not left out, and how many were left out before it."""
    size, images = 48, 8
    model = build_model(
        Model(name="apm5-resnet18-v2", image_size=size),
        classes=CLASSES,
        seed=0,
        precision=Precision.model_validate({"compute": compute}),
    )
    state = create_state(model, float16=compute == "float16")
    step = build_step(state, recipe(compute, images), tf.distribute.get_strategy())
    image = tf.random.stateless_normal((images, size, size, 3), (0, 0))
    for left_out in range(most):
        output = step(image, tf.range(images) % CLASSES, RATE)
        if np.isfinite(output.gradient_norm):
            return float(output.loss), left_out
    raise AssertionError(f"{most} steps were left out")


@pytest.mark.parametrize(("compute", "tolerance"), [("bfloat16", 0.1), ("float16", 0.02)])
def test_a_residual_network_takes_the_same_first_step(compute: str, tolerance: float) -> None:
    expected, none = first_taken_step("float32")
    loss, left_out = first_taken_step(compute)
    assert loss == pytest.approx(expected, rel=tolerance)
    assert none == 0
    assert left_out == 0 or compute == "float16"


def right_after_training(compute: str, steps: int = 120, rate: float = 0.05) -> float:
    """The share of 397 unseen handwritten digits that a small residual network knows."""
    policy = "float32" if compute == "float32" else f"mixed_{compute}"
    inputs = keras.Input((8, 8, 1))
    net = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, dtype=policy)(inputs)
    for _ in range(2):
        branch = FusedBatchNormalization(dtype=policy)(net)
        branch = keras.layers.ReLU(dtype=policy)(branch)
        branch = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, dtype=policy)(branch)
        net = keras.layers.Add(dtype=policy)([net, branch])
    net = keras.layers.GlobalMaxPooling2D(dtype=policy)(net)
    logits = keras.layers.Dense(10, dtype=policy)(net)
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(logits))
    generator = np.random.default_rng(2)
    for variable in model.trainable_variables:
        if "kernel" in variable.path:
            size = np.sqrt(2 / np.prod(variable.shape[:-1]))
            variable.assign(generator.normal(0, size, variable.shape))
    digits = load_digits()
    pixels, labels = (digits.images[..., np.newaxis] / 8 - 1).astype(np.float32), digits.target
    state = create_state(model, float16=False)
    step = build_step(state, recipe(compute, 64), tf.distribute.get_strategy(), fingerprints=False)
    for _ in range(steps):
        chosen = generator.integers(0, 1400, 64)
        step(tf.constant(pixels[chosen]), tf.constant(labels[chosen]), tf.constant(rate))
    answers = model(pixels[1400:], training=False).numpy().argmax(axis=-1)
    return float((answers == labels[1400:]).mean())


def test_a_residual_network_converges_in_bfloat16_as_in_float32() -> None:
    """The network of the smoke itself, where the processor has bfloat16, in
    `tests/integration/test_training_bfloat16.py`."""
    exact, rounded = (right_after_training(name) for name in ("float32", "bfloat16"))
    assert exact >= 0.7  # 0.80; guessing is 0.1, and 60 steps reach 0.57
    assert rounded >= 0.65  # 0.75, and 0.56


@pytest.mark.parametrize(
    ("loss", "norm", "may_overflow", "expected"),
    [
        (1.0, 1.0, False, None),
        (1.0, float("inf"), True, None),
        (1.0, float("nan"), True, None),
        (1.0, float("inf"), False, 11),
        (float("nan"), 1.0, True, 11),
        (float("inf"), float("inf"), True, 11),
    ],
)
def test_an_overflowing_gradient_is_no_divergence_under_a_loss_scale(
    loss: float, norm: float, may_overflow: bool, expected: int | None
) -> None:
    window = window_of(10, 2, loss=(1.0, loss), gradient_norm=(1.0, norm))
    assert window.first_not_finite(gradients_may_overflow=may_overflow) == expected
