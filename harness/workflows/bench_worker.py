"""One measurement in a process of its own: flags of TensorFlow bind at its import.

`python -m harness.workflows.bench_worker` reads a JSON job from standard input
and prints a JSON result as its last line.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from harness.errors import HarnessError, MachineError
from harness.models.catalogue import check_name
from harness.recipes.values import Frozen
from harness.system.children import run_python

LONGEST_S = 600
GEMM_S = 1.0


class Job(Frozen):
    """What a worker measures.

    Attributes:
        variant: `reference`, `reference-onednn`, `plain-keras`, `ours` or `keras-fit`.
        model: Name in the catalogue.
        image_size: Pixels.
        batch: Images a step.
        classes: Classes of the network.
        channels: Channels of the images.
        warmup: Calls before the clock counts, the compiling one included.
        steps: Steps that count.
        compute: Arithmetic of the step and of the matrix product beside it.
        xla: Whether our step is compiled by XLA; op determinism is off then.
        steps_per_call: Steps of ours in one call of the compiled function.
        threads: Threads within and between operations; None is one a core.
    """

    variant: str
    model: str
    image_size: int = Field(ge=8)
    batch: int = Field(ge=1)
    classes: int = Field(default=1000, ge=2)
    channels: Literal[1, 3] = 3
    warmup: int = Field(default=2, ge=1)
    steps: int = Field(default=3, ge=1)
    compute: str = "float32"
    xla: bool = False
    steps_per_call: int = Field(default=1, ge=1)
    threads: int | None = None


class Measured(Frozen):
    """What a worker found.

    Attributes:
        variant: The job's.
        step_time_s: Of each counted step; of several in one call, their mean.
        images_per_s: Over all of them.
        compile_s: Of the first call of the step.
        gemm_flops_per_s: In the step's arithmetic; the better of a measurement before and one
            after the steps.
        flops_per_image: Counted; forward and both gradients.
        compute: Arithmetic of the step and of the matrix product.
        onednn: Whether oneDNN was in force.
        numerics_digest: Of the process's effective numerics.
        joules_per_image: Where the machine tells it.
    """

    variant: str
    step_time_s: tuple[float, ...]
    images_per_s: float
    compile_s: float
    gemm_flops_per_s: float
    flops_per_image: float
    compute: str = "float32"
    onednn: bool
    numerics_digest: str
    joules_per_image: float | None = None

    @property
    def share_of_gemm_peak(self) -> float:
        """Counted operations a second over those of a matrix product."""
        return self.images_per_s * self.flops_per_image / self.gemm_flops_per_s


def measure_in_own_process(job: Job, timeout_s: float = LONGEST_S) -> Measured:
    """Run a job in a fresh interpreter.

    Raises:
        MachineError: the process failed or took too long; its last words are told.
    """
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": onednn_flag(job)}
    try:
        done = run_python(
            "harness.workflows.bench_worker",
            environ=environ,
            input_text=job.model_dump_json(),
            timeout_s=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise MachineError(
            f"{job.variant} took longer than {timeout_s:.0f} s",
            expected=f"{job.warmup + job.steps} steps of {job.batch} images",
            remedy="choose a smaller --batch or --image-size",
        ) from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise MachineError(
            f"the measurement of {job.variant} failed: {last[0]}",
            expected=f"{job.warmup + job.steps} steps of {job.batch} images",
            remedy=_remedy(done.returncode),
        )
    return Measured.model_validate_json(done.stdout.strip().splitlines()[-1])


def _remedy(exit_code: int) -> str:
    """A killed process most likely ran out of memory; any other one has said what is wrong."""
    return "choose a smaller --batch" if exit_code < 0 else "correct what the message names"


def onednn_flag(job: Job) -> str:
    """`0` for the reference as shipped: TensorFlow 2.0's wheels held no oneDNN kernels.

    Newer ones switch it on by themselves on some processors, so it is set in words.
    """
    return "0" if job.variant == "reference" else "1"


def measure(job: Job, now: Callable[[], float] = time.perf_counter) -> Measured:
    """Measure a job in this process, whose import flags are set already."""
    import tensorflow as tf

    from harness.measure import peaks
    from harness.measure.energy import EnergyMeter
    from harness.measure.environment import effective_numerics, onednn_in_force
    from harness.measure.operations import training_flops
    from harness.workflows.bench_variants import build_variant, pin, recipe_of

    recipe = recipe_of(job)
    numerics = pin(job, recipe)
    variant = build_variant(job, recipe)
    dtype = tf.as_dtype(job.compute)
    gemm = [peaks.measure_gemm(seconds=GEMM_S, dtype=dtype, now=now)]
    warmup = variant.run(job.warmup * job.steps_per_call, now)
    meter = EnergyMeter()
    meter.start()
    counted = variant.run(job.steps, now)
    joules = meter.stop()
    gemm.append(peaks.measure_gemm(seconds=GEMM_S, dtype=dtype, now=now))
    images = job.batch * len(counted)
    return Measured(
        variant=job.variant,
        step_time_s=counted,
        images_per_s=images / sum(counted),
        compile_s=sum(warmup[: job.steps_per_call]),
        gemm_flops_per_s=max(gemm),
        flops_per_image=float(training_flops(variant.multiply_adds, 1)),
        compute=job.compute,
        onednn=onednn_in_force(),
        numerics_digest=effective_numerics(numerics, recipe.precision).digest,
        joules_per_image=None if joules is None else joules / images,
    )


def main() -> None:
    """Entry point of the worker process."""
    job = Job.model_validate_json(sys.stdin.read())
    try:
        check_name(job.model)
        measured = measure(job)
    except HarnessError as error:
        sys.stderr.write(f"{error.found}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(measured.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
