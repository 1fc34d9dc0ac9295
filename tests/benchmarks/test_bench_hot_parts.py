"""The step's hot parts: forward and backward, fingerprint, loss, and what the loop adds.

Sizes are small, so that the suite takes minutes on two cores; `harness bench`
measures the real network.
"""

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from pytest_benchmark.fixture import BenchmarkFixture

from harness.measure.operations import multiply_adds, training_flops
from harness.measure.peaks import measure_gemm
from harness.models.build import build_model
from harness.numerics.fingerprint import joint_fingerprint
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Model
from harness.training.loss import smoothed_cross_entropy
from harness.training.state import create_state
from harness.training.step import build_step
from tests.stub_steps import stub_step, windows_of

BATCH = 8
SIZE = 64
MODEL = Model(name="apm5-resnet18-v2", image_size=SIZE)


def images() -> tf.Tensor:
    return tf.random.stateless_normal((BATCH, SIZE, SIZE, 3), (0, 0))


@pytest.fixture(scope="module")
def network() -> Any:
    return build_model(MODEL, classes=1000, seed=0)


def warm(work: Callable[[], Any]) -> Callable[[], Any]:
    """`work` after its compilation."""
    work()
    work()
    return work


def test_training_step(benchmark: BenchmarkFixture, network: Any) -> None:
    recipe = APM5_RESNET50.model_copy(update={"batch": BATCH, "model": MODEL})
    state = create_state(network, float16=False)
    step = build_step(state, recipe, tf.distribute.get_strategy())
    image, label, rate = images(), tf.range(BATCH), tf.constant(0.0)

    def run() -> Any:
        return step(image, label, rate).loss.numpy()

    assert 5.0 < benchmark(warm(run)) < 10.0
    flops = training_flops(multiply_adds(network, SIZE), BATCH)
    benchmark.extra_info["images"] = BATCH
    benchmark.extra_info["flops"] = flops
    benchmark.extra_info["gemm_flops_per_s"] = measure_gemm(seconds=0.5)


def test_forward(benchmark: BenchmarkFixture, network: Any) -> None:
    def infer(batch: tf.Tensor) -> tf.Tensor:
        return network(batch, training=False)

    forward, image = tf.function(infer), images()
    logits = benchmark(warm(lambda: forward(image).numpy()))
    assert logits.shape == (BATCH, 1000)
    benchmark.extra_info["images"] = BATCH


def test_fingerprint_of_all_weights(benchmark: BenchmarkFixture, network: Any) -> None:
    weights = [v.value for v in network.weights]
    values = sum(v.shape.num_elements() for v in weights)
    mark = tf.function(
        lambda: joint_fingerprint([tf.identity(w) for w in weights]), jit_compile=True
    )
    assert benchmark(warm(lambda: mark().numpy())) == mark().numpy()
    benchmark.extra_info["bytes"] = 4 * values


def test_loss(benchmark: BenchmarkFixture) -> None:
    logits = tf.random.stateless_normal((128, 1000), (0, 0))
    label = tf.range(128)
    loss = tf.function(lambda: tf.reduce_mean(smoothed_cross_entropy(logits, label, 0.1)))
    assert benchmark(warm(lambda: loss().numpy())) > 0


def test_a_window_of_the_loop(benchmark: BenchmarkFixture) -> None:
    """100 steps that compute nothing: marks, waits, rates and the read-back of their outputs."""
    run = windows_of(stub_step, steps=100)
    assert len(benchmark(warm(run)).step_time_s) == 100
    benchmark.extra_info["steps"] = 100
