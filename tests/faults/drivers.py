"""Faults planted in a process of its own, before the real command line is called.

`python drivers.py FAULT run smoke ...` is `harness run smoke ...` with a fault.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
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


def nan_gradients(at_step: int = 13) -> None:
    """A gradient is not a number from one step on: the batch's images are."""
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
    from harness.data import pipeline

    plain = pipeline.order_seeds
    pipeline.order_seeds = lambda seed, passes: plain(seed + 1, passes)


def seen_images() -> None:
    """No fault: each step's images of this process are written to a file by their ids."""
    from harness.workflows import batches

    plain = batches.recipe_batches

    def told(recipe: Any, split: Any, devices: Any, *, first: int, **rest: Any) -> Iterator[Any]:
        stream = plain(recipe, split, devices, first=first, **rest)
        with closing(stream), Path(os.environ[SEEN]).open("w") as file:
            for step, batch in enumerate(stream, first):
                parts = devices.strategy.experimental_local_results(batch["index"])
                ids = [split.ids[int(i)] for part in parts for i in part.numpy()]
                print(json.dumps([step, ids]), file=file, flush=True)
                yield batch

    batches.recipe_batches = told


FAULTS = {
    fault.__name__: fault
    for fault in (out_of_memory, nan_gradients, clock_jumping_back, other_order, seen_images)
}


def main() -> None:
    fault = sys.argv.pop(1)
    if fault != "clock_jumping_back":
        # Plants that replace a function of TensorFlow's modules need the flags set before.
        from harness.numerics.pins import set_import_flags
        from harness.recipes.recipe import Numerics

        set_import_flags(Numerics())
    FAULTS[fault]()
    from harness.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
