"""Faults planted in a process of its own, before the real command line is called.

`python drivers.py FAULT run smoke ...` is `harness run smoke ...` with a fault. mypy reads this
module with the package: a replaced function keeps its signature, though its tests run seldom.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

SEEN = "SEEN_FILE"
"""Variable that names the file of `seen_images`."""


def out_of_memory(at_step: int = 14) -> None:
    """The device's memory ends at a step."""
    import tensorflow as tf

    from harness.training import loop

    plain = loop.train

    def train(step_function: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
        calls = 0

        def step(*tensors: tf.Tensor) -> Any:
            nonlocal calls
            calls += 1
            if calls > at_step:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return step_function(*tensors)

        return plain(step, *args, **kwargs)

    loop.train = train


def nan_images(at_step: int = 13) -> None:
    """The images are not numbers from one step on; a rectifier can hide that from the loss."""
    import tensorflow as tf

    from harness.training import loop

    plain = loop.train

    def train(step_function: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
        calls = 0

        def step(image: tf.Tensor, label: tf.Tensor, rate: tf.Tensor) -> Any:
            nonlocal calls
            calls += 1
            bad = tf.where(calls > at_step, float("nan"), 0.0)
            return step_function(image + bad, label, rate)

        return plain(step, *args, **kwargs)

    loop.train = train


def nan_gradients(at_step: int = 13) -> None:
    """One element of one gradient is not a number at a step; its loss is one."""
    _replace_gradients(at_step, _last_element_nan)


def nan_loss(at_step: int = 13) -> None:
    """The loss is not a number at a step; its gradients are."""
    import tensorflow as tf

    def planted(here: tf.Tensor, loss: tf.Tensor, first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.where(here, float("nan"), loss), first

    _replace_gradients(at_step, planted)


def _last_element_nan(here: Any, loss: Any, first: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    last = tf.reshape(tf.equal(tf.range(tf.size(first)), tf.size(first) - 1), tf.shape(first))
    return loss, tf.where(tf.logical_and(here, last), float("nan"), first)


def _replace_gradients(at_step: int, plant: Callable[..., tuple[Any, Any]]) -> None:
    """Have `plant` change the loss and the first gradient of one step, within the graph."""
    import tensorflow as tf

    from harness.training import step as step_module

    plain = step_module._gradients

    def gradients(state: Any, recipe: Any) -> Callable[..., Any]:
        compute = plain(state, recipe)
        calls = tf.Variable(0, trainable=False)

        def planted(image: tf.Tensor, label: tf.Tensor) -> Any:
            loss, correct, (first, *others) = compute(image, label)
            loss, first = plant(tf.equal(calls, at_step), loss, first)
            calls.assign_add(1)
            return loss, correct, [first, *others]

        return planted

    step_module._gradients = gradients


def clock_jumping_back() -> None:
    """Every few readings the time of day goes back an hour."""
    plain, readings = time.time, 0

    def jumping() -> float:
        nonlocal readings
        readings += 1
        return plain() - 3600.0 * (readings // 5)

    time.time = jumping


def other_order() -> None:
    """The order of the images is that of another seed; everything else stays."""
    from harness.data.input_pipeline import order, pipeline

    def other(seed: int, passes: tuple[int, int], rounds: int = order.ROUNDS) -> Any:
        return order.order_seeds(seed + 1, passes, rounds)

    pipeline.order_seeds = other  # type: ignore[attr-defined] # replaced where it is called


def seen_images() -> None:
    """No fault: each step's images of this process are written to a file by their ids."""
    from harness.training import batches

    plain = batches.recipe_batches

    def told(
        recipe: Any, split: Any, devices: Any, *, first: int, **rest: Any
    ) -> Generator[Any, None, None]:
        stream = plain(recipe, split, devices, first=first, **rest)
        with closing(stream), Path(os.environ[SEEN]).open("w") as file:
            for step, batch in enumerate(stream, first):
                parts = devices.strategy.experimental_local_results(batch["index"])
                ids = [split.ids[int(i)] for part in parts for i in part.numpy()]
                print(json.dumps([step, ids]), file=file, flush=True)
                yield batch

    batches.recipe_batches = told


def late_import() -> None:
    """TensorFlow's import takes longer than a worker may be silent, as on a busy machine."""
    from harness.distributed.channel import SILENCE_S
    from harness.numerics import pins

    plain = pins.import_tensorflow  # type: ignore[attr-defined] # replaced where it is called

    def late() -> None:
        time.sleep(SILENCE_S + 10)
        plain()

    pins.import_tensorflow = late  # type: ignore[attr-defined]


FAULTS = {
    fault.__name__: fault
    for fault in (
        out_of_memory,
        nan_images,
        nan_gradients,
        nan_loss,
        clock_jumping_back,
        other_order,
        seen_images,
        late_import,
    )
}


def main() -> None:
    fault = sys.argv.pop(1)
    if fault != "clock_jumping_back":
        # Plants that replace a function of TensorFlow's modules need the flags set before.
        from harness.numerics.pins import set_import_flags
        from harness.recipes.recipe import Numerics

        set_import_flags(Numerics())
    FAULTS[fault]()
    from harness.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
