"""The clock of `Model.fit` counts steps and nothing that comes before them."""

import keras
import tensorflow as tf

from harness.bench.step_variants import StepClock


class Opening(keras.callbacks.Callback):
    """Stands for what `fit` does before its first step: it takes a thousand seconds."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self.clock = clock

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        del epoch, logs
        self.clock[0] += 1000.0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        del logs
        self.clock[0] += batch + 1.0


def test_steps_alone_are_counted() -> None:
    at = [0.0]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", run_eagerly=True)
    batches = tf.data.Dataset.from_tensors((tf.zeros((1, 2)), tf.zeros((1, 1)))).repeat(3)
    clock = StepClock(lambda: at[0])
    model.fit(batches, verbose=0, shuffle=False, callbacks=[clock, Opening(at)])
    assert clock.step_time_s() == (1.0, 2.0, 3.0)
