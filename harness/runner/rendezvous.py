"""How a process becomes part of its job: alone, as the chief, or as another worker."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
from harness.distributed.coordination import ChiefCrew, FollowerCrew
from harness.distributed.job import Alone, Job, Say
from harness.distributed.signals import StopRequest
from harness.errors import HarnessError, UsageError
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.progress import SILENT, Progress
from harness.recipes.recipe import Numerics
from harness.record.run_folder import Begun, latest_numerics
from harness.record.schema import DataIdentity
from harness.runner.request import RunRequest
from harness.system.proxies import without_proxies
from harness.system.signal_thread import PREEMPTED
from harness.system.signals import Stopped
from harness.system.watchdog import watched

if TYPE_CHECKING:
    from harness.data.dataset import DataSet
    from harness.distributed.devices import Devices
    from harness.weights.files import WeightArrays

THREADS = ("intra_op_threads", "inter_op_threads")

DEFECT = 70
"""The exit code that other workers get when this one ends by a defect."""


@dataclass(frozen=True)
class Joint:
    """What a process knows once its job is assembled.

    Attributes:
        job: The others, if any.
        numerics: Pinned in this process; the chief's on every worker.
        devices: Replicas, and which of them are here.
        data: The data set, the same on every worker.
        weights: Those of `--init`, if there are any.
    """

    job: Job
    numerics: Numerics
    devices: "Devices"
    data: "DataSet"
    weights: "WeightArrays | None"


@contextmanager
def joined(
    request: RunRequest,
    begun: Mapping[int, Begun],
    stop: StopRequest,
    say: Say,
    progress: Progress = SILENT,
) -> Iterator[Joint]:
    """Pin this process, agree with the other workers, if any, and open devices and data.

    Devices come before the data: TensorFlow takes them only before its first
    operation, and a new manifest needs some. The chief opens the data before
    the others, so that a manifest is made once.

    Args:
        request: What to run; its cluster says whether there are others.
        begun: Runs that were begun, by seed; their thread counts are taken.
        stop: Signals of this process.
        say: Messages for a person.
        progress: Where it is shown what takes time.

    Raises:
        UsageError: a worker has other code, recipe, options or data.
        HarnessError: data cannot be opened, devices or a port are missing.
    """
    if request.cluster is None:
        numerics = _numerics(request, begun)
        with progress.work("starting TensorFlow"):
            _pin(request, numerics)
            devices = _open_devices(request)
        data, weights = _checked(request, begun, devices, say, progress)
        yield Joint(Alone(stop), numerics, devices, data, weights)
        return
    hosts = (request.cluster.host_and_port(w)[0] for w in range(request.cluster.workers))
    os.environ.update(without_proxies(os.environ, hosts))
    kind = FollowerCrew if request.cluster.worker else ChiefCrew
    crew: ChiefCrew | FollowerCrew = kind(request.cluster, stop, say)
    try:
        numerics = _agreed(crew, request, begun, say)
        devices = _devices_together(crew, request, numerics)
        # TensorFlow's coordination service takes SIGTERM for itself when it starts.
        stop.listen()
        data, weights = _checked_together(crew, request, begun, devices, say, progress)
        yield Joint(crew, numerics, devices, data, weights)
        crew.meet("end")
    except HarnessError as error:
        crew.close(error.exit_code, error.found)
        raise
    except Stopped as error:
        crew.close(PREEMPTED, f"stopped by {error.signal_name} before the first step")
        raise
    except BaseException as error:
        crew.close(DEFECT, f"{type(error).__name__}: {error}")
        raise
    crew.close(0, "")


def _agreed(
    crew: ChiefCrew | FollowerCrew,
    request: RunRequest,
    begun: Mapping[int, Begun],
    say: Say,
) -> Numerics:
    place = f"worker {crew.cluster.worker} of {crew.cluster.workers}"
    if isinstance(crew, ChiefCrew):
        numerics = _numerics(request, begun)
        say(f"{place}: waiting for the others")
        counts = {key: getattr(numerics, key) for key in THREADS}
        crew.assemble(counts, identity(request))
        return numerics
    say(f"{place}: waiting for worker 0")
    plan = crew.assemble()
    counts = {key: plan[key] for key in THREADS}
    crew.agree(identity(request))
    return resolved(request.recipe.numerics).model_copy(update=counts)


def _numerics(request: RunRequest, begun: Mapping[int, Begun]) -> Numerics:
    """The recipe's numerics with thread counts as frozen by runs that were begun."""
    numerics = resolved(request.recipe.numerics)
    if request.accept_numerics or not begun:
        return numerics
    first = latest_numerics(next(iter(begun.values())).journal)
    return numerics.model_copy(update={key: getattr(first, key) for key in THREADS})


def _devices_together(
    crew: ChiefCrew | FollowerCrew, request: RunRequest, numerics: Numerics
) -> "Devices":
    """Open devices once every worker has imported TensorFlow.

    Opening them waits for the others and holds the interpreter meanwhile: who
    came too early could neither show nor notice signs of life.
    """
    _pin(request, numerics)
    crew.meet("pinned")
    devices = _open_devices(request)
    crew.meet("devices")
    crew.started()
    return devices


def _pin(request: RunRequest, numerics: Numerics) -> None:
    set_import_flags(numerics)
    pin_runtime(numerics, request.recipe.precision)


def _open_devices(request: RunRequest) -> "Devices":
    from harness.distributed.asked import parse_devices
    from harness.distributed.devices import open_devices

    with watched("opening the devices"):
        devices = open_devices(parse_devices(request.devices), request.cluster)
    devices.check_batch(request.recipe.batch)
    return devices


def _checked(
    request: RunRequest,
    begun: Mapping[int, Begun],
    devices: "Devices",
    say: Say,
    progress: Progress,
) -> "tuple[DataSet, WeightArrays | None]":
    """Look at the folder once, at the machine, open the data, and see whether the recipe fits."""
    from harness.data.compatibility import check_input
    from harness.data.opening import find_dataset, open_found
    from harness.runner.checks import check_before_run, data_of_target

    found = find_dataset(request.data, progress=progress)
    for note in found.notes:
        say(f"not used: {note}")
    # Logical devices share one processor; GPUs, and the cores of each worker, add up.
    replicas = devices.replicas if devices.asynchronous else devices.workers
    weights = check_before_run(request, found, begun, say, replicas)
    data = open_found(found, manifests=request.runs / "datasets", progress=progress)
    if request.target is not None:
        data = data_of_target(data, request.target, found.path)
    check_input(request.recipe, data.train, data.val)
    return data, weights


def _checked_together(
    crew: ChiefCrew | FollowerCrew,
    request: RunRequest,
    begun: Mapping[int, Begun],
    devices: "Devices",
    say: Say,
    progress: Progress,
) -> "tuple[DataSet, WeightArrays | None]":
    """Data and initial weights on every worker, after the chief has checked its own."""
    from harness.data.opening import open_dataset
    from harness.runner.initial_model import initial_weights

    if crew.chief:
        data, weights = _checked(request, begun, devices, say, progress)
        crew.share("data", root_and_order(data.identity))
    else:
        shared = crew.share("data")
        data = open_dataset(request.data, manifests=request.runs / "datasets", progress=progress)
        own = root_and_order(data.identity)
        if own != shared:
            raise UsageError(
                f"worker {crew.cluster.worker} has other data: {own}",
                where=str(request.data),
                expected=f"{shared}, as worker 0 has",
                remedy="give every worker the same data",
            )
        weights = initial_weights(request, begun)
    crew.meet("same data")
    return data, weights


def root_and_order(data: DataIdentity) -> str:
    """What must be equal of the data: the root covers the classes' names, not their numbers."""
    order = hashlib.sha256("\n".join(data.classes).encode()).hexdigest()
    return f"root {data.root_digest}, order of the classes {order[:12]}"


def identity(request: RunRequest) -> dict[str, str]:
    """What must be equal on all workers, by the name that a message gives it."""
    values: dict[str, Any] = {
        "code (sha256 of the package)": code_digest(Path(harness.__file__).parent),
        "recipe digest": request.recipe.digest,
        "numerics": request.recipe.numerics.model_dump_json(),
        "--seed": request.seeds,
        "--steps": request.steps,
        "--checkpoint-every": request.checkpoint_every,
        "--devices": request.devices,
        "--eager": request.eager,
    }
    return {key: str(value) for key, value in values.items()}


def code_digest(package: Path) -> str:
    """Hex sha256 over names and bytes of a package's Python files."""
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
