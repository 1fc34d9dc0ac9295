"""`harness bench scaling`: what several workers yield on this machine."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from harness.bench.scaling.process import READY, Question, ReductionTimes
from harness.distributed.launcher import free_addresses
from harness.errors import MachineError, UsageError
from harness.measure.gpu_list import local_gpus
from harness.measure.visible_gpus import LIST_VARIABLE
from harness.numerics.pins import set_import_flags
from harness.numerics.tensorflow_import import import_tensorflow
from harness.recipes.recipe import Recipe
from harness.recipes.settings import with_settings
from harness.system.children import start_python


@dataclass(frozen=True)
class MeasuredScaling:
    """Workers of one job beside as many independent processes, one thread each.

    Attributes:
        recipe: Its name.
        workers: How many.
        batch_per_worker: Images of each worker's step.
        image_size: Pixels of an image's side.
        apart: Answers of the independent processes.
        together: Answers of the job's workers.
    """

    recipe: str
    workers: int
    batch_per_worker: int
    image_size: int
    apart: tuple[ReductionTimes, ...]
    together: tuple[ReductionTimes, ...]

    @property
    def apart_images_per_s(self) -> float:
        """All independent processes together."""
        return sum(self.batch_per_worker / answer.step_s for answer in self.apart)

    @property
    def together_images_per_s(self) -> float:
        """The job."""
        step_s = max(answer.step_s for answer in self.together)
        return self.workers * self.batch_per_worker / step_s

    @property
    def efficiency(self) -> float:
        """The job's fraction of the independent processes' rate."""
        return self.together_images_per_s / self.apart_images_per_s

    @property
    def losses_s(self) -> dict[str, float]:
        """What a step of the job takes longer, by cause.

        Input: more waiting for batches. Reduction: as timed alone. Waiting: the
        rest, which is workers waiting for each other; below 0 where more of the
        reduction is hidden behind the computation.
        """
        apart_s = fmean([answer.step_s for answer in self.apart])
        longer_s = fmean([answer.step_s for answer in self.together]) - apart_s
        input_s = fmean([a.data_wait_s for a in self.together]) - fmean(
            [a.data_wait_s for a in self.apart]
        )
        reduction_s = fmean([answer.reduction_s for answer in self.together])
        return {
            "input": input_s,
            "reduction": reduction_s,
            "waiting": longer_s - input_s - reduction_s,
        }

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "benchmark": "scaling",
            **asdict(self),
            "apart_images_per_s": self.apart_images_per_s,
            "together_images_per_s": self.together_images_per_s,
            "efficiency": self.efficiency,
            "losses_s": self.losses_s,
        }

    def text(self) -> str:
        """For a person."""
        losses = ", ".join(f"{name} {1000 * s:+.1f} ms" for name, s in self.losses_s.items())
        return (
            f"{self.recipe}, {self.workers} workers, batch {self.batch_per_worker} each, "
            f"{self.image_size} px, one thread each\n"
            f"  apart     {self.apart_images_per_s:8.1f} images/s\n"
            f"  together  {self.together_images_per_s:8.1f} images/s   "
            f"efficiency {100 * self.efficiency:.1f} %\n"
            f"  a step is longer by: {losses}"
        )


def measure_scaling(
    recipe: Recipe, data: Path, *, workers: int, batch: int, warm_up: int, steps: int
) -> MeasuredScaling:
    """Time `workers` processes apart, then as one job; each on its own share of the cores.

    Args:
        recipe: Network and data processing.
        data: A data set, as for `harness run`.
        workers: At least 2.
        batch: Images of each worker's step.
        warm_up: Steps before the measurement, compilation included.
        steps: Steps of the measurement.

    Raises:
        UsageError: fewer than two workers.
        DataError: there is no data set.
        MachineError: a process of the measurement failed.
    """
    set_import_flags(recipe.numerics)
    import_tensorflow()
    from harness.data.opening import open_dataset

    if workers < 2:
        raise UsageError(
            f"{workers} worker cannot be compared with itself",
            expected="--workers 2 or more",
            remedy="give --workers",
        )
    threads = ("numerics.intra_op_threads=1", "numerics.inter_op_threads=1")
    alone = with_settings(recipe, (*threads, f"batch={batch}")).model_dump_json()
    joint = with_settings(recipe, (*threads, f"batch={batch * workers}")).model_dump_json()
    with TemporaryDirectory() as manifests:
        folder = str(open_dataset(data, manifests=Path(manifests)).root)
        apart = _ask([Question(alone, folder, warm_up, steps, (), w) for w in range(workers)])
        addresses = free_addresses(workers)
        together = _ask(
            [Question(joint, folder, warm_up, steps, addresses, w) for w in range(workers)]
        )
    size = recipe.model.image_size
    return MeasuredScaling(recipe.name, workers, batch, size, apart, together)


def environments(workers: int, environ: Mapping[str, str] = os.environ) -> list[dict[str, str]]:
    """The environment of each process: a GPU of its own where there are some.

    Raises:
        MachineError: there are GPUs, and fewer than workers.
    """
    gpus = local_gpus(environ)
    if not gpus:
        return [{**environ}] * workers
    if len(gpus) < workers:
        raise MachineError(
            f"{workers} workers are to be measured, and there {'is' if len(gpus) == 1 else 'are'} "
            f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}",
            expected="a GPU of its own for each worker, or none in sight",
            remedy=f'give fewer with --workers; {LIST_VARIABLE}="" measures the processor',
        )
    return [{**environ, LIST_VARIABLE: gpu} for gpu in gpus[:workers]]


def at_image_size(recipe: Recipe, image_size: int) -> Recipe:
    """The recipe on images of another size, its range of short sides in proportion."""
    scale = image_size / recipe.model.image_size
    low, high = (round(scale * side) for side in recipe.augmentation.short_side)
    sides = [max(low, image_size), max(high, image_size + 1)]
    return with_settings(
        recipe, (f"model.image_size={image_size}", f"augmentation.short_side={sides}")
    )


def _ask(questions: Sequence[Question]) -> tuple[ReductionTimes, ...]:
    """Put each question to a process; all begin to measure at the same moment."""
    with TemporaryFile() as messages:
        return _asked(questions, messages)


def _asked(questions: Sequence[Question], messages: IO[bytes]) -> tuple[ReductionTimes, ...]:
    cores = sorted(os.sched_getaffinity(0))
    processes = [
        start_python(
            "harness.bench.scaling.process",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            environ=environ,
        )
        for environ in environments(len(questions))
    ]
    try:
        for i, (process, question) in enumerate(zip(processes, questions, strict=True)):
            share = cores[i :: len(questions)] or [cores[i % len(cores)]]
            os.sched_setaffinity(process.pid, share)
            _tell(process, question.text())
        for process in processes:
            _hear(process, READY)
        for process in processes:
            _tell(process, "")
        answers = tuple(ReductionTimes(**json.loads(_hear(process))) for process in processes)
        for process in processes:
            _tell(process, "")
            process.wait()
    except BrokenPipeError as error:
        raise _ended_early(messages) from error
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return answers


def _ended_early(messages: IO[bytes]) -> MachineError:
    messages.seek(0)
    told = messages.read().decode(errors="replace")
    return MachineError(
        f"a process of the measurement ended early: {last_error(told) or 'it said nothing'}",
        expected="an answer from each",
        remedy="check that `harness run` works on this machine with the same --workers",
    )


def last_error(told: str) -> str:
    """Of what a process wrote before it ended, the line that says what was wrong.

    A traceback's last error stands unindented, and what it says beyond its first line is indented.
    """
    lines = [line.rstrip() for line in told.splitlines() if line.strip()]
    outer = [line for line in lines if not line[0].isspace()]
    return (outer or lines or [""])[-1]


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _hear(process: "subprocess.Popen[str]", expected: str | None = None) -> str:
    line = process.stdout.readline().strip() if process.stdout is not None else ""
    if not line or (expected is not None and line != expected):
        raise BrokenPipeError
    return line
