"""The whole state of a run: weights with moving statistics, slots, loss scale, step."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from harness.errors import CheckpointError

INITIAL_LOSS_SCALE = 2.0**15


@dataclass(frozen=True)
class TrainState:
    """Variables of a training; their values change, their identity does not.

    Attributes:
        model: The network.
        trainable: The model's trainable variables.
        slots: One momentum for each of them, float32, same shape.
        loss_scale: float32 scalar; 1 unless the compute type is float16.
        scale_age: int64 scalar, finite steps since the loss scale last changed; as int32 a
            GPU would leave it, and what depends on it, to the host.
    """

    model: keras.Model
    trainable: tuple[tf.Variable, ...]
    slots: tuple[tf.Variable, ...]
    loss_scale: tf.Variable
    scale_age: tf.Variable

    @property
    def paths(self) -> tuple[str, ...]:
        """Path of each trainable variable."""
        return tuple(v.path for v in self.model.trainable_variables)

    @property
    def bytes(self) -> int:
        """Of weights, moving statistics and slots."""
        return sum(v.shape.num_elements() * v.dtype.size for v in (*self.weights(), *self.slots))

    def weights(self) -> tuple[tf.Variable, ...]:
        """All of the model's variables, moving statistics included."""
        return tuple(v.value for v in self.model.weights)


def create_state(model: keras.Model, *, float16: bool) -> TrainState:
    """The state before the first step; call inside the strategy's scope."""
    trainable = tuple(v.value for v in model.trainable_variables)
    slots = tuple(tf.Variable(tf.zeros_like(v), trainable=False) for v in trainable)
    return TrainState(
        model=model,
        trainable=trainable,
        slots=slots,
        loss_scale=tf.Variable(INITIAL_LOSS_SCALE if float16 else 1.0, trainable=False),
        scale_age=tf.Variable(0, trainable=False, dtype=tf.int64),
    )


def moving_statistics(model: keras.Model) -> tuple[tf.Variable, ...]:
    """Variables that training moves without gradients: batch normalisation's statistics.

    Those of frozen layers stay as they are and are left out.
    """
    return tuple(
        v.value
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for v in (layer.moving_mean, layer.moving_variance)
    )


def take_from_chief(state: TrainState, strategy: tf.distribute.Strategy) -> None:
    """Give every replica the values of replica 0, bit for bit.

    A sum in which the others hold -0.0, because x + -0.0 is x for every x.
    """
    variables = (*state.weights(), *state.slots, state.loss_scale)

    def take() -> None:
        context = tf.distribute.get_replica_context()
        first = tf.equal(context.replica_id_in_sync_group, 0)
        nothing = tf.constant(-0.0, tf.float32)
        parts = [tf.where(first, v, nothing) for v in variables]
        for variable, value in zip(
            variables, context.all_reduce(tf.distribute.ReduceOp.SUM, parts), strict=True
        ):
            tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
        age = tf.where(first, state.scale_age, tf.zeros_like(state.scale_age))
        age = context.all_reduce(tf.distribute.ReduceOp.SUM, age)
        tf.raw_ops.AssignVariableOp(resource=state.scale_age.handle, value=age)

    tf.function(lambda: strategy.run(take), autograph=False)()


def reset_momentum(state: TrainState) -> None:
    """Set every slot to zero, as a new optimizer would."""
    for slot in state.slots:
        slot.assign(tf.zeros_like(slot))


def to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """A snapshot on the host; names as in a checkpoint's `state.npz`."""
    arrays = {f"weights/{v.path}": v.value.numpy() for v in state.model.weights}
    for path, slot in zip(state.paths, state.slots, strict=True):
        arrays[f"slots/{path}"] = slot.numpy()
    arrays["loss_scale"] = np.asarray(state.loss_scale.numpy())
    arrays["scale_age"] = np.asarray(state.scale_age.numpy(), np.int32)
    return arrays


def from_arrays(state: TrainState, arrays: dict[str, np.ndarray], where: str) -> None:
    """Take over a snapshot.

    Raises:
        CheckpointError: an array is missing, surplus or has another shape or type.
    """
    targets = {f"weights/{v.path}": v.value for v in state.model.weights}
    targets |= {f"slots/{p}": s for p, s in zip(state.paths, state.slots, strict=True)}
    targets |= {"loss_scale": state.loss_scale, "scale_age": state.scale_age}
    wrong = sorted(set(targets) ^ set(arrays))
    wrong += [n for n in targets if n in arrays and targets[n].shape != arrays[n].shape]
    if wrong:
        raise CheckpointError(
            f"the checkpoint does not fit the model: {', '.join(wrong[:5])}",
            where=where,
            expected=f"{len(targets)} arrays of the model's names and shapes",
            remedy="use the run's own recipe, or start another run",
        )
    for name, variable in targets.items():
        variable.assign(arrays[name])
