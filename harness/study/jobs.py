"""The jobs of a study: one process for each seed, started through submitit."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.errors import MachineError, UsageError

ExecutorName = Literal["local", "slurm"]
PREEMPTED = 75
LOCAL_TIMEOUT_MIN = 7 * 24 * 60


@dataclass(frozen=True)
class Resources:
    """What one job asks of its executor.

    Attributes:
        hours: Time limit; a job that reaches it is stopped with a checkpoint and requeued.
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


@dataclass
class SeedJob:
    """What runs in a job: `harness run` for one seed, as a child process.

    submitit calls `checkpoint` when the job's time is nearly over or the
    cluster wants the machine; the run then writes a checkpoint and the job is
    put into the queue again.
    """

    arguments: tuple[str, ...]
    child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def __call__(self) -> int:
        """Run; returns the exit code."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_CONFIG")}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "harness", *self.arguments], env=environment
        )
        return self.child.wait()

    def checkpoint(self) -> Any:
        """Stop the run at a checkpoint; returns the same job for the queue."""
        import submitit

        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait()
        return submitit.helpers.DelayedSubmission(SeedJob(self.arguments))


def open_executor(name: ExecutorName, folder: Path, resources: Resources) -> Any:
    """A submitit executor.

    Args:
        name: "local" starts processes here; "slurm" submits to a cluster.
        folder: For submitit's own files and the jobs' output.
        resources: Of each job.

    Raises:
        UsageError: submitit is not installed.
        MachineError: Slurm's commands are not on this machine.
    """
    try:
        import submitit
    except ImportError as error:
        raise UsageError(
            "the package submitit is not installed",
            expected="it starts the jobs of a study",
            remedy="install the extra: pip install 'resnet-reproducibility-harness[slurm]'",
        ) from error
    if name == "slurm":
        check_slurm()
    executor = submitit.AutoExecutor(folder=folder, cluster=name)
    executor.update_parameters(**_parameters(name, resources))
    return executor


def submitted(executor: Any, job: SeedJob) -> Any:
    """Hand a job to an executor; returns submitit's job.

    Raises:
        MachineError: Slurm does not answer, or refuses the job.
    """
    import submitit

    try:
        return executor.submit(job)
    except submitit.core.utils.FailedJobError as error:
        raise MachineError(
            f"Slurm did not take a job: {' / '.join(str(error).split(chr(10))).strip(' /')}",
            expected="a controller that answers (sinfo) and resources that it has",
            remedy="check --partition, --gpus, --cores and --memory-gib, or use --executor local",
        ) from error


def check_slurm(path: Mapping[str, str] | None = None) -> None:
    """Raise `MachineError` when Slurm's `sbatch` is not to be found."""
    search = None if path is None else path.get("PATH")
    if shutil.which("sbatch", path=search) is None:
        raise MachineError(
            "Slurm is not on this machine: there is no sbatch",
            expected="a login node of a cluster",
            remedy="start the study there, or use --executor local",
        )


def _parameters(name: ExecutorName, resources: Resources) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "timeout_min": int(resources.hours * 60) if name == "slurm" else LOCAL_TIMEOUT_MIN,
        "gpus_per_node": resources.gpus,
        "name": "harness",
    }
    if resources.cores is not None:
        parameters["cpus_per_task"] = resources.cores
    if resources.memory_gib is not None:
        parameters["mem_gb"] = resources.memory_gib
    if name == "slurm":
        parameters["slurm_signal_delay_s"] = 120
        if resources.partition is not None:
            parameters["slurm_partition"] = resources.partition
    return parameters
