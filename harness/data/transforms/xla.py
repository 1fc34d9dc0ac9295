"""Helpers for graph functions: tracing as written, compiling by XLA for the CPU."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that XLA compiles for each shape of its arguments, on its first call.

    The function's name is part of the key under which TensorFlow keeps compiled
    code for the process, so callers make each such function once and keep it.
    """
    result: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
    return result


def materialised(
    true_at_run_time: tf.Tensor, value: Callable[[], tf.Tensor], shape: Any
) -> tf.Tensor:
    """Force a value into memory inside an XLA computation.

    XLA on CPU would fuse its producer into every later tap and compute it anew
    each time (2.2 to 3.0 ms an image instead of 0.17); an optimisation barrier
    is removed too early to help. Nothing is fused across a conditional whose
    predicate is unknown at compile time.
    """
    return tf.cond(true_at_run_time, value, lambda: tf.zeros(shape, tf.float32))


def as_traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Trace a function as it stands: no Python control flow in it depends on tensors.

    AutoGraph's rewriting of the source takes three seconds per pipeline.
    """
    traced: Callable[..., Any] = tf.autograph.experimental.do_not_convert(function)
    return traced
