"""Which worker of which job this process is: from `TF_CONFIG`, or from Slurm's environment."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from harness.distributed.asked import parse_devices
from harness.distributed.slurm import SLURM_JOB, SOURCE, slurm_step
from harness.errors import UsageError

TF_CONFIG = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
TOKEN = "HARNESS_JOB_TOKEN"  # noqa: S105 - the variable's name
"""Variable with a secret that all workers of a job share."""


@dataclass(frozen=True)
class Cluster:
    """A job of several workers and the place of this process in it.

    Attributes:
        addresses: host:port of each worker; the first is the chief.
        worker: This process's number.
        source: Where this was read, for messages.
    """

    addresses: tuple[str, ...]
    worker: int
    source: str = TF_CONFIG

    @property
    def workers(self) -> int:
        """Number of workers."""
        return len(self.addresses)

    @property
    def workers_here(self) -> tuple[int, ...]:
        """Workers of this process's host, itself included."""
        host, _ = self.host_and_port(self.worker)
        return tuple(w for w in range(self.workers) if self.host_and_port(w)[0] == host)

    def host_and_port(self, worker: int) -> tuple[str, int]:
        """Address of a worker."""
        host, _, port = self.addresses[worker].rpartition(":")
        return host.strip("[]"), int(port)

    def tf_config(self) -> str:
        """The same as a value of `TF_CONFIG`."""
        return json.dumps(
            {
                "cluster": {"worker": list(self.addresses)},
                "task": {"type": "worker", "index": self.worker},
            }
        )


def job_token(cluster: Cluster, environ: Mapping[str, str]) -> bytes:
    """What distinguishes the workers of this job from others that find its port.

    `HARNESS_JOB_TOKEN` where it is set, which cannot be guessed; else what all of them
    know, which keeps other jobs away: the addresses, and Slurm's numbers of job and step.
    """
    known = [environ.get(TOKEN) or "", *cluster.addresses]
    if cluster.source == SOURCE:
        known += [environ.get(name, "") for name in SLURM_JOB]
    return hashlib.sha256("\n".join(known).encode()).digest()


def cluster_from_environment(environ: Mapping[str, str], workers: int | None) -> Cluster | None:
    """The cluster that the environment describes; None for a job of one process.

    `TF_CONFIG` comes first. Slurm's variables count only where the user asks
    for workers, because a job's shell has them too.

    Args:
        environ: The process's environment.
        workers: How many workers the user asks for, if said.

    Raises:
        UsageError: `TF_CONFIG` or Slurm's variables are malformed, or contradict the
            number asked for.
    """
    cluster = None
    if environ.get(TF_CONFIG, "").strip():
        cluster = parse_tf_config(environ[TF_CONFIG])
    elif workers is not None and workers > 1 and environ.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        cluster = Cluster(*slurm_step(environ), source=SOURCE)
    if cluster is not None and workers is not None and cluster.workers != workers:
        raise UsageError(
            f"{cluster.source} names {cluster.workers} workers and --workers says {workers}",
            where=cluster.source,
            expected="the same number in both",
            remedy=f"give --workers {cluster.workers}, or none, or correct {cluster.source}",
        )
    return None if cluster is None or cluster.workers == 1 else cluster


def check_job(workers: int, devices: str, batch: int) -> None:
    """Refuse what no worker could do, before any waits for the others.

    Args:
        workers: Of the job.
        devices: `--devices` as given.
        batch: The global batch.

    Raises:
        UsageError: `--devices` is malformed, logical CPU devices within a job of
            workers, or a batch that the workers cannot share.
    """
    if parse_devices(devices).kind == "cpu" and workers > 1:
        raise UsageError(
            f"--devices {devices} is asked for in each of {workers} workers",
            where="--devices",
            expected="one CPU device in each worker",
            remedy="leave --devices out and start more workers",
        )
    if batch % workers:
        fitting = max(n for n in range(1, workers + 1) if batch % n == 0)
        raise UsageError(
            f"a global batch of {batch} images cannot be shared by {workers} workers",
            where="--workers",
            expected=f"a number of workers that divides {batch}, such as {fitting}",
            remedy="choose another number with --workers; another batch is another recipe "
            "(--set batch=N)",
        )


def parse_tf_config(text: str) -> Cluster:
    """Read `TF_CONFIG`; a `chief` task counts as the first worker.

    Raises:
        UsageError: it is not JSON, lacks a part, names parameter servers or
            evaluators, or an index or address that does not exist.
    """
    try:
        document = json.loads(text)
        jobs = {name: list(addresses) for name, addresses in document["cluster"].items()}
        kind, index = str(document["task"]["type"]), int(document["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(f"it cannot be read: {type(error).__name__}: {error}") from error
    surplus = sorted(set(jobs) - {"chief", "worker"})
    if surplus:
        raise _malformed(f"it names tasks of type {', '.join(surplus)}")
    addresses = tuple(str(a) for a in [*jobs.get("chief", []), *jobs.get("worker", [])])
    if kind not in jobs or not 0 <= index < len(jobs[kind]):
        raise _malformed(f"task {kind} {index} is not in its cluster")
    _check_addresses(addresses)
    before = len(jobs.get("chief", [])) if kind == "worker" else 0
    return Cluster(addresses, before + index)


def _check_addresses(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise _malformed(f"{address!r} is no host:port")
    doubled = [a for a in addresses if addresses.count(a) > 1]
    if doubled:
        raise _malformed(f"two workers have the address {doubled[0]}")


def _malformed(found: str) -> UsageError:
    return UsageError(
        f"{TF_CONFIG} does not describe a job of workers: {found}",
        where=f"environment variable {TF_CONFIG}",
        expected=EXAMPLE,
        remedy=f"correct {TF_CONFIG} on this worker, or unset it for one process",
    )
