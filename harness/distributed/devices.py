"""The devices of one run: a distribution strategy, and which share of a batch is whose.

Replica i of n gets images [i*b/n, (i+1)*b/n) of each global batch of b, so that
an image's place, augmentation and order do not depend on n.
"""

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from harness.distributed.asked import ONE_DEVICE, Asked
from harness.distributed.cluster import Cluster
from harness.errors import MachineError, UsageError
from harness.measure.visible_gpus import LIST_VARIABLE

PACK_BYTES = 32 * 1024 * 1024
"""Gradients travel in packs of this size, as TensorFlow advises for NCCL."""
BATCHES_AHEAD = 2
"""Batches that lie in a GPU's memory before they are needed."""
CPU_PACK_BYTES = 4 * 1024 * 1024
"""The same between workers without GPUs, through gRPC: the last layers' gradients leave while
the first layers' are computed. One pack of all waits for the last gradient."""

Shard = tuple[int, int]
MakeDataset = Callable[[Shard], tf.data.Dataset]


@dataclass(frozen=True)
class Devices:
    """Where a run is executed.

    Attributes:
        strategy: TensorFlow's; the default one for a single device.
        names: Kind and model of each replica's device, over all workers.
        local_replicas: Replicas of this process.
        worker: This process's number; 0 is the chief.
        workers: Number of processes.
        asynchronous: Whether the devices run ahead of the host.
    """

    strategy: tf.distribute.Strategy
    names: tuple[str, ...]
    local_replicas: int = 1
    worker: int = 0
    workers: int = 1
    asynchronous: bool = False

    @property
    def replicas(self) -> int:
        """Replicas over all workers."""
        return self.local_replicas * self.workers

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The share of each local replica: its number among all, and how many there are."""
        first = self.worker * self.local_replicas
        return tuple((first + i, self.replicas) for i in range(self.local_replicas))

    def check_batch(self, batch: int) -> None:
        """Raise `UsageError` unless all replicas share a global batch equally."""
        if batch % self.replicas:
            fitting = [n for n in range(1, self.replicas + 1) if batch % n == 0]
            raise UsageError(
                f"a global batch of {batch} images cannot be shared by {self.replicas} replicas",
                expected=f"a number of replicas that divides {batch}, such as {fitting[-1]}",
                remedy="choose another number with --devices or --workers; another batch is "
                "another recipe (--set batch=N)",
            )


def open_devices(asked: Asked = ONE_DEVICE, cluster: Cluster | None = None) -> Devices:
    """Create the strategy; call before TensorFlow's runtime is initialised.

    Raises:
        MachineError: fewer devices exist than are asked for, or the workers
            cannot form a cluster.
        UsageError: logical CPU devices are asked for within a cluster.
    """
    gpus = tf.config.list_physical_devices("GPU") if asked.kind == "any" else []
    if cluster is not None:
        return _many_workers(asked, gpus, cluster)
    if not gpus:
        return _on_cpu(asked)
    _use_gpus(asked, gpus)
    count = len(gpus) if asked.count is None else asked.count
    names = tuple(_gpu_name(gpu) for gpu in gpus[:count])
    if count == 1:
        return Devices(tf.distribute.get_strategy(), names, asynchronous=True)
    # NCCL's sums have a fixed order on a fixed set of devices.
    strategy = tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(count)])
    return Devices(strategy, names, local_replicas=count, asynchronous=True)


def reduction_options(
    strategy: tf.distribute.Strategy,
) -> tf.distribute.experimental.CommunicationOptions | None:
    """How the GPUs of one process reduce: in packs, as workers do; None leaves it to the strategy.

    Without packs the last gradient is waited for before the first one travels.
    """
    on_gpus = isinstance(strategy, tf.distribute.MirroredStrategy) and all(
        "GPU" in name for name in strategy.extended.worker_devices
    )
    if not on_gpus:
        return None
    return tf.distribute.experimental.CommunicationOptions(bytes_per_pack=PACK_BYTES)


def _on_cpu(asked: Asked) -> Devices:
    if asked.kind == "cpu":  # else TensorFlow would place every operation on a GPU that it sees
        _configure(lambda: tf.config.set_visible_devices([], "GPU"))
    count = asked.count or 1
    cpu = _cpu_name()
    if count == 1:
        return Devices(tf.distribute.get_strategy(), (cpu,))
    if asked.kind == "any":
        raise _too_few(count, 1, "CPU", f"split the CPU for a trial with --devices cpu:{count}")
    physical = tf.config.list_physical_devices("CPU")[0]
    wanted = [tf.config.LogicalDeviceConfiguration()] * count
    if len(tf.config.get_logical_device_configuration(physical) or ()) != count:
        _configure(lambda: tf.config.set_logical_device_configuration(physical, wanted))
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(count)], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    return Devices(strategy, tuple(f"{cpu}, logical" for _ in range(count)), local_replicas=count)


def _many_workers(asked: Asked, gpus: list[Any], cluster: Cluster) -> Devices:
    if asked.kind == "cpu" or (not gpus and (asked.count or 1) > 1):
        raise UsageError(
            f"{asked.count} CPU devices are asked for in each of {cluster.workers} workers",
            where=cluster.source,
            expected="one CPU device in each worker",
            remedy="leave --devices out and start more workers",
        )
    if gpus:
        gpus = gpus_of_worker(gpus, cluster, asked.count, bound=LIST_VARIABLE in os.environ)
        _configure(lambda: tf.config.set_visible_devices(gpus, "GPU"))
    local = len(gpus) or 1
    names = tuple(_gpu_name(gpu) for gpu in gpus) or (_cpu_name(),)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.worker,
        num_accelerators={"GPU": local} if gpus else {},
        rpc_layer="grpc",
    )
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(
        bytes_per_pack=PACK_BYTES if gpus else CPU_PACK_BYTES,
        implementation=kinds.NCCL if gpus else kinds.RING,
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
    except (tf.errors.OpError, RuntimeError) as error:
        raise MachineError(
            f"the workers cannot form a cluster: {str(error).splitlines()[0]}",
            where=f"worker {cluster.worker} at {cluster.addresses[cluster.worker]}",
            expected="every worker reachable at its address, and the port free",
            remedy="check addresses and ports; then give the same commands again",
        ) from error
    return Devices(
        strategy=strategy,
        names=names * cluster.workers,
        local_replicas=local,
        worker=cluster.worker,
        workers=cluster.workers,
        asynchronous=bool(gpus),
    )


def gpus_of_worker(
    gpus: list[Any], cluster: Cluster, count: int | None, *, bound: bool
) -> list[Any]:
    """The GPUs of this worker: workers of one host share them out by their place among themselves.

    Args:
        gpus: That this process sees.
        cluster: The job.
        count: GPUs of a worker; None takes an equal share of all.
        bound: Whether something chose this process's GPUs, as Slurm does for each task:
            where they are too few for all workers of the host, they are this one's own.

    Raises:
        MachineError: there are too few for the workers of this host.
    """
    here = cluster.workers_here
    each = count or len(gpus) // len(here) or (len(gpus) if bound else 1)
    if each * len(here) <= len(gpus):
        first = each * here.index(cluster.worker)
        return gpus[first : first + each]
    if bound and each <= len(gpus):
        return gpus[:each]
    raise MachineError(
        f"{len(here)} workers of this host ask for {each} GPU{'s' if each > 1 else ''} each, and "
        f"it has {len(gpus)}",
        where=f"worker {cluster.worker} at {cluster.addresses[cluster.worker]}",
        expected=f"{each * len(here)} GPUs in sight, or {LIST_VARIABLE} with each worker's own",
        remedy="start fewer workers here, or give fewer with --devices",
    )


def _use_gpus(asked: Asked, gpus: list[Any]) -> None:
    if asked.count is not None and asked.count > len(gpus):
        raise _too_few(asked.count, len(gpus), "GPU", f"give --devices {len(gpus)}, or all")
    _configure(lambda: tf.config.set_visible_devices(gpus[: asked.count], "GPU"))


def _configure(change: Callable[[], None]) -> None:
    try:
        change()
    except (RuntimeError, ValueError) as error:
        raise MachineError(
            f"TensorFlow already runs with other devices: {error}",
            expected="devices are chosen before the first operation",
            remedy="start the command in a process of its own",
        ) from error


def _too_few(asked: int, found: int, kind: str, remedy: str) -> MachineError:
    return MachineError(
        f"{asked} devices are asked for and there {'is' if found == 1 else 'are'} {found} {kind}",
        where="--devices",
        expected=f"at most {found}",
        remedy=remedy,
    )


def _gpu_name(gpu: Any) -> str:
    details = tf.config.experimental.get_device_details(gpu)
    kind = details.get("device_name", "unknown")
    return f"GPU {kind} cc{details.get('compute_capability', '?')}"


def _cpu_name() -> str:
    from harness.measure.machine import cpu_model

    return f"CPU {cpu_model()}"


def replica_batches(devices: Devices, make: MakeDataset) -> Generator[Any]:
    """Batches for `strategy.run`, one pipeline for each local replica.

    Args:
        devices: Whose shares are wanted.
        make: From a share to its dataset of `{"image", "label", ...}`.

    Yields:
        The dataset's elements; with several replicas, their per-replica values. For GPUs they
        are in the device's memory before they are asked for.
    """
    made = [make(shard) for shard in devices.shards]
    if devices.asynchronous:
        made = [sent_ahead(one, f"/GPU:{place}") for place, one in enumerate(made)]
    if devices.replicas == 1:
        yield from made[0]
        return
    streams = [iter(one) for one in made]
    for parts in zip(*streams, strict=True):
        yield {key: _per_replica(devices, [part[key] for part in parts]) for key in parts[0]}


def sent_ahead(dataset: tf.data.Dataset, device: str) -> tf.data.Dataset:
    """The same elements, copied to a device by another thread before they are needed.

    Labels become int64: a step would take int32 ones from the host's memory, and a copy back
    to the host waits for all steps that the device was given before.
    """

    def widened(element: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**element, "label": tf.cast(element["label"], tf.int64)}

    ahead = tf.data.experimental.prefetch_to_device(device, BATCHES_AHEAD)
    return dataset.map(widened).apply(ahead)


def _per_replica(devices: Devices, parts: list[tf.Tensor]) -> Any:
    first = devices.shards[0][0]
    return devices.strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group - first]
    )
