"""The peaks: right arithmetic on a clock of the test's own, sane values on the real one."""

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from harness.measure.peaks import measure_copy, measure_gemm


def ticking(seconds: float) -> Iterator[float]:
    at = 0.0
    while True:
        yield at
        at += seconds


def test_gemm_rate_is_two_n_cubed_over_the_time() -> None:
    clock = ticking(0.25)
    rate = measure_gemm(seconds=2.0, size=64, now=lambda: next(clock))
    assert rate == pytest.approx(2 * 64**3 / 0.25)


def test_copy_rate_counts_reads_and_writes() -> None:
    clock = ticking(0.5)
    rate = measure_copy(seconds=2.0, size_bytes=1 << 16, now=lambda: next(clock))
    assert rate == pytest.approx(2 * (1 << 16) / 0.5)


def test_one_measurement_is_enough() -> None:
    clock = ticking(100.0)
    assert measure_gemm(seconds=0.1, size=8, now=lambda: next(clock)) > 0


def test_a_real_product_is_not_faster_than_arithmetic_allows() -> None:
    """The same product timed by hand bounds the rate from both sides."""
    import time

    measured = measure_gemm(seconds=0.3, size=512)
    a = tf.ones((512, 512))
    times = []
    for _ in range(20):
        before = time.perf_counter()
        tf.linalg.matmul(a, a).numpy()
        times.append(time.perf_counter() - before)
    by_hand = 2 * 512**3 / float(np.min(times))
    assert by_hand / 20 < measured < by_hand * 20
