"""One process of a scaling measurement: real pipeline, real step, then the reduction alone.

Run as `python -m harness.bench.scaling.process`; the question comes on
standard input as one JSON line, the answer goes to standard output as another.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median_high
from typing import TYPE_CHECKING, Any

from harness.distributed.cluster import Cluster
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.recipes.recipe import Recipe

if TYPE_CHECKING:
    from harness.training.state import TrainState

READY = "ready"
PROBES = 10


@dataclass(frozen=True)
class Question:
    """What to measure.

    Attributes:
        recipe: Recipe as JSON; its batch is the global one.
        data: A prepared folder.
        warm_up: Steps before the measurement.
        steps: Steps of the measurement.
        addresses: The job's workers; none for a process alone.
        worker: This process's number.
    """

    recipe: str
    data: str
    warm_up: int
    steps: int
    addresses: tuple[str, ...] = ()
    worker: int = 0

    def text(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class ReductionTimes:
    """Medians over the measured steps, in seconds.

    Attributes:
        step_s: A whole step.
        data_wait_s: Its part spent waiting for the batch.
        reduction_s: One reduction of as many bytes as a step reduces.
        small_reduction_s: One reduction of a single number: latency alone.
        payload_bytes: Bytes that a step reduces.
        total_s: All measured steps together.
    """

    step_s: float
    data_wait_s: float
    reduction_s: float
    small_reduction_s: float
    payload_bytes: int
    total_s: float


def main() -> None:
    """Measure, once the parent says so."""
    document = json.loads(sys.stdin.readline())
    document["addresses"] = tuple(document["addresses"])
    answer = measure(Question(**document), _wait_for_parent)
    print(json.dumps(asdict(answer)), flush=True)  # the answer
    sys.stdin.readline()  # stays until all have answered: a job ends together


def _wait_for_parent() -> None:
    print(READY, flush=True)  # told to the parent
    sys.stdin.readline()


def measure(question: Question, wait: Callable[[], None]) -> ReductionTimes:
    """Build the recipe's network, warm up, wait for the others, and measure."""
    recipe = Recipe.model_validate_json(question.recipe)
    numerics = resolved(recipe.numerics)
    set_import_flags(numerics)
    pin_runtime(numerics, recipe.precision)

    from harness.data.input_pipeline.pipeline import training_batches
    from harness.data.opening import load
    from harness.distributed.asked import ONE_DEVICE
    from harness.distributed.devices import open_devices, replica_batches
    from harness.training.step import build_step

    addresses = question.addresses
    cluster = Cluster(addresses, question.worker) if len(addresses) > 1 else None
    devices = open_devices(ONE_DEVICE, cluster)
    data = load(Path(question.data))
    with devices.strategy.scope():
        state = initial_state(recipe, recipe.model.classes or len(data.classes))
    batches = replica_batches(
        devices,
        lambda shard: training_batches(
            data.train,
            augmentation=recipe.augmentation,
            normalisation=recipe.normalisation,
            image_size=recipe.model.image_size,
            seed=question.worker if cluster is None else 0,
            batch=recipe.batch,
            first_step=0,
            last_step=question.warm_up + question.steps,
            shard=shard,
        ),
    )
    step = build_step(state, recipe, devices.strategy)
    _timed_steps(step, batches, question.warm_up)
    wait()
    begin = time.perf_counter()
    step_s, wait_s = _timed_steps(step, batches, question.steps)
    total_s = time.perf_counter() - begin
    sizes = [int(v.shape.num_elements()) for v in state.trainable]
    return ReductionTimes(
        step_s=median_high(step_s),
        data_wait_s=median_high(wait_s),
        reduction_s=_reduction_s(devices, sizes),
        small_reduction_s=_reduction_s(devices, [1]),
        payload_bytes=4 * sum(sizes),
        total_s=total_s,
    )


def initial_state(recipe: Recipe, classes: int) -> "TrainState":
    """The recipe's network and what trains it, in the recipe's precision."""
    from harness.runner.initial_model import initial_network
    from harness.training.state import create_state

    network = initial_network(recipe, classes, seed=0)
    return create_state(network, float16=recipe.precision.compute == "float16")


def _timed_steps(step: Any, batches: Iterator[Any], count: int) -> tuple[list[float], list[float]]:
    import tensorflow as tf

    steps, waits = [], []
    for _ in range(count):
        begin = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - begin)
        step(batch["image"], batch["label"], tf.constant(1e-4)).loss.numpy()
        steps.append(time.perf_counter() - begin)
    return steps, waits


def _reduction_s(devices: Any, sizes: list[int]) -> float:
    """One reduction of tensors of these sizes, packed as a step packs its gradients."""
    import tensorflow as tf

    if devices.replicas == 1:
        return 0.0

    def reduce() -> Any:
        context = tf.distribute.get_replica_context()
        parts = [tf.zeros([size]) for size in sizes]
        return tf.add_n([s[0] for s in context.all_reduce(tf.distribute.ReduceOp.SUM, parts)])

    run = tf.function(lambda: devices.strategy.run(reduce))
    times = []
    for _ in range(PROBES + 1):
        begin = time.perf_counter()
        devices.strategy.experimental_local_results(run())[0].numpy()
        times.append(time.perf_counter() - begin)
    return median_high(times[1:])


if __name__ == "__main__":
    main()
