"""A real training step of the main job's network: its time, its bits, and what feeds it."""

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf

from harness.data.image_files.reading import translate_error
from harness.doctor.job import main_job
from harness.doctor.lines import Line
from harness.doctor.scene import Scene, repeated
from harness.errors import MachineError
from harness.measure.operations import multiply_adds, training_flops
from harness.models.build import build_model
from harness.numerics.fingerprint import fingerprints_as_hex
from harness.recipes.imagenet import CLASSES
from harness.recipes.recipe import Recipe
from harness.training.device_errors import MEMORY, explained, kind_of
from harness.training.state import TrainState, create_state, from_arrays, to_arrays
from harness.training.step import StepFunction, StepOutput, build_step
from harness.weights.transfer import freeze_as_told

PROCESSOR_BATCH = 8
"""Images of a step that is timed on a processor: the whole batch would take a minute."""
STEP_S = 2.0
MOST_STEPS = 20
IN_FLIGHT = 4
SMALL_BATCH = 2
"""Images of a step that is nothing but the starting of its operations."""
HOST_SHARE = 0.7
"""Above it a GPU waits for the host now and then."""
INPUT_IMAGES = 64
INPUT_S = 4.0
JPEG_SIZE = (375, 500)
"""Height and width of most of ImageNet's photographs."""
JPEG_QUALITY = 90


@dataclass
class RealStep:
    """The step on images that are already on the device."""

    batch: int
    state: TrainState
    function: StepFunction
    image: tf.Tensor
    label: tf.Tensor
    rate: tf.Tensor
    multiply_adds: int
    step_s: float = 0.0

    def run(self) -> StepOutput:
        """One step; the host does not wait for a GPU."""
        return self.function(self.image, self.label, self.rate)

    def wait(self) -> None:
        """One step, to its end."""
        self.run().loss.numpy()


def step_line(scene: Scene) -> Line:
    """Make and time a step; where the batch does not fit, the largest half of it that does."""
    batch = scene.recipe.batch if scene.gpus else PROCESSOR_BATCH
    begin = time.perf_counter()
    short: MachineError | None = None
    while True:
        try:
            step = _made(scene.recipe, batch)
            break
        except tf.errors.OpError as error:
            if kind_of(error) is not MEMORY or batch < 2:
                raise explained(error, f"a step of {batch} images") from error
            short, batch = explained(error, f"a step of {batch} images"), batch // 2
    built_s = time.perf_counter() - begin
    step.step_s = _seconds(step, on_gpu=bool(scene.gpus))
    scene.step = step
    return _told(scene, step, built_s, short)


def _made(recipe: Recipe, batch: int, *, fingerprints: bool = True) -> RealStep:
    sized = recipe.model_copy(update={"batch": batch})
    classes = recipe.model.classes or CLASSES
    channels = recipe.normalisation.channel_count
    model = build_model(
        recipe.model, classes=classes, seed=0, channels=channels, precision=recipe.precision
    )
    freeze_as_told(model, recipe.model)
    state = create_state(model, float16=recipe.precision.compute == "float16")
    size = recipe.model.image_size
    step = RealStep(
        batch,
        state,
        build_step(state, sized, tf.distribute.get_strategy(), fingerprints=fingerprints),
        tf.random.stateless_normal((batch, size, size, channels), (0, 0)),
        tf.random.stateless_uniform((batch,), (0, 0), 0, classes, tf.int64),
        tf.constant(1e-4),
        multiply_adds(model, size, channels),
    )
    for _ in range(2):
        step.wait()
    return step


def _seconds(step: RealStep, *, on_gpu: bool) -> float:
    """Of one step; on a GPU of several that the host hands over without waiting."""
    if not on_gpu:
        return median(repeated(step.wait, STEP_S, MOST_STEPS))

    def several() -> None:
        for _ in range(IN_FLIGHT - 1):
            step.run()
        step.wait()

    return median(repeated(several, STEP_S, MOST_STEPS)) / IN_FLIGHT


def _told(scene: Scene, step: RealStep, built_s: float, short: MachineError | None) -> Line:
    frozen = scene.recipe.model.trunk_is_frozen
    flops = training_flops(step.multiply_adds, step.batch, trunk_is_frozen=frozen) / step.step_s
    name = scene.recipe.precision.compute
    figures: dict[str, Any] = {
        "batch": step.batch,
        "recipe_batch": scene.recipe.batch,
        "step_s": step.step_s,
        "images_per_s": step.batch / step.step_s,
        "flops_per_s": flops,
        "built_s": built_s,
        "load": asdict(main_job(scene.recipe, step.multiply_adds)),
    }
    found = (
        f"{step.step_s * 1e3:,.1f} ms for {step.batch} images on the {scene.device} "
        f"({_rate(step.batch / step.step_s)} images/s); built and compiled in {built_s:.0f} s"
    )
    if scene.gpus:
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        figures["peak_memory_bytes"] = peak
        found += f"; {peak / (1 << 30):.1f} GiB at most"
    if name in scene.rates:
        share = flops / scene.rates[name]
        figures["share_of_peak"] = share
        found += f"; {share:.0%} of the matrix product's rate"
    if short is not None:
        words = f"{found}; the recipe's batch of {scene.recipe.batch} does not fit: {short.found}"
        return Line("step", "wrong", words, short.remedy, figures)
    return Line("step", "ok", found, figures=figures)


def _rate(images_per_s: float) -> str:
    return f"{images_per_s:,.0f}" if images_per_s >= 10 else f"{images_per_s:.2g}"


def bits_line(scene: Scene) -> Line:
    """Two steps from one state, twice: every bit of weights, gradients and loss the same."""
    step: RealStep = scene.step
    start = to_arrays(step.state)

    def two_steps() -> tuple[str, ...]:
        from_arrays(step.state, start, "the doctor's state")
        return fingerprints_as_hex([step.run().fingerprint for _ in range(2)])

    first, second = two_steps(), two_steps()
    figures = {"first": first, "second": second}
    if first != second:
        at = next(i for i in range(2) if first[i] != second[i])
        remedy = (
            "a run on this machine cannot be repeated bit for bit: report it with the output of "
            "`harness doctor --json`; memory may be faulty (nvidia-smi -q -d ECC, a memory test)"
        )
        return Line("same bits", "wrong", f"step {at + 1} differs when repeated", remedy, figures)
    return Line("same bits", "ok", "two steps, repeated, give the same bits", figures=figures)


def host_line(scene: Scene) -> Line:
    """How much of a step it takes to start its operations: what a step of two images takes.

    The time until a whole step is handed over would not tell it. A GPU's queue holds about a
    thousand operations and a step has more, so the host waits for room and is never far ahead.
    """
    step: RealStep = scene.step
    if not scene.gpus:
        return Line("host share", "note", "the processor is the device, the host has no other part")
    # Without fingerprints, whose compilation takes longest: they are a few operations of many.
    started_s = _seconds(_made(scene.recipe, SMALL_BATCH, fingerprints=False), on_gpu=True)
    share = min(1.0, started_s / step.step_s)
    found = (
        f"{share:.0%} of a step ({started_s * 1e3:.1f} ms) to start its operations, timed with "
        f"{SMALL_BATCH} images"
    )
    figures = {"started_s": started_s, "share": share}
    if share > HOST_SHARE:
        remedy = "the GPU waits for the host: a faster processor, or fewer other jobs on it"
        return Line("host share", "slow", found, remedy, figures)
    return Line("host share", "ok", found, figures=figures)


def input_line(scene: Scene) -> Line:
    """Images a second that the host decodes and augments, beside what the step consumes."""
    step: RealStep = scene.step
    needed = step.batch / step.step_s
    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        made = _input_rate(scene.recipe, Path(folder), step.batch)
    share = made / needed
    found = (
        f"{made:,.0f} images/s are decoded and augmented, the step takes {needed:,.0f} "
        f"({share:.1f} times as many)"
    )
    figures = {"images_per_s": made, "needed_images_per_s": needed}
    if not scene.gpus:
        words = f"{made:,.0f} images/s are decoded and augmented where nothing else computes"
        return Line("input", "ok", words, figures=figures)
    if share < 1:
        cores = f"about {1 / share:.1f} times the cores"
        remedy = f"the GPU waits for images {1 - share:.0%} of the time: give the job {cores}"
        return Line("input", "slow", found, remedy, figures)
    return Line("input", "ok", found, figures=figures)


def _input_rate(recipe: Recipe, folder: Path, batch: int) -> float:
    from harness.data.input_pipeline.pipeline import training_batches

    batches = training_batches(
        _pictures(recipe, folder),
        augmentation=recipe.augmentation,
        normalisation=recipe.normalisation,
        image_size=recipe.model.image_size,
        seed=0,
        batch=min(batch, INPUT_IMAGES),
        first_step=0,
        last_step=1 << 20,
    )
    iterator = iter(batches)
    images, begin = 0, 0.0
    try:
        for number in range(1 << 20):
            taken = len(next(iterator)["label"])
            now = time.perf_counter()
            if number < 3:
                begin = now  # traced, compiled and prefetched
                continue
            images += taken
            if now - begin > INPUT_S:
                break
    except tf.errors.OpError as error:
        raise translate_error(error) from error
    return images / (time.perf_counter() - begin)


def _pictures(recipe: Recipe, folder: Path) -> Any:
    """Files with about as much to decode as the recipe's have.

    Those of a recipe that pads are small and stored without loss, others are like ImageNet's
    photographs.
    """
    from harness.data.dataset import Split

    generator = np.random.default_rng(0)
    channels = recipe.normalisation.channel_count
    small, side = recipe.augmentation.padding is not None, recipe.augmentation.short_side[0]
    height, width = (side, side) if small else JPEG_SIZE
    paths, hashes = [], []
    for number in range(INPUT_IMAGES):
        coarse = generator.uniform(0, 255, (24, 32, channels)).astype(np.float32)
        smooth = tf.image.resize(coarse, (height, width), method="bicubic").numpy()
        noisy = smooth + generator.normal(0, 12, (height, width, channels))
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        encoded = (
            tf.io.encode_png(pixels) if small else tf.io.encode_jpeg(pixels, quality=JPEG_QUALITY)
        )
        path = folder / f"{number}.{'png' if small else 'jpg'}"
        path.write_bytes(encoded.numpy())
        paths.append(str(path))
        mark = tf.fingerprint(encoded[tf.newaxis], "farmhash64")
        hashes.append(int.from_bytes(bytes(mark.numpy()[0]), "little"))
    return Split(
        ids=tuple(path.rpartition("/")[2] for path in paths),
        paths=tuple(paths),
        labels=np.zeros(INPUT_IMAGES, np.int32),
        farmhash64=np.array(hashes, np.uint64),
        heights=np.full(INPUT_IMAGES, height, np.int32),
        widths=np.full(INPUT_IMAGES, width, np.int32),
        orientations=np.ones(INPUT_IMAGES, np.uint8),
        channels=1 if channels == 1 else 3,
    )
