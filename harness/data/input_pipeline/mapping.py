"""How a function is mapped over a data set: in order, with pinned parallelism."""

from collections.abc import Callable

import tensorflow as tf

from harness.data.transforms.xla import as_traced
from harness.measure.machine import usable_cores

PREFETCHED_BATCHES = 1
"""Ready ahead of the consumer; one more is being coloured and one more filled meanwhile."""
CALLS_PER_CORE = 2


def parallel(
    dataset: tf.data.Dataset,
    load: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    calls: int | None = None,
) -> tf.data.Dataset:
    """Map in order with a pinned number of calls at once: nothing is tuned while it runs.

    Args:
        dataset: what is mapped.
        load: the function.
        calls: how many at once; None takes `parallel_calls`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    # Each crop is written to its place in the batch at once, not kept until all are there.
    options.experimental_optimization.map_and_batch_fusion = True
    if input_threads():
        options.threading.private_threadpool_size = input_threads()
    calls = calls or parallel_calls()
    made = dataset.map(as_traced(load), num_parallel_calls=calls, deterministic=True)
    return made.with_options(options)


def input_settings() -> dict[str, int | bool]:
    """What decides the pipeline's speed and changes no bit, as effective here; for the record."""
    return {
        "parallel_calls": parallel_calls(),
        "parallel_calls_whole_images": whole_image_calls(),
        "prefetched_batches": PREFETCHED_BATCHES,
        "private_threads": input_threads(),
        "autotune": False,
        "deterministic_order": True,
    }


def input_threads() -> int:
    """Threads of the input's own; 0 where it shares those of the step's operations.

    Beside a GPU the step's operations on the host are few and must not queue behind
    images, or the GPU waits. On a processor a second pool would only compete.
    """
    return usable_cores() if tf.config.get_visible_devices("GPU") else 0


def whole_image_calls() -> int:
    """Batches of whole images being made at once: one per core, as each holds a batch's pixels."""
    return usable_cores()


def parallel_calls() -> int:
    """Examples being made at once: two per usable core, so that one can wait for the disk."""
    return CALLS_PER_CORE * usable_cores()
