"""The steps that `harness bench step` compares, on the same random images."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from harness.bench.reference.step import build_reference_step
from harness.bench.step_job import StepJob
from harness.errors import UsageError
from harness.measure.operations import multiply_adds
from harness.models.build import build_model
from harness.models.plain import plain_convolutions, plain_copy
from harness.numerics.pins import pin_runtime, resolved
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Model, Numerics, Precision, Recipe
from harness.training.state import create_state
from harness.training.step import build_step

RATE = 0.01
Now = Callable[[], float]


@dataclass(frozen=True)
class StepVariant:
    """A step that can be repeated.

    Attributes:
        run: So many steps, each finished before the next is timed; seconds of each.
        multiply_adds: Of one image's forward pass.
    """

    run: Callable[[int, Now], tuple[float, ...]]
    multiply_adds: int


def recipe_of(job: StepJob) -> Recipe:
    """The reference's recipe with the job's network, batch and arithmetic."""
    base = APM5_RESNET50
    threads = job.threads if job.threads is not None else "auto"
    return base.model_copy(
        update={
            "batch": job.batch,
            "model": Model(name=job.model, image_size=job.image_size),
            "precision": Precision.model_validate({"compute": job.compute}),
            "numerics": base.numerics.model_copy(
                update={
                    "xla": job.xla,
                    # XLA has no deterministic gradient of max-pooling.
                    "op_determinism": not job.xla,
                    "intra_op_threads": threads,
                    "inter_op_threads": threads,
                }
            ),
        }
    )


def pin(job: StepJob, recipe: Recipe) -> Numerics:
    """Pin this process as a run of the recipe would; the reference pins no determinism."""
    ours = job.variant.startswith(("ours", "plain"))
    numerics = resolved(recipe.numerics).model_copy(
        update={"op_determinism": ours and recipe.numerics.op_determinism}
    )
    pin_runtime(numerics, recipe.precision)
    return numerics


def build_variant(job: StepJob, recipe: Recipe) -> StepVariant:
    """The job's step.

    Raises:
        UsageError: no such variant.
    """
    shape = (job.batch, job.image_size, job.image_size, job.channels)
    image = tf.random.stateless_normal(shape, (0, 0))
    label = tf.random.stateless_uniform((job.batch,), (0, 1), 0, job.classes, tf.int32)
    if job.variant == "keras-fit":
        return _keras_fit(job, image, label)
    model = build_model(
        recipe.model,
        classes=job.classes,
        seed=0,
        channels=job.channels,
        precision=recipe.precision,
    )
    if job.variant == "plain-keras":
        model = plain_copy(model)
    counted = multiply_adds(model, job.image_size)
    if job.variant.startswith("reference"):
        model = plain_convolutions(model)
        step = build_reference_step(model, job.classes, RATE)
        return StepVariant(_repeated(partial(step, image, label)), counted)
    if job.variant in {"ours", "plain-keras"}:
        run = _our_step(recipe, model, image, label, job.steps_per_call)
        return StepVariant(_repeated(run, job.steps_per_call), counted)
    raise UsageError(f"there is no variant {job.variant} of a step")


def _our_step(
    recipe: Recipe, model: keras.Model, image: tf.Tensor, label: tf.Tensor, calls: int
) -> Callable[[], Any]:
    state = create_state(model, float16=recipe.precision.compute == "float16")
    step = build_step(state, recipe, tf.distribute.get_strategy())
    rate = tf.constant(RATE)

    def several() -> Any:
        output = step(image, label, rate)
        for _ in tf.range(calls - 1):
            output = step(image, label, rate)
        return output

    call = tf.function(several) if calls > 1 else partial(step, image, label, rate)

    def run() -> Any:
        # On an asynchronous device a step is finished when its loss can be read.
        return call().loss.numpy()

    return run


def _repeated(
    call: Callable[[], Any], steps_per_call: int = 1
) -> Callable[[int, Now], tuple[float, ...]]:
    def run(steps: int, now: Now) -> tuple[float, ...]:
        times: list[float] = []
        while len(times) < steps:
            begun = now()
            call()
            times += [(now() - begun) / steps_per_call] * steps_per_call
        return tuple(times)

    return run


class StepClock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Marks the beginning of the first step of a `fit` and the end of every step.

    What `fit` does before its first step, such as opening the data, is no step's time.
    """

    def __init__(self, now: Now) -> None:
        super().__init__()
        self.now = now
        self.marks: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begin the first step; a later one has begun where the one before it ended."""
        del batch, logs
        if not self.marks:
            self.marks.append(self.now())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """End a step and begin the next."""
        del batch, logs
        self.marks.append(self.now())

    def step_time_s(self) -> tuple[float, ...]:
        """Seconds of each step so far."""
        return tuple(b - a for a, b in itertools.pairwise(self.marks))


def _keras_fit(job: StepJob, image: tf.Tensor, label: tf.Tensor) -> StepVariant:
    """`keras.applications.ResNet50V2` under `Model.fit`, as a user would write it."""
    shape = (job.image_size, job.image_size, job.channels)
    model = keras.applications.ResNet50V2(weights=None, input_shape=shape, classes=job.classes)
    model.compile(
        optimizer=keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )

    def run(steps: int, now: Now = time.perf_counter) -> tuple[float, ...]:
        clock = StepClock(now)
        batches = tf.data.Dataset.from_tensors((image, label)).repeat(steps)
        model.fit(batches, verbose=0, shuffle=False, callbacks=[clock])
        return clock.step_time_s()

    return StepVariant(run, multiply_adds(model, job.image_size))
