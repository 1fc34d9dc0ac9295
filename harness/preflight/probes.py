"""What preflight asks of the machine: GPUs, disk, peak and the time of a real step."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median

from harness.measure.gpu_list import SystemGpus, gpu_memory_bytes, system_gpus
from harness.measure.gpu_reason import Reason, ask_tensorflow
from harness.measure.gpu_support import Support, support_of_gpus
from harness.preflight.memory import free_memory_bytes
from harness.recipes.recipe import Precision, Recipe

TIMED_STEPS = 3
TIMED_S = 1.0
"""A small network's step is timed for so long at least, and at most `MOST_STEPS` times."""
MOST_STEPS = 20
SLOW_STEP_S = 5.0
"""A step of at least so long is timed once: warming up changes little of it."""


@dataclass(frozen=True)
class Probes:
    """What preflight asks of the machine.

    Attributes:
        system_gpus: The GPUs that the driver reports and this process may use.
        visible_gpus: Number of GPUs that TensorFlow sees.
        unseen_reason: Why it sees none, from what `nvidia-smi` said where it failed.
        free_bytes: Free disk space under a folder.
        free_memory_bytes: Memory that a process can still get: of the GPU, else of the host.
        gpu_support: Of each visible GPU.
        flops_per_s_by_precision: Rates of a matrix product in float32 and what is faster here.
        gemm_flops_per_s: Measured rate of a matrix product in the recipe's arithmetic.
        step_time_s: Measured time of one real training step, by its number of images.
    """

    system_gpus: Callable[[], SystemGpus]
    visible_gpus: Callable[[], int]
    unseen_reason: Callable[[str | None], Reason]
    free_bytes: Callable[[Path], int]
    gemm_flops_per_s: Callable[[], float]
    step_time_s: Callable[[int], float]
    free_memory_bytes: Callable[[], float] = free_memory_bytes
    gpu_support: Callable[[], tuple[Support, ...]] = tuple
    flops_per_s_by_precision: Callable[[], dict[str, float]] = dict


def machine_probes(recipe: Recipe, classes: int) -> Probes:
    """The probes of this machine and process."""
    return Probes(
        system_gpus=_system_gpus,
        visible_gpus=_visible_gpus,
        unseen_reason=ask_tensorflow,
        free_bytes=_free_bytes,
        gemm_flops_per_s=lambda: _gemm(recipe.precision),
        step_time_s=lambda images: time_real_step(
            recipe.model_copy(update={"batch": images}), classes
        ),
        free_memory_bytes=_memory_bytes,
        gpu_support=support_of_gpus,
        flops_per_s_by_precision=_by_precision,
    )


def _system_gpus() -> SystemGpus:
    """None where this process hides from TensorFlow what it would use: `--devices cpu:N`."""
    import tensorflow as tf

    hidden = tf.config.list_physical_devices("GPU") and not tf.config.get_visible_devices("GPU")
    return SystemGpus() if hidden else system_gpus()


def _memory_bytes() -> float:
    """TensorFlow takes all that is free of a GPU when it starts, so its whole memory counts."""
    return (gpu_memory_bytes(_used_models()) or inf) if _visible_gpus() else free_memory_bytes()


def _by_precision() -> dict[str, float]:
    from harness.measure.peaks import gemm_by_precision

    return gemm_by_precision()


def _visible_gpus() -> int:
    import tensorflow as tf

    return len(tf.config.list_logical_devices("GPU"))


def _used_models() -> tuple[str, ...]:
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return tuple(one.get("device_name", "") for one in details)


def _free_bytes(folder: Path) -> int:
    """Free bytes of the nearest folder that exists."""
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    return shutil.disk_usage(existing).free


def _gemm(precision: Precision) -> float:
    from harness.measure.peaks import gemm_of_process

    return gemm_of_process(precision.compute)


def time_real_step(
    recipe: Recipe, classes: int, *, now: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds of one training step on random images, compilation and warm-up apart.

    A slow step is timed once, so that a slow machine is reported soon.

    Raises:
        MachineError: the batch does not fit the device's memory, or the device failed.
    """
    import tensorflow as tf

    from harness.models.build import build_model
    from harness.training.device_errors import explained
    from harness.training.state import create_state
    from harness.training.step import build_step
    from harness.weights.transfer import freeze_as_told

    strategy = tf.distribute.get_strategy()
    channels = recipe.normalisation.channel_count
    model = build_model(
        recipe.model, classes=classes, seed=0, channels=channels, precision=recipe.precision
    )
    freeze_as_told(model, recipe.model)
    state = create_state(model, float16=recipe.precision.compute == "float16")
    step = build_step(state, recipe, strategy)
    size = recipe.model.image_size
    image = tf.random.stateless_normal((recipe.batch, size, size, channels), seed=(0, 0))
    label = tf.random.stateless_uniform((recipe.batch,), (0, 0), 0, classes, tf.int64)
    rate = tf.constant(0.0)

    def run() -> float:
        begun = now()
        step(image, label, rate).loss.numpy()
        return now() - begun

    times: list[float] = []
    try:
        run()
        warmed = run()
        if warmed >= SLOW_STEP_S:
            return warmed
        while len(times) < TIMED_STEPS or (sum(times) < TIMED_S and len(times) < MOST_STEPS):
            times.append(run())
    except tf.errors.OpError as error:
        raise explained(error, f"one training step of {recipe.name}") from error
    return median(times)
