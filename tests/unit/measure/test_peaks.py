"""The peaks: right arithmetic on a clock of the test's own, sane values on the real one."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from harness.measure import peaks
from harness.measure.peaks import gemm_by_precision, gemm_of_process, measure_copy, measure_gemm


def ticking(seconds: float) -> Iterator[float]:
    at = 0.0
    while True:
        yield at
        at += seconds


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_gemm_rate_is_two_n_cubed_over_the_time(in_flight: int, dtype: tf.DType) -> None:
    clock = ticking(0.25)
    rate = measure_gemm(
        seconds=2.0, size=64, in_flight=in_flight, dtype=dtype, now=lambda: next(clock)
    )
    assert rate == pytest.approx(in_flight * 2 * 64**3 / 0.25)


@pytest.mark.parametrize("in_flight", [1, 3])
def test_copy_rate_counts_reads_and_writes(in_flight: int) -> None:
    clock = ticking(0.5)
    rate = measure_copy(
        seconds=2.0, size_bytes=1 << 16, in_flight=in_flight, now=lambda: next(clock)
    )
    assert rate == pytest.approx(in_flight * 2 * (1 << 16) / 0.5)


@pytest.mark.parametrize(
    ("tf32", "products"), [(False, peaks.GPU_IN_FLIGHT), (True, peaks.GPU_FAST_IN_FLIGHT)]
)
def test_a_gpu_is_filled(monkeypatch: pytest.MonkeyPatch, tf32: bool, products: int) -> None:
    """A processor that is taken for a GPU gets the larger products, several before a wait."""
    monkeypatch.setattr(peaks, "GPU_GEMM_SIZE", 32)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _kind: ["GPU"])
    monkeypatch.setattr(tf.config.experimental, "tensor_float_32_execution_enabled", lambda: tf32)
    clock = ticking(0.25)
    rate = measure_gemm(seconds=1.0, now=lambda: next(clock))
    assert rate == pytest.approx(products * 2 * 32**3 / 0.25)


@pytest.mark.parametrize(
    ("devices", "instructions", "names"),
    [
        (["GPU"], (), ["float32", "tf32", "bfloat16"]),
        ([], ("avx512_bf16",), ["float32", "bfloat16"]),
        ([], ("avx2",), ["float32"]),
    ],
    ids=["a GPU", "a processor with bfloat16", "another"],
)
def test_precisions_that_are_faster_are_measured_and_tf32_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
    devices: list[str],
    instructions: tuple[str, ...],
    names: list[str],
) -> None:
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    measured: list[tuple[bool, str]] = []

    def product(*, seconds: float, dtype: tf.DType = tf.float32) -> float:
        measured.append((enabled(), dtype.name))
        return seconds

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _kind: devices)
    monkeypatch.setattr(peaks, "instruction_sets", lambda: instructions)
    monkeypatch.setattr(peaks, "measure_gemm", product)
    before = enabled()
    assert list(gemm_by_precision()) == names
    assert enabled() == before
    assert [name for tf32, name in measured if tf32 and name == "float32"] == ["float32"] * len(
        devices
    )


def test_products_in_flight_are_computed_one_after_the_other() -> None:
    """As many matrix products as are counted are in the graph, and none is taken away."""
    made: list[Any] = []
    plain = tf.linalg.matmul

    def counted(*factors: tf.Tensor) -> tf.Tensor:
        made.append(plain(*factors))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.linalg, "matmul", counted)
        measure_gemm(seconds=0.01, size=16, in_flight=5)
    assert len({tensor.name for tensor in made}) == 5


def test_one_measurement_is_enough() -> None:
    clock = ticking(100.0)
    assert measure_gemm(seconds=0.1, size=8, now=lambda: next(clock)) > 0


def test_a_real_product_is_not_faster_than_arithmetic_allows() -> None:
    """The same product timed by hand bounds the rate from both sides, in processor time.

    By the clock on the wall another process on the same cores would decide.
    """
    work = tf.function(lambda a: tf.linalg.matmul(a, a)[0, 0])
    factor = tf.constant(np.random.default_rng(0).standard_normal((1024, 1024), np.float32))
    work(factor).numpy()

    def by_hand() -> float:
        times = []
        for _ in range(20):
            before = time.process_time()
            work(factor).numpy()
            times.append(time.process_time() - before)
        return 2 * 1024**3 / min(times)

    rates = [by_hand()]
    measured = [measure_gemm(seconds=0.5, size=1024, now=time.process_time) for _ in range(3)]
    rates.append(by_hand())
    # Other work slows both; the best of several is slowed least. A wrong factor is 2 at least.
    assert min(rates) / 1.8 < max(measured) < 1.8 * max(rates)


def test_a_process_measures_its_rate_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measured(*, seconds: float, dtype: tf.DType) -> float:
        asked.append(dtype.name)
        return seconds

    monkeypatch.setattr(peaks, "measure_gemm", measured)
    gemm_of_process.cache_clear()
    assert gemm_of_process("float32") == gemm_of_process("float32") == peaks.GEMM_SECONDS
    gemm_of_process("bfloat16")
    gemm_of_process.cache_clear()
    assert asked == ["float32", "bfloat16"]
