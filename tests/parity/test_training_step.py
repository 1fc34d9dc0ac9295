"""One optimizer step of a small network against float64 NumPy."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.models.build import build_model
from harness.numerics.fingerprint import hex_of, joined_step_fingerprints, tensor_fingerprint
from harness.recipes.recipe import Recipe
from harness.recipes.smoke import SMOKE
from harness.training.loss import smoothed_cross_entropy
from harness.training.state import create_state, from_arrays, reset_momentum, to_arrays
from harness.training.step import build_detailed_step, build_step

BATCH, FEATURES, CLASSES = 8, 12, 5
RATE = np.float32(0.1)
KINDS = ("gradients", "weights")


def recipe(
    *,
    nesterov: bool,
    decayed: str = "kernels",
    momentum: float = 0.9,
    form: str = "rate_inside",
    compute: str = "float32",
) -> Recipe:
    document = SMOKE.model_dump(mode="json")
    document["batch"] = BATCH
    document["optimizer"] = {"momentum": momentum, "nesterov": nesterov, "form": form}
    document["precision"] = {"compute": compute}
    document["loss"] = {"label_smoothing": 0.1, "weight_decay": 0.01, "decayed": decayed}
    return Recipe.model_validate_json(json.dumps(document))


class Dense:
    """The same network in float64: logits = image . kernel + bias."""

    def __init__(self, the_recipe: Recipe, kernel: np.ndarray, bias: np.ndarray) -> None:
        self.recipe = the_recipe
        self.weights = [kernel.astype(np.float64), bias.astype(np.float64)]
        self.slots = [np.zeros_like(w) for w in self.weights]

    def step(
        self, image: np.ndarray, label: np.ndarray, rate: float = float(RATE)
    ) -> tuple[float, float]:
        x = image.reshape(BATCH, -1).astype(np.float64)
        logits = x @ self.weights[0] + self.weights[1]
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probability = exponents / exponents.sum(axis=1, keepdims=True)
        target = np.eye(CLASSES)[label] * 0.9 + 0.1 / CLASSES
        loss = -(target * np.log(probability)).sum(axis=1).mean()
        error = (probability - target) / BATCH
        gradients = [x.T @ error, error.sum(axis=0)]
        decayed = [True, self.recipe.loss.decayed == "all"]
        for i, chosen in enumerate(decayed):
            gradients[i] = gradients[i] + (0.01 * self.weights[i] if chosen else 0)
            self._update(i, gradients[i], rate)
        return float(loss), float(np.sqrt(sum((g**2).sum() for g in gradients)))

    def _update(self, i: int, gradient: np.ndarray, rate: float) -> None:
        momentum = self.recipe.optimizer.momentum
        if self.recipe.optimizer.form == "rate_outside":
            # torch.optim.SGD, version 2.12: the buffer holds gradients, the rate is applied last.
            self.slots[i] = momentum * self.slots[i] + gradient
            moved = gradient + momentum * self.slots[i]
            used = moved if self.recipe.optimizer.nesterov else self.slots[i]
            self.weights[i] = self.weights[i] - rate * used
            return
        self.slots[i] = momentum * self.slots[i] - rate * gradient
        if self.recipe.optimizer.nesterov:
            self.weights[i] = self.weights[i] + momentum * self.slots[i] - rate * gradient
        else:
            self.weights[i] = self.weights[i] + self.slots[i]


def network() -> keras.Model:
    inputs = keras.Input((2, 2, 3))
    logits = keras.layers.Dense(CLASSES, name="fully_connected")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, logits)
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(number)
    image = generator.normal(size=(BATCH, 2, 2, 3)).astype(np.float32)
    return image, generator.integers(0, CLASSES, BATCH).astype(np.int32)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("decayed", ["kernels", "all"])
@pytest.mark.parametrize("eager", [True, False])
def test_three_steps(nesterov: bool, decayed: str, eager: bool) -> None:
    the_recipe = recipe(nesterov=nesterov, decayed=decayed)
    model = network()
    exact = Dense(the_recipe, *model.get_weights())
    state = create_state(model, float16=False)
    step = build_step(state, the_recipe, tf.distribute.get_strategy(), eager=eager)
    for number in range(3):
        image, label = batch(number)
        output = step(tf.constant(image), tf.constant(label), tf.constant(RATE))
        loss, norm = exact.step(image, label)
        np.testing.assert_allclose(output.loss, loss, rtol=2e-6)
        np.testing.assert_allclose(output.gradient_norm, norm, rtol=2e-6)
        for ours, theirs in zip(model.get_weights(), exact.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
        for slot, theirs in zip(state.slots, exact.slots, strict=True):
            np.testing.assert_allclose(slot, theirs, rtol=0, atol=1e-6)


RATES = (0.1, 0.1, 0.1, 0.01, 0.01, 0.001)
"""The rate changes while the slots are far from zero."""


def _followed(the_recipe: Recipe, *, eager: bool = False) -> tuple[keras.Model, "Dense"]:
    """Six steps across changes of the rate, each held against float64; momentum reset before 5."""
    model = network()
    exact = Dense(the_recipe, *model.get_weights())
    state = create_state(model, float16=the_recipe.precision.compute == "float16")
    step = build_step(state, the_recipe, tf.distribute.get_strategy(), eager=eager)
    for number, rate in enumerate(RATES):
        if number == 5:
            reset_momentum(state)
            exact.slots = [np.zeros_like(slot) for slot in exact.slots]
        image, label = batch(number)
        step(tf.constant(image), tf.constant(label), tf.constant(rate))
        exact.step(image, label, rate)
        for ours, theirs in zip(model.get_weights(), exact.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
        for slot, theirs in zip(state.slots, exact.slots, strict=True):
            np.testing.assert_allclose(slot, theirs, rtol=0, atol=1e-6)
    return model, exact


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("form", ["rate_inside", "rate_outside"])
@pytest.mark.parametrize("decayed", ["kernels", "all"])
def test_both_forms_of_momentum_across_changes_of_the_rate(
    nesterov: bool, form: str, decayed: str
) -> None:
    _followed(recipe(nesterov=nesterov, form=form, decayed=decayed))


@pytest.mark.parametrize("form", ["rate_inside", "rate_outside"])
def test_both_forms_of_momentum_under_a_loss_scale(form: str) -> None:
    """The network's own arithmetic is float32 here, so the scale must leave no trace."""
    _followed(recipe(nesterov=False, form=form, compute="float16"))


def test_the_forms_part_where_the_rate_changes_and_only_there() -> None:
    """At one rate the slots are in proportion and the weights equal."""
    inside, outside = (
        Dense(recipe(nesterov=False, form=form), *network().get_weights())
        for form in ("rate_inside", "rate_outside")
    )
    for number, rate in enumerate(RATES[:4]):
        for exact in (inside, outside):
            exact.step(*batch(number), rate)
        apart = np.abs(inside.weights[0] - outside.weights[0]).max()
        assert (apart < 1e-12) == (number < 3)


def test_agrees_with_keras_sgd() -> None:
    """Keras' optimizer fed with the same gradients ends with the same bits."""
    the_recipe = recipe(nesterov=True)
    ours, theirs = network(), network()
    optimizer = keras.optimizers.SGD(float(RATE), momentum=0.9, nesterov=True)
    state = create_state(ours, float16=False)
    step = build_step(state, the_recipe, tf.distribute.get_strategy(), eager=True)
    for number in range(3):
        image, label = batch(number)
        target = np.eye(CLASSES, dtype=np.float32)[label]
        with tf.GradientTape() as tape:
            each = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
            kernel = theirs.trainable_variables[0]
            loss = each(target, theirs(image)) + 0.005 * tf.reduce_sum(kernel.value**2)
        optimizer.apply(tape.gradient(loss, theirs.trainable_weights), theirs.trainable_weights)
        step(tf.constant(image), tf.constant(label), tf.constant(RATE))
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=5e-7)


def _after_one_step_of_resnet18(*, eager: bool) -> dict[str, np.ndarray]:
    """Weights, moving statistics and slots, with loss and gradient norm."""
    generator = np.random.default_rng(2)
    image = generator.normal(size=(BATCH, 32, 32, 3)).astype(np.float32)
    label = generator.integers(0, CLASSES, BATCH).astype(np.int32)
    model = build_model(SMOKE.model, classes=CLASSES, seed=3)
    state = create_state(model, float16=False)
    before = to_arrays(state)
    step = build_step(state, recipe(nesterov=True), tf.distribute.get_strategy(), eager=eager)
    output = step(tf.constant(image), tf.constant(label), tf.constant(RATE))
    after = to_arrays(state)
    changed = [name for name, array in after.items() if not np.array_equal(array, before[name])]
    assert len(changed) >= 2 * len(state.trainable), "the step must move what is compared"
    return after | {"loss": output.loss.numpy(), "norm": output.gradient_norm.numpy()}


def test_graph_and_eager_compute_one_step_of_a_residual_network() -> None:
    """Convolutions, batch normalisation and their gradients, by operation and compiled.

    Within 1e-6 of the larger of 1 and the value: weights, statistics and slots lie
    around 1 or below, where float32 has an absolute grain; the gradient's norm above.
    """
    graph, eager = (_after_one_step_of_resnet18(eager=mode) for mode in (False, True))
    assert graph.keys() == eager.keys()
    for name, array in graph.items():
        allowed = 1e-6 * np.maximum(1, np.abs(array))
        difference = np.abs(np.asarray(array, np.float64) - eager[name])
        assert (difference <= allowed).all(), name


def test_resetting_momentum_forgets_the_slots_and_nothing_else() -> None:
    the_recipe = recipe(nesterov=True)
    model = network()
    exact = Dense(the_recipe, *model.get_weights())
    state = create_state(model, float16=False)
    step = build_step(state, the_recipe, tf.distribute.get_strategy())
    for number in range(4):
        if number == 2:
            before = [w.copy() for w in model.get_weights()]
            reset_momentum(state)
            exact.slots = [np.zeros_like(s) for s in exact.slots]
            assert all(not slot.numpy().any() for slot in state.slots)
            for kept, now in zip(before, model.get_weights(), strict=True):
                np.testing.assert_array_equal(kept, now)
        image, label = batch(number)
        step(tf.constant(image), tf.constant(label), tf.constant(RATE))
        exact.step(image, label)
    np.testing.assert_allclose(model.get_weights()[0], exact.weights[0], rtol=0, atol=1e-6)


def test_the_fingerprint_covers_batch_loss_gradients_with_decay_and_new_weights() -> None:
    the_recipe = recipe(nesterov=True)
    state = create_state(network(), float16=False)
    image, label = (tf.constant(part) for part in batch(0))
    with tf.GradientTape() as tape:
        each = smoothed_cross_entropy(state.model(image), label, 0.1)
        loss = tf.reduce_sum(each) / BATCH
    kernel, bias = tape.gradient(loss, state.trainable)
    gradients = [kernel + 0.01 * state.trainable[0], bias]
    step = build_step(state, the_recipe, tf.distribute.get_strategy(), eager=True)
    output = step(image, label, tf.constant(RATE))
    weights = [tf.identity(w) for w in state.weights()]
    expected = joined_step_fingerprints(image, label, loss, gradients, weights)
    assert hex_of(int(output.fingerprint)) == hex_of(int(expected.whole))
    assert hex_of(int(output.batch_fingerprint)) == hex_of(int(expected.batch))


def test_a_detailed_step_is_the_step_with_a_fingerprint_of_each_tensor() -> None:
    the_recipe = recipe(nesterov=True)
    plain, detailed = (create_state(network(), float16=False) for _ in range(2))
    image, label = (tf.constant(part) for part in batch(0))
    output = build_step(plain, the_recipe, tf.distribute.get_strategy())(
        image, label, tf.constant(RATE)
    )
    same, marks = build_detailed_step(detailed, the_recipe)(image, label, tf.constant(RATE))
    assert [part.numpy() for part in output] == [part.numpy() for part in same]
    assert int(marks["loss"]) == int(tensor_fingerprint(output.loss))
    paths = [v.path for v in detailed.model.weights]
    assert sorted(marks) == sorted(["loss", *(f"{k}/{p}" for k in KINDS for p in paths)])
    for path, weight in zip(paths, plain.weights(), strict=True):
        assert int(marks[f"weights/{path}"]) == int(tensor_fingerprint(weight))


def test_correct_images_are_counted() -> None:
    model = network()
    state = create_state(model, float16=False)
    step = build_step(state, recipe(nesterov=True), tf.distribute.get_strategy(), eager=True)
    image, label = batch(0)
    expected = int((model(image).numpy().argmax(axis=1) == label).sum())
    assert int(step(tf.constant(image), tf.constant(label), tf.constant(RATE)).correct) == expected


def test_a_snapshot_is_not_changed_by_later_steps() -> None:
    model = network()
    state = create_state(model, float16=False)
    step = build_step(state, recipe(nesterov=True), tf.distribute.get_strategy())
    step(*(tf.constant(part) for part in batch(0)), tf.constant(RATE))
    snapshot = to_arrays(state)
    copies = {name: array.copy() for name, array in snapshot.items()}
    for number in (1, 2):
        step(*(tf.constant(part) for part in batch(number)), tf.constant(RATE))
    for name, array in snapshot.items():
        np.testing.assert_array_equal(array, copies[name])
    from_arrays(state, snapshot, "memory")
    for name, array in to_arrays(state).items():
        np.testing.assert_array_equal(array, copies[name])
