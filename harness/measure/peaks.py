"""What the machine can do at best: a matrix product and a memory copy.

Both run through TensorFlow, on the same threads or device as the work that is
compared with them, so that a share of peak is a share of what was reachable.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from harness.measure.machine import instruction_sets

Now = Callable[[], float]
GEMM_SIZE = 2048
"""Large enough for the peak rate, small enough for several products a second on one core."""
GPU_GEMM_SIZE = 8192
"""Tiles for many waves of work on the largest GPU: the last, unfilled wave costs little."""
GPU_IN_FLIGHT = 4
"""Operations that are handed to a GPU before the host waits: one alone shows the waiting too."""
GPU_FAST_IN_FLIGHT = 16
"""The same in a faster precision than float32: on an H200 four in bfloat16 were 8 % too slow."""

WITH_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Instruction sets of processors that multiply bfloat16 faster than float32."""

GEMM_SECONDS = 0.3
"""Spent on the rate that a run is compared with."""

COPY_BYTES = 256 << 20
"""Several times any last-level cache."""


@dataclass(frozen=True)
class Peaks:
    """Ceilings of a device.

    Attributes:
        gemm_flops_per_s: Of a square float32 matrix product.
        copy_bytes_per_s: Read and written bytes of a copy, together.
        device: Kind of the device.
    """

    gemm_flops_per_s: float
    copy_bytes_per_s: float
    device: str


def measure_peaks(*, seconds: float = 2.0, now: Now = time.perf_counter) -> Peaks:
    """Measure both ceilings, about `seconds` for each."""
    return Peaks(
        gemm_flops_per_s=measure_gemm(seconds=seconds, now=now),
        copy_bytes_per_s=measure_copy(seconds=seconds, now=now),
        device="GPU" if tf.config.list_logical_devices("GPU") else "CPU",
    )


def measure_gemm(
    *,
    seconds: float = 2.0,
    size: int | None = None,
    in_flight: int | None = None,
    dtype: tf.DType = tf.float32,
    now: Now = time.perf_counter,
) -> float:
    """Rate of a square matrix product in floating-point operations a second.

    Args:
        seconds: Time to spend after the warm-up.
        size: Rows and columns; None takes what fills the device.
        in_flight: Products before the host waits; None takes what the device needs.
        dtype: Of the factors.
        now: Monotonic seconds.

    Returns:
        The fastest fifth's median: interruptions by other work only ever slow
        a product down.
    """
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    size = size or (GPU_GEMM_SIZE if on_gpu else GEMM_SIZE)
    fast = dtype != tf.float32 or tf.config.experimental.tensor_float_32_execution_enabled()
    count = in_flight or ((GPU_FAST_IN_FLIGHT if fast else GPU_IN_FLIGHT) if on_gpu else 1)
    left, right = (
        tf.cast(tf.random.stateless_normal((size, size), (0, i)), dtype) for i in range(2)
    )
    # Each product is a factor of the next one, whose elements are then as large as before.
    right = right * tf.cast(size**-0.5, dtype)

    def products(factor: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        for _ in range(count):
            factor = tf.linalg.matmul(factor, other)
        return factor[0, 0]

    compiled = tf.function(products, autograph=False)
    times = _repeat(lambda: compiled(left, right).numpy(), seconds, now)
    return 2.0 * count * size**3 / _fast(times)


def gemm_by_precision() -> dict[str, float]:
    """`measure_gemm` in float32 and in the precisions that are faster on this device, if any."""
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    found = {}
    try:
        for name, tf32 in (("float32", False), *((("tf32", True),) if on_gpu else ())):
            tf.config.experimental.enable_tensor_float_32_execution(tf32)
            found[name] = measure_gemm(seconds=GEMM_SECONDS)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
    if on_gpu or WITH_BFLOAT16 & set(instruction_sets()):
        found["bfloat16"] = measure_gemm(seconds=GEMM_SECONDS, dtype=tf.bfloat16)
    return found


@cache
def gemm_of_process(dtype: str) -> float:
    """`measure_gemm`, once in a process: preflight and the record of a run take the same rate.

    Args:
        dtype: Name of the factors' type.
    """
    return measure_gemm(seconds=GEMM_SECONDS, dtype=tf.as_dtype(dtype))


def measure_copy(
    *,
    seconds: float = 2.0,
    size_bytes: int = COPY_BYTES,
    in_flight: int | None = None,
    now: Now = time.perf_counter,
) -> float:
    """Rate of a copy through memory in bytes a second, reads and writes together."""
    count = in_flight or (GPU_IN_FLIGHT if tf.config.list_logical_devices("GPU") else 1)
    source = tf.Variable(tf.zeros(size_bytes // 4, tf.float32))
    target = tf.Variable(tf.ones(size_bytes // 4, tf.float32))

    def copy() -> tf.Tensor:
        # An assignment of a negated tensor can be no alias: it reads and writes every byte.
        for i in range(count):
            (target, source)[i % 2].assign(-(source, target)[i % 2])
        return target[0]

    compiled = tf.function(copy, autograph=False)
    times = _repeat(lambda: compiled().numpy(), seconds, now)
    return 2.0 * count * size_bytes / _fast(times)


def _repeat(work: Callable[[], Any], seconds: float, now: Now) -> list[float]:
    for _ in range(2):
        work()
    times: list[float] = []
    begun = now()
    while not times or now() - begun < seconds:
        before = now()
        work()
        times.append(now() - before)
    return times


def _fast(times: list[float]) -> float:
    return float(np.median(np.sort(times)[: max(1, len(times) // 5)]))
