"""How a process becomes part of its job: alone, as the chief, or as another worker."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
from harness.errors import HarnessError
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.recipes.recipe import Numerics
from harness.workflows.request import RunRequest
from harness.workflows.stopping import StopRequest
from harness.workflows.workers import Alone, ChiefCrew, FollowerCrew, Job, Say

if TYPE_CHECKING:
    from harness.data.dataset import DataSet

DEFECT = 70
"""What is told to other workers when this one ends by a defect."""


@dataclass(frozen=True)
class Joint:
    """What a process knows once its job is assembled.

    Attributes:
        job: The others, if any.
        numerics: Pinned in this process; the chief's on every worker.
        data: The data set, the same on every worker.
    """

    job: Job
    numerics: Numerics
    data: "DataSet"


@contextmanager
def joined(
    request: RunRequest, stop: StopRequest, say: Say, threads: Callable[[RunRequest], Numerics]
) -> Iterator[Joint]:
    """Pin this process, open the data and, in a job of workers, agree with the others.

    The chief opens the data before the others can reach it, so that a manifest
    that has to be made is made once.

    Args:
        request: What to run; its cluster says whether there are others.
        stop: Signals of this process.
        say: Messages for a person.
        threads: The recipe's numerics with resolved thread counts.

    Raises:
        UsageError: a worker has other code, recipe, data or options.
        HarnessError: data cannot be opened, or a port is in use.
    """
    if request.cluster is None:
        yield Joint(Alone(stop), *_prepared(request, threads(request), say))
        return
    kind = FollowerCrew if request.cluster.worker else ChiefCrew
    crew: ChiefCrew | FollowerCrew = kind(request.cluster, stop, say)
    try:
        numerics, data = _assembled(crew, request, threads, say)
        yield Joint(crew, numerics, data)
        crew.meet("end")
    except HarnessError as error:
        crew.close(error.exit_code, error.found)
        raise
    except BaseException as error:
        crew.close(DEFECT, f"{type(error).__name__}: {error}")
        raise
    crew.close(0, "")


def _assembled(
    crew: ChiefCrew | FollowerCrew,
    request: RunRequest,
    threads: Callable[[RunRequest], Numerics],
    say: Say,
) -> tuple[Numerics, "DataSet"]:
    if isinstance(crew, ChiefCrew):
        numerics, data = _prepared(request, threads(request), say)
        say(f"worker 0 of {crew.cluster.workers}: waiting for the others")
        counts = {
            "intra_op_threads": numerics.intra_op_threads,
            "inter_op_threads": numerics.inter_op_threads,
        }
        crew.assemble(counts, identity(request, data))
        return numerics, data
    say(f"worker {crew.cluster.worker} of {crew.cluster.workers}: waiting for worker 0")
    plan = crew.assemble()
    counts = {key: plan[key] for key in ("intra_op_threads", "inter_op_threads")}
    numerics = resolved(request.recipe.numerics).model_copy(update=counts)
    numerics, data = _prepared(request, numerics)
    crew.agree(identity(request, data))
    return numerics, data


def _prepared(
    request: RunRequest, numerics: Numerics, say: Say | None = None
) -> tuple[Numerics, "DataSet"]:
    """Pin the process, look at machine and folder, then open the data; `say` None looks not."""
    set_import_flags(numerics)
    pin_runtime(numerics, request.recipe.precision)
    from harness.data.opening import open_dataset
    from harness.workflows.before_run import check_before_run

    if say is not None:
        check_before_run(request, say)

    return numerics, open_dataset(request.data, manifests=request.runs / "datasets")


def identity(request: RunRequest, data: "DataSet") -> dict[str, str]:
    """What must be equal on all workers, by the name that a message gives it."""
    values: dict[str, Any] = {
        "code (sha256 of the package)": code_digest(Path(harness.__file__).parent),
        "recipe digest": request.recipe.digest,
        "numerics": request.recipe.numerics.model_dump_json(),
        "data root": data.identity.root_digest,
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
