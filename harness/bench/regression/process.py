"""Times one revision's hot parts in blocks, each beside a calibration kernel.

Runs as a script in a process whose `harness` package is the revision's, so it
imports little, and leaves out a benchmark that the revision has no function
for. Prints a JSON object of blocks by benchmark as its last line.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

IMAGE_SIZE = 64
BATCH = 16
CLASSES = 10
MODEL = "apm5-resnet18-v2"
REPETITIONS = 5
CALIBRATION_SIZE = 1024
CALIBRATION_CALLS = 4
FORWARD_CALLS = 2
FINGERPRINT_CALLS = 10
"""So that each repetition lasts tens of milliseconds; shorter ones were too noisy."""

Work = Callable[[], Any]


def measure_blocks(blocks: int, now: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """Blocks of every benchmark in alternation, and the machine they ran on."""
    from harness.measure.environment import effective_numerics
    from harness.numerics.pins import pin_runtime, resolved
    from harness.recipes.recipe import Numerics, Precision

    numerics = resolved(Numerics())
    pin_runtime(numerics, Precision())
    found = effective_numerics(numerics, Precision())
    threads = f"{found.intra_op_threads}+{found.inter_op_threads} threads"
    calibrate = _calibration()
    works = _works()
    timings: dict[str, Any] = {n: {"block_s": [], "calibration_s": []} for n in works}
    for work in (calibrate, *works.values()):
        for _ in range(2):
            work()
    for _ in range(blocks):
        for name, work in works.items():
            block_s, calibration_s = block(work, calibrate, now)
            timings[name]["block_s"].append(block_s)
            timings[name]["calibration_s"].append(calibration_s)
    for one in timings.values():
        one["blocks_by_process"] = [blocks]
    return {
        "machine": f"{found.cpu}; {', '.join(found.devices)}; {threads}",
        "benchmarks": timings,
    }


def block(work: Work, calibrate: Work, now: Callable[[], float]) -> tuple[float, float]:
    """Medians of a few repetitions of the work and of the kernel, in alternation."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPETITIONS):
        for part, collected in zip((work, calibrate), times, strict=True):
            begun = now()
            part()
            collected.append(now() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def _calibration() -> Work:
    import tensorflow as tf

    factor = tf.random.stateless_normal((CALIBRATION_SIZE, CALIBRATION_SIZE), (0, 0))
    product = tf.function(lambda a: tf.linalg.matmul(a, a)[0, 0])
    return _repeated(lambda: product(factor).numpy(), CALIBRATION_CALLS)


def _repeated(work: Work, calls: int) -> Work:
    def run() -> None:
        for _ in range(calls):
            work()

    return run


def _works() -> dict[str, Work]:
    makers: dict[str, Callable[[], Work]] = {
        "step": _step,
        "forward": _forward,
        "fingerprint": _fingerprint,
    }
    works = {}
    for name, make in makers.items():
        try:
            works[name] = make()
        except (ImportError, AttributeError, TypeError) as error:
            # Another revision may lack the function; the comparison names what both have.
            sys.stderr.write(f"{name} is not measured: {error}\n")
    return works


def _images() -> Any:
    import tensorflow as tf

    return tf.random.stateless_normal((BATCH, IMAGE_SIZE, IMAGE_SIZE, 3), (0, 0))


def _network() -> Any:
    from harness.models.build import build_model
    from harness.recipes.recipe import Model

    return build_model(Model(name=MODEL, image_size=IMAGE_SIZE), classes=CLASSES, seed=0)


def _step() -> Work:
    import tensorflow as tf

    from harness.recipes.catalogue import find_recipe
    from harness.training.state import create_state
    from harness.training.step import build_step

    recipe = find_recipe("apm5-resnet50").model_copy(update={"batch": BATCH})
    state = create_state(_network(), float16=False)
    step = build_step(state, recipe, tf.distribute.get_strategy())
    image, label, rate = _images(), tf.zeros((BATCH,), tf.int32), tf.constant(0.0)

    def run() -> Any:
        return step(image, label, rate).loss.numpy()

    return run


def _forward() -> Work:
    import tensorflow as tf

    network, image = _network(), _images()
    forward = tf.function(lambda batch: network(batch, training=False))

    def run() -> Any:
        return forward(image)[0, 0].numpy()

    return _repeated(run, FORWARD_CALLS)


def _fingerprint() -> Work:
    import tensorflow as tf

    from harness.numerics.fingerprint import tensor_fingerprint

    # Several arrays, because where one lies in memory changes its time by 10 %.
    arrays = [tf.random.stateless_normal((1 << 22,), (0, n)) for n in range(FINGERPRINT_CALLS)]
    mark = tf.function(tensor_fingerprint, jit_compile=True)

    def run() -> None:
        for values in arrays:
            mark(values).numpy()

    return run


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_blocks(int(sys.argv[1]))) + "\n")
