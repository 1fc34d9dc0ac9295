"""The jobs of a study: one process for each seed, started here or through Slurm."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.distributed.cluster import TF_CONFIG
from harness.errors import MachineError, UsageError
from harness.measure.gpu_list import local_gpus
from harness.measure.visible_gpus import LIST_VARIABLE
from harness.system.children import child_environment, isolation, python_words, start_python

ExecutorName = Literal["local", "slurm"]
PREEMPTED = 75
LOST = 2
"""Exit code of a job that ended without one: the machine took it away."""


@dataclass(frozen=True)
class Resources:
    """What one job asks of its executor.

    Attributes:
        hours: Slurm's time limit; a job that reaches it is stopped with a checkpoint and requeued.
        gpus: GPUs of one job.
        cores: Cores of one job; None leaves it to the executor.
        memory_gib: Memory; None leaves it to the executor.
        partition: Slurm's partition.
    """

    hours: float = 120.0
    gpus: int = 0
    cores: int | None = None
    memory_gib: float | None = None
    partition: str | None = None


class StudyJob(Protocol):
    """One seed's job while it lasts."""

    @property
    def job_id(self) -> str:
        """As the system calls it."""

    @property
    def output(self) -> Path:
        """File with the job's messages."""

    def done(self) -> bool:
        """Whether it has ended."""

    def ended(self) -> tuple[int, str]:
        """Exit code, and words where the job was lost without one."""

    def stop(self) -> None:
        """Ask it to write a checkpoint and end with 75."""


class Executor(Protocol):
    """Where jobs run."""

    def submit(self, seed: int, arguments: tuple[str, ...]) -> StudyJob:
        """Start `harness` with these words."""


@dataclass
class LocalJob:
    """A child of this process."""

    process: "subprocess.Popen[Any]"
    output: Path

    @property
    def job_id(self) -> str:
        """The process id."""
        return str(self.process.pid)

    def done(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def ended(self) -> tuple[int, str]:
        """Exit code; of a process that a signal killed as the shell counts it."""
        code = self.process.wait()
        if code >= 0:
            return code, ""
        return 128 - code, f"was killed by {signal.Signals(-code).name}"

    def stop(self) -> None:
        """Send SIGTERM."""
        if not self.done():
            self.process.send_signal(signal.SIGTERM)


@dataclass(frozen=True)
class LocalExecutor:
    """Jobs as children of this process, each with GPUs of its own.

    Attributes:
        folder: For the jobs' messages.
        resources: Of each job.
        gpus: Entries of CUDA_VISIBLE_DEVICES that the jobs share out.
        held: Which of them each job has.
    """

    folder: Path
    resources: Resources
    gpus: tuple[str, ...] = field(default_factory=lambda: local_gpus(os.environ))
    held: list[tuple[LocalJob, tuple[str, ...]]] = field(default_factory=list)

    def _free_gpus(self) -> tuple[str, ...]:
        taken = [gpu for job, gpus in self.held if not job.done() for gpu in gpus]
        free = tuple(gpu for gpu in self.gpus if gpu not in taken)[: self.resources.gpus]
        if len(free) < self.resources.gpus:
            raise UsageError(
                f"a job asks for {self.resources.gpus} GPUs and {len(free)} of {len(self.gpus)} "
                "are free",
                where="--gpus and --at-once",
                expected="GPUs of its own for each job",
                remedy="give fewer with --gpus, or run fewer jobs with --at-once",
            )
        return free

    def submit(self, seed: int, arguments: tuple[str, ...]) -> LocalJob:
        """Start a child, which sees the GPUs that are its own.

        Raises:
            UsageError: too few are free.
        """
        gpus = self._free_gpus()
        self.folder.mkdir(parents=True, exist_ok=True)
        output = self.folder / f"seed-{seed}.err"
        environ = {**_of_job(os.environ), LIST_VARIABLE: ",".join(gpus)}
        with output.open("ab") as messages, output.with_suffix(".out").open("ab") as answer:
            # A session of its own: Ctrl-C reaches this process alone, which passes it on.
            process = start_python(
                "harness",
                *arguments,
                environ=environ,
                stdin=subprocess.DEVNULL,
                stdout=answer,
                stderr=messages,
                start_new_session=True,
            )
        job = LocalJob(process, output)
        self.held.append((job, gpus))
        return job


@dataclass
class SeedJob:
    """What runs in Slurm's job: `harness run` for one seed, as a child process.

    submitit calls `checkpoint` when the job's time is nearly over or the
    cluster wants the machine; the run then writes a checkpoint and the job is
    put into the queue again.

    Attributes:
        arguments: Words after `harness`.
        modules: Variables that give the child the submitting process's code.
    """

    arguments: tuple[str, ...]
    modules: dict[str, str] = field(default_factory=isolation)
    child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def __call__(self) -> int:
        """Run; returns the exit code."""
        environ = child_environment({**_of_job(os.environ)}) | self.modules
        self.child = subprocess.Popen(python_words("harness", *self.arguments), env=environ)
        return self.child.wait()

    def checkpoint(self) -> Any:
        """Stop the run at a checkpoint; returns the same job for the queue."""
        import submitit

        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait()
        return submitit.helpers.DelayedSubmission(SeedJob(self.arguments, self.modules))


@dataclass(frozen=True)
class SlurmJob:
    """A job of submitit."""

    job: Any

    @property
    def job_id(self) -> str:
        """Slurm's."""
        return str(self.job.job_id)

    @property
    def output(self) -> Path:
        """File with the job's messages."""
        return Path(self.job.paths.stderr)

    def done(self) -> bool:
        """Whether Slurm says so."""
        return bool(self.job.done())

    def ended(self) -> tuple[int, str]:
        """What the seed's process returned; `LOST` where the job itself was lost."""
        error = self.job.exception()
        if error is None:
            code = int(self.job.result())
            return (code, "") if code >= 0 else (128 - code, f"was killed by signal {-code}")
        return LOST, f"was lost: {str(error).splitlines()[0]}"

    def stop(self) -> None:
        """Take it out of the queue, or send SIGTERM to what runs."""
        for words in (["--state=PENDING"], ["--signal=TERM"]):
            subprocess.run(["scancel", *words, self.job_id], capture_output=True, check=False)


@dataclass(frozen=True)
class SlurmExecutor:
    """An executor of submitit."""

    executor: Any

    def submit(self, seed: int, arguments: tuple[str, ...]) -> SlurmJob:
        """Hand a job to Slurm.

        Raises:
            MachineError: Slurm does not answer, or refuses the job.
        """
        import submitit

        del seed  # the job's own files carry Slurm's number
        try:
            return SlurmJob(self.executor.submit(SeedJob(arguments)))
        except submitit.core.utils.FailedJobError as error:
            told = " / ".join(str(error).splitlines()).strip(" /")
            raise MachineError(
                f"Slurm did not take a job: {told}",
                expected="a controller that answers (sinfo) and resources that it has",
                remedy="check --partition, --gpus, --cores and --memory-gib, or use "
                "--executor local",
            ) from error


def jobs_at_once(gpus_of_job: int, environ: Mapping[str, str]) -> int:
    """How many jobs this machine can run at a time, by a job's GPUs; at least one."""
    return max(1, len(local_gpus(environ)) // gpus_of_job) if gpus_of_job else 1


def open_executor(name: ExecutorName, folder: Path, resources: Resources) -> Executor:
    """Where the jobs of a study run.

    Args:
        name: "local" starts processes here; "slurm" submits to a cluster.
        folder: For the jobs' output.
        resources: Of each job.

    Raises:
        UsageError: submitit is not installed.
        MachineError: Slurm's commands are not on this machine.
    """
    if name == "local":
        return LocalExecutor(folder, resources)
    try:
        import submitit
    except ImportError as error:
        raise UsageError(
            "the package submitit is not installed",
            expected="it hands the jobs of a study to Slurm",
            remedy="install the extra, in the clone: pip install '.[slurm]'; "
            "or use --executor local, which needs none",
        ) from error
    check_slurm()
    executor = submitit.AutoExecutor(folder=folder, cluster=name)
    executor.update_parameters(**_parameters(resources))
    return SlurmExecutor(executor)


def check_slurm(path: Mapping[str, str] | None = None) -> None:
    """Raise `MachineError` when Slurm's `sbatch` is not to be found."""
    search = None if path is None else path.get("PATH")
    if shutil.which("sbatch", path=search) is None:
        raise MachineError(
            "Slurm is not on this machine: there is no sbatch",
            expected="a login node of a cluster",
            remedy="start the study there, or use --executor local",
        )


def _of_job(environ: Mapping[str, str]) -> dict[str, str]:
    """A seed's job is one process: it knows no cluster."""
    return {name: value for name, value in environ.items() if name != TF_CONFIG}


def _parameters(resources: Resources) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "timeout_min": int(resources.hours * 60),
        "gpus_per_node": resources.gpus,
        "name": "harness",
        "slurm_signal_delay_s": 120,
        # The job's first process has to find this code too, and nothing in its working directory.
        "slurm_setup": [f"export {k}={shlex.quote(v)}" for k, v in sorted(isolation().items())],
    }
    if resources.cores is not None:
        parameters["cpus_per_task"] = resources.cores
    if resources.memory_gib is not None:
        parameters["mem_gb"] = resources.memory_gib
    if resources.partition is not None:
        parameters["slurm_partition"] = resources.partition
    return parameters
