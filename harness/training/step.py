"""One training step as a compiled function over a distribution strategy.

One device is the one-replica case of the same code. Inside the step there are
TensorFlow operations only; nothing is read back to the host.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from harness.distributed.devices import reduction_options
from harness.errors import RecipeError
from harness.numerics.fingerprint import (
    DeviceFingerprint,
    StepFingerprints,
    replica_fingerprints,
    step_fingerprints,
    tensor_fingerprint,
)
from harness.recipes.recipe import Recipe
from harness.training.loss import decayed_mask, smoothed_cross_entropy
from harness.training.state import TrainState, moving_statistics

SCALE_GROWTH_STEPS = 2000
"""Finite steps after which the float16 loss scale is doubled, as in Keras and AMP."""


class StepOutput(NamedTuple):
    """What a step leaves on the device.

    Attributes:
        loss: float32, mean smoothed cross-entropy over the global batch, without decay.
        gradient_norm: float32, Euclidean norm of the whole gradient, decay included.
        correct: float32, images of the batch whose most probable class is the label; exact.
        fingerprint: uint64 over batch, loss, gradients and weights; of several replicas the
            own one of each in this process, which `added_fingerprints` adds.
        batch_fingerprint: uint64 over images and labels, likewise.
    """

    loss: tf.Tensor
    gradient_norm: tf.Tensor
    correct: tf.Tensor
    fingerprint: DeviceFingerprint
    batch_fingerprint: DeviceFingerprint


StepFunction = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], StepOutput]
"""(image float32 [B, S, S, channels], label int [B], learning rate float32 scalar) -> output.

On a GPU labels are int64: TensorFlow takes int32 arguments of a function from the host's memory.
"""


def build_step(
    state: TrainState,
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    *,
    eager: bool = False,
    fingerprints: bool = True,
) -> StepFunction:
    """The step of a recipe on a state's variables.

    Args:
        state: Created within the strategy's scope.
        recipe: Loss, optimizer, batch and precision.
        strategy: Where it runs.
        eager: Run operation by operation, for debugging.
        fingerprints: False leaves them 0; a step without them shows what they cost.

    Raises:
        RecipeError: XLA is asked for where it cannot compile the step.
    """
    replicas = strategy.num_replicas_in_sync
    compute = _replica_step(state, recipe, replicas)

    def replica_step(image: tf.Tensor, label: tf.Tensor, rate: tf.Tensor) -> StepOutput:
        output = _output(compute(image, label, rate), fingerprints=fingerprints)
        return output if replicas == 1 else _with_replica_fingerprints(output)

    def step(image: tf.Tensor, label: tf.Tensor, rate: tf.Tensor) -> StepOutput:
        if replicas == 1:
            return replica_step(image, label, rate)
        output = strategy.run(replica_step, args=(image, label, rate))
        *values, fingerprint, batch = (strategy.experimental_local_results(part) for part in output)
        loss, norm, correct = (of_replica[0] for of_replica in values)
        return StepOutput(loss, norm, correct, fingerprint, batch)

    if eager:
        return step
    _check_xla(recipe, replicas)
    xla = recipe.numerics.xla or None
    compiled: StepFunction = tf.function(step, jit_compile=xla, autograph=False)
    return compiled


def _check_xla(recipe: Recipe, replicas: int) -> None:
    """XLA has no deterministic gradient of max-pooling, and collectives do not compile in it."""
    if not recipe.numerics.xla or (replicas == 1 and not recipe.numerics.op_determinism):
        return
    raise RecipeError(
        "XLA cannot compile the step "
        + ("on several devices" if replicas > 1 else "under op determinism"),
        where=f"numerics.xla of recipe {recipe.name}",
        expected="one device and numerics.op_determinism false, or numerics.xla false",
        remedy="--set numerics.xla=false, or --set numerics.op_determinism=false on one device",
    )


DetailedStep = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[StepOutput, dict[str, tf.Tensor]]]
"""As `StepFunction`; besides its output the fingerprint of each tensor by name, uint64."""


def build_detailed_step(state: TrainState, recipe: Recipe) -> DetailedStep:
    """The step on one device with a fingerprint of every tensor, for finding a difference.

    Names are `loss`, `gradients/<path>` and `weights/<path>` (after the step).
    """
    compute = _replica_step(state, recipe, replicas=1)

    def step(
        image: tf.Tensor, label: tf.Tensor, rate: tf.Tensor
    ) -> tuple[StepOutput, dict[str, tf.Tensor]]:
        parts = compute(image, label, rate)
        named = {"loss": parts.loss}
        named |= {f"gradients/{p}": g for p, g in zip(state.paths, parts.gradients, strict=True)}
        paths = (v.path for v in state.model.weights)
        named |= {f"weights/{p}": w for p, w in zip(paths, parts.weights, strict=True)}
        return _output(parts), {name: tensor_fingerprint(t) for name, t in named.items()}

    compiled: DetailedStep = tf.function(step, autograph=False)
    return compiled


class _StepParts(NamedTuple):
    """The tensors of one replica's step; weights are those after it."""

    image: tf.Tensor
    label: tf.Tensor
    loss: tf.Tensor
    correct: tf.Tensor
    gradients: list[tf.Tensor]
    weights: list[tf.Tensor]


def _output(parts: _StepParts, *, fingerprints: bool = True) -> StepOutput:
    batch = whole = tf.constant(0, tf.uint64)
    if fingerprints:
        batch, whole = step_fingerprints(
            parts.image, parts.label, parts.loss, parts.gradients, parts.weights
        )
    return StepOutput(
        loss=parts.loss,
        gradient_norm=tf.linalg.global_norm(parts.gradients),
        correct=parts.correct,
        fingerprint=whole,
        batch_fingerprint=batch,
    )


def _replica_step(
    state: TrainState, recipe: Recipe, replicas: int
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], _StepParts]:
    compute_gradients = _gradients(state, recipe)
    per_replica = recipe.model.batch_norm == "per_replica"
    decay = decayed_mask(state.paths, recipe.loss.decayed)

    def replica_step(image: tf.Tensor, label: tf.Tensor, rate: tf.Tensor) -> _StepParts:
        loss, correct, gradients = compute_gradients(image, label)
        if replicas > 1:
            moving = moving_statistics(state.model) if per_replica else ()
            loss, correct, gradients = _across_replicas(loss, correct, gradients, moving, replicas)
        gradients = [
            g + recipe.loss.weight_decay * w if decayed and recipe.loss.weight_decay else g
            for g, w, decayed in zip(gradients, state.trainable, decay, strict=True)
        ]
        _update(state, recipe, gradients, rate)
        # Copies, so that what is fingerprinted is read after the update.
        weights = [tf.identity(w) for w in state.weights()]
        return _StepParts(image, label, loss, correct, gradients, weights)

    return replica_step


def _across_replicas(
    loss: tf.Tensor,
    correct: tf.Tensor,
    gradients: list[tf.Tensor],
    moving: tuple[tf.Variable, ...],
    replicas: int,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Sum loss, correct images and gradients over replicas; average the moving statistics.

    All of it is one reduction. The moving statistics differ from replica to
    replica only by this step's batch, so they are equal everywhere after each
    step, and when a checkpoint is made cannot change a bit of what follows.
    """
    parts = [loss, correct, *gradients, *(tf.identity(v) for v in moving)]
    context = tf.distribute.get_replica_context()
    options = reduction_options(context.strategy)
    summed = context.all_reduce(tf.distribute.ReduceOp.SUM, parts, options)
    first_moving = len(parts) - len(moving)
    for variable, total in zip(moving, summed[first_moving:], strict=True):
        # By handle: `assign` of a mirrored variable would ask for one more reduction.
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=total / replicas)
    return summed[0], summed[1], summed[2:first_moving]


def _with_replica_fingerprints(output: StepOutput) -> StepOutput:
    """Each replica's fingerprints, to be added at the end of a window."""
    context = tf.distribute.get_replica_context()
    number = tf.cast(context.replica_id_in_sync_group, tf.uint64)
    batch, whole = replica_fingerprints(
        StepFingerprints(batch=output.batch_fingerprint, whole=output.fingerprint), number
    )
    return output._replace(fingerprint=whole, batch_fingerprint=batch)


LossAndGradients = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]]


def _gradients(state: TrainState, recipe: Recipe) -> LossAndGradients:
    float16 = recipe.precision.compute == "float16"

    def compute(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = state.model(image, training=True)
            each = smoothed_cross_entropy(logits, label, recipe.loss.label_smoothing)
            loss = tf.reduce_sum(each) / recipe.batch
            scaled = loss * state.loss_scale if float16 else loss
        gradients = tape.gradient(scaled, state.trainable)
        if float16:
            gradients = [g / state.loss_scale for g in gradients]
        # As int32 both would be computed on the host, and a GPU would be waited for.
        hit = tf.equal(tf.argmax(logits, axis=-1), tf.cast(label, tf.int64))
        correct = tf.reduce_sum(tf.cast(hit, tf.float32))
        return loss, correct, gradients

    return compute


def _update(state: TrainState, recipe: Recipe, gradients: list[tf.Tensor], rate: tf.Tensor) -> None:
    """Move weights and slots by the momentum's form.

    With float16 a step whose gradients are not finite is taken back and the loss
    scale halved: a branch instead would wait for the gradients on the host. The handle of a
    mirrored variable within a replica is the replica's own copy, so every replica makes the
    same update by itself.
    """
    if recipe.precision.compute != "float16":
        _apply(state, recipe, gradients, rate)
        return
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
    before = [(v, tf.identity(v)) for v in (*state.trainable, *state.slots)]
    _apply(state, recipe, gradients, rate)
    for variable, value in before:
        kept = tf.where(finite, tf.identity(variable), value)
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=kept)
    _adjust_scale(state, finite)


_MOMENTUM = {
    "rate_inside": tf.raw_ops.ResourceApplyKerasMomentum,
    "rate_outside": tf.raw_ops.ResourceApplyMomentum,
}
"""By the optimizer's form: whether the slot holds the learning rate, as `Optimizer` says."""


def _apply(state: TrainState, recipe: Recipe, gradients: list[tf.Tensor], rate: tf.Tensor) -> None:
    momentum = tf.constant(recipe.optimizer.momentum, tf.float32)
    apply = _MOMENTUM[recipe.optimizer.form]
    for variable, slot, gradient in zip(state.trainable, state.slots, gradients, strict=True):
        apply(
            var=variable.handle,
            accum=slot.handle,
            lr=rate,
            grad=gradient,
            momentum=momentum,
            use_nesterov=recipe.optimizer.nesterov,
        )


def _adjust_scale(state: TrainState, finite: tf.Tensor) -> None:
    age = tf.where(finite, state.scale_age + 1, tf.zeros_like(state.scale_age))
    grow = age >= SCALE_GROWTH_STEPS
    scale = tf.where(finite, state.loss_scale, tf.maximum(state.loss_scale / 2.0, 1.0))
    scale = tf.where(grow, scale * 2.0, scale)
    tf.raw_ops.AssignVariableOp(resource=state.loss_scale.handle, value=scale)
    age = tf.where(grow, tf.zeros_like(age), age)
    tf.raw_ops.AssignVariableOp(resource=state.scale_age.handle, value=age)
