"""One measurement in a process of its own: flags of TensorFlow bind at its import.

`python -m harness.bench.step_process` reads a JSON job from standard input
and prints a JSON result as its last line.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from harness.bench.step_job import MeasuredStep, StepJob
from harness.errors import HarnessError, MachineError
from harness.models.catalogue import check_name
from harness.system.children import run_python

LONGEST_S = 600
GEMM_S = 1.0


def measure_in_own_process(job: StepJob, timeout_s: float = LONGEST_S) -> MeasuredStep:
    """Run a job in a fresh interpreter.

    Raises:
        MachineError: the process failed or took too long; its last line is quoted.
    """
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": onednn_flag(job)}
    try:
        done = run_python(
            "harness.bench.step_process",
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
    return MeasuredStep.model_validate_json(done.stdout.strip().splitlines()[-1])


def _remedy(exit_code: int) -> str:
    """A killed process most likely ran out of memory; any other one has said what is wrong."""
    return "choose a smaller --batch" if exit_code < 0 else "correct what the message names"


def onednn_flag(job: StepJob) -> str:
    """`0` for the reference as shipped: TensorFlow 2.0's wheels held no oneDNN kernels.

    Newer ones switch it on by themselves on some processors, so it is set in words.
    """
    return "0" if job.variant == "reference" else "1"


def measure(job: StepJob, now: Callable[[], float] = time.perf_counter) -> MeasuredStep:
    """Measure a job in this process, whose import flags are set already."""
    import tensorflow as tf

    from harness.bench.step_variants import build_variant, pin, recipe_of
    from harness.measure import peaks
    from harness.measure.environment import effective_numerics, onednn_in_force
    from harness.measure.operations import training_flops

    recipe = recipe_of(job)
    numerics = pin(job, recipe)
    variant = build_variant(job, recipe)
    dtype = tf.as_dtype(job.compute)
    gemm = [peaks.measure_gemm(seconds=GEMM_S, dtype=dtype, now=now)]
    warmup = variant.run(job.warmup * job.steps_per_call, now)
    counted = variant.run(job.steps, now)
    gemm.append(peaks.measure_gemm(seconds=GEMM_S, dtype=dtype, now=now))
    images = job.batch * len(counted)
    return MeasuredStep(
        variant=job.variant,
        step_time_s=counted,
        images_per_s=images / sum(counted),
        compile_s=sum(warmup[: job.steps_per_call]),
        gemm_flops_per_s=max(gemm),
        flops_per_image=float(training_flops(variant.multiply_adds, 1)),
        compute=job.compute,
        onednn=onednn_in_force(),
        numerics_digest=effective_numerics(numerics, recipe.precision).digest,
    )


def main() -> None:
    """Entry point of the worker process."""
    job = StepJob.model_validate_json(sys.stdin.read())
    try:
        check_name(job.model)
        measured = measure(job)
    except HarnessError as error:
        sys.stderr.write(f"{error.found}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(measured.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
