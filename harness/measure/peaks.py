"""What the machine can do at best: a matrix product and a memory copy.

Both run through TensorFlow, on the same threads or device as the work that is
compared with them, so that a share of peak is a share of what was reachable.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

Now = Callable[[], float]
GEMM_SIZE = 2048
"""Large enough for the peak rate, small enough for several products a second on one core."""

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

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return asdict(self)


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
    size: int = GEMM_SIZE,
    dtype: tf.DType = tf.float32,
    now: Now = time.perf_counter,
) -> float:
    """Rate of a square matrix product in floating-point operations a second.

    Args:
        seconds: Time to spend after the warm-up.
        size: Rows and columns.
        dtype: Of the factors.
        now: Monotonic seconds.

    Returns:
        The fastest fifth's median: interruptions by other work only ever slow
        a product down.
    """
    generator = np.random.default_rng(0)
    left, right = (
        tf.cast(tf.constant(generator.standard_normal((size, size), np.float32)), dtype)
        for _ in range(2)
    )
    product = tf.function(lambda a, b: tf.linalg.matmul(a, b)[0, 0])
    times = _repeat(lambda: product(left, right).numpy(), seconds, now)
    return 2.0 * size**3 / _fast(times)


def measure_copy(
    *, seconds: float = 2.0, size_bytes: int = COPY_BYTES, now: Now = time.perf_counter
) -> float:
    """Rate of a copy through memory in bytes a second, reads and writes together."""
    source = tf.Variable(tf.zeros(size_bytes // 4, tf.float32))
    target = tf.Variable(tf.ones(size_bytes // 4, tf.float32))

    def copy() -> tf.Tensor:
        # An assignment of a negated tensor can be no alias: it reads and writes every byte.
        target.assign(-source)
        return target[0]

    compiled = tf.function(copy)
    times = _repeat(lambda: compiled().numpy(), seconds, now)
    return 2.0 * size_bytes / _fast(times)


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
