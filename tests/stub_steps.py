"""A training step that computes nothing, and the loop's windows over it."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from harness.record.schema import Steps
from harness.training.loop import _WindowRunner
from harness.training.step import StepFunction, StepOutput

OUTPUT = StepOutput(
    tf.constant(1.0),
    tf.constant(2.0),
    tf.constant(3),
    tf.constant(7, tf.uint64),
    tf.constant(7, tf.uint64),
)


def stub_step(_image: tf.Tensor, _label: tf.Tensor, _rate: tf.Tensor) -> StepOutput:
    """Always the same output."""
    return OUTPUT


def windows_of(
    step: StepFunction,
    steps: int,
    *,
    asynchronous: bool = False,
    now: Callable[[], float] = time.perf_counter,
) -> Callable[[], Steps]:
    """A function that runs the next window of so many steps."""
    batch: dict[str, Any] = {"image": tf.zeros([1]), "label": tf.zeros([1], tf.int32)}
    runner = _WindowRunner(
        step_function=step,
        batches=itertools.repeat(batch),
        stop_requested=lambda _: False,
        images=1,
        asynchronous=asynchronous,
        now=now,
    )
    firsts = itertools.count(0, steps)
    rates = np.full(steps, 0.1, np.float32)
    return lambda: runner.run(next(firsts), rates)
