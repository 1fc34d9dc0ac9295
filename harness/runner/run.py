"""`harness run`: every seed of a recipe, trained, evaluated and recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.changes import check_same_data
from harness.distributed.job import Job
from harness.distributed.signals import StopRequest, stop_on_signals
from harness.errors import DivergedError, MachineError
from harness.files import disk_errors, write_file
from harness.numerics.pins import resolved
from harness.progress import SILENT, Progress
from harness.recipes.recipe import Numerics
from harness.record.journal import Journal, read_journal
from harness.record.run_folder import (
    RunFolder,
    check_same_run,
    existing_journal,
    latest_numerics,
    locked,
    run_folder,
    study_folder,
    write_json,
)
from harness.record.schema import EffectiveNumerics, Evaluation
from harness.runner.rendezvous import joined
from harness.runner.request import RunRequest, check_init, check_registered, check_seeds
from harness.tracking.places import tracker_of, try_places

if TYPE_CHECKING:
    from harness.data.dataset import DataSet
    from harness.distributed.devices import Devices
    from harness.runner.context import Surroundings
    from harness.runner.scratch_baseline import AgainstScratch

Say = Callable[[str], None]

STOPPED = "stopped at --steps"
HOW_TO_GO_ON = (
    "nothing was evaluated: the same command without --steps goes on to the end, and "
    "--eval-images N beside --steps evaluates where it stops"
)


@dataclass(frozen=True)
class SeedOutcome:
    """How one seed ended.

    Attributes:
        seed: The seed.
        folder: Its run's folder.
        status: "completed", "already done", "stopped at --steps" or "diverged".
        evaluations: Those of the last step.
        weights_fingerprint: Of the final weights, when completed.
    """

    seed: int
    folder: Path
    status: str
    evaluations: tuple[Evaluation, ...]
    weights_fingerprint: str | None


@dataclass(frozen=True)
class RunReport:
    """All seeds of one command; those of a transfer beside training from scratch."""

    study: Path
    seeds: tuple[SeedOutcome, ...]
    scratch: "tuple[AgainstScratch, ...]" = ()

    def document(self) -> dict[str, Any]:
        """As JSON-like data; accuracies are fractions."""
        return {
            "study": str(self.study),
            "seeds": [
                {
                    "seed": outcome.seed,
                    "run": str(outcome.folder),
                    "status": outcome.status,
                    "weights_fingerprint": outcome.weights_fingerprint,
                    "evaluations": [
                        {
                            "protocol": e.protocol.name,
                            "images": e.images,
                            "complete": e.complete,
                            "top1_accuracy": e.top1_accuracy,
                            "top5_accuracy": e.top5_accuracy,
                        }
                        for e in outcome.evaluations
                    ],
                }
                for outcome in self.seeds
            ],
            "against_scratch": [one.document() for one in self.scratch],
        }

    def text(self) -> str:
        """One line a seed and protocol, for a person."""
        lines = []
        for outcome in self.seeds:
            lines.append(f"seed {outcome.seed}: {outcome.status}  ({outcome.folder})")
            lines += [
                f"  {e.protocol.name:12} top-1 {100 * e.top1_accuracy:6.2f} %   "
                f"top-5 {100 * e.top5_accuracy:6.2f} %   {e.images} of {e.images_in_split} images"
                for e in outcome.evaluations
            ]
        if any(outcome.status == STOPPED and not outcome.evaluations for outcome in self.seeds):
            lines.append(HOW_TO_GO_ON)
        return "\n".join([*lines, *(f"\n{one.text()}" for one in self.scratch)])


def run(
    request: RunRequest, say: Say = lambda _text: None, progress: Progress = SILENT
) -> RunReport:
    """Train and evaluate each seed; go on with those that were begun.

    Args:
        request: What to run.
        say: Messages for a person.
        progress: Where it is shown what takes time.

    Raises:
        UsageError: seeds that are missing, out of range or repeated.
        DivergedError: a seed's loss was not finite; the others were still trained.
        PreemptedError: a signal asked for a stop.
        HarnessError: whatever else ended a seed.
    """
    check_seeds(request.seeds)
    check_init(request)
    if request.cluster is None or request.cluster.worker == 0:
        uri = tracker_of(request.runs, request.tracking_uri) if request.tracking else None
        try_places(request.runs, uri, say)
    with (
        stop_on_signals(patient=False) as stop,
        disk_errors(request.runs),
        joined(request, stop, say, _threads, progress) as joint,
    ):
        surroundings = _surroundings(request, joint.numerics, joint.devices, say)
        outcomes = [
            _one_seed(request, seed, joint.data, surroundings, joint.job, stop, say, progress)
            for seed in request.seeds
        ]
        chief = joint.job.chief
    diverged = [o for o in outcomes if o.status == "diverged"]
    if diverged:
        _raise_diverged(diverged)
    transfer = chief and request.init is not None
    return RunReport(
        study_folder(request.runs, request.recipe),
        tuple(outcomes),
        _against_scratch(request) if transfer else (),
    )


def _against_scratch(request: RunRequest) -> "tuple[AgainstScratch, ...]":
    from harness.runner.scratch_baseline import against_scratch

    return tuple(against_scratch(request, seed) for seed in request.seeds)


def _threads(request: RunRequest) -> Numerics:
    """The recipe's numerics with thread counts as frozen by runs that were begun."""
    numerics = resolved(request.recipe.numerics)
    for seed in request.seeds:
        journal = existing_journal(run_folder(request.runs, request.recipe, seed))
        if journal is not None and not request.accept_numerics:
            begun = latest_numerics(journal)
            threads = {
                "intra_op_threads": begun.intra_op_threads,
                "inter_op_threads": begun.inter_op_threads,
            }
            return numerics.model_copy(update=threads)
    return numerics


def _surroundings(
    request: RunRequest, numerics: Numerics, devices: "Devices", say: Say
) -> "Surroundings":
    from harness.data.input_pipeline.mapping import input_settings
    from harness.measure.environment import capture_environment, effective_numerics, git_state
    from harness.measure.peaks import gemm_of_process
    from harness.runner.context import Surroundings

    effective = effective_numerics(
        numerics, request.recipe.precision, workers=devices.workers, replicas=devices.replicas
    )
    # Operation by operation the step is rounded otherwise than compiled.
    flags = effective.flags | ({"eager": "true"} if request.eager else {})
    code = git_state()
    if code.problem:
        say(f"warning: the commit is not recorded, git does not tell it: {code.problem}")
    return Surroundings(
        numerics=effective.model_copy(update={"devices": devices.names, "flags": flags}),
        environment={**capture_environment(), "input": input_settings()},
        git_commit=code.commit,
        git_dirty=code.dirty,
        devices=devices,
        gemm_flops_per_s=gemm_of_process(request.recipe.precision.compute),
    )


def _one_seed(
    request: RunRequest,
    seed: int,
    data: "DataSet",
    surroundings: "Surroundings",
    job: Job,
    stop: StopRequest,
    say: Say,
    progress: Progress,
) -> SeedOutcome:
    folder = run_folder(request.runs, request.recipe, seed)
    if not job.chief:
        return _followed(request, seed, data, folder, surroundings, job, stop)
    with locked(folder), disk_errors(folder.path):
        journal = existing_journal(folder)
        if journal is not None:
            check_same_data(journal, data, request.data, request.runs / "datasets")
            check_same_run(journal, request.recipe, data.identity.root_digest, seed)
            if journal.finished is not None:
                job.share(f"seed {seed}", False)  # the value is the message
                ended = journal.finished.status
                return _outcome(folder, seed, "already done" if ended == "completed" else ended)
            _check_numerics(request, journal, surroundings.numerics)
            check_registered(request, journal)
        _write_identity(request, folder, surroundings)
        job.share(f"seed {seed}", True)  # the value is the message
        return _trained(
            request, seed, data, folder, journal, surroundings, job, stop, say, progress
        )


def _followed(
    request: RunRequest,
    seed: int,
    data: "DataSet",
    folder: RunFolder,
    surroundings: "Surroundings",
    job: Job,
    stop: StopRequest,
) -> SeedOutcome:
    """The part of a worker that is not the chief: it trains and writes nothing."""
    from harness.runner.seed_run import SeedRun

    if not job.share(f"seed {seed}"):
        return SeedOutcome(seed, folder.path, "already done", (), None)
    run_ = SeedRun(
        request,
        seed,
        data,
        folder,
        None,
        surroundings,
        lambda _event: None,
        job,
        lambda _text: None,
    )
    try:
        finished = run_.execute(stop.saving_first)
    except DivergedError:
        return SeedOutcome(seed, folder.path, "diverged", (), None)
    status = "completed" if finished else STOPPED
    return SeedOutcome(seed, folder.path, status, (), None)


def _trained(
    request: RunRequest,
    seed: int,
    data: "DataSet",
    folder: RunFolder,
    journal: Journal | None,
    surroundings: "Surroundings",
    job: Job,
    stop: StopRequest,
    say: Say,
    progress: Progress,
) -> SeedOutcome:
    from harness.runner.seed_run import SeedRun
    from harness.runner.tracking import log_network, mirrored

    say(f"seed {seed}: {'going on' if journal else 'beginning'} in {folder.path}")
    with mirrored(request, folder, say) as publish:
        run_ = SeedRun(
            request, seed, data, folder, journal, surroundings, publish, job, say, progress
        )
        try:
            finished = run_.execute(stop.saving_first)
        except DivergedError as error:
            say(str(error))
            return _outcome(folder, seed, "diverged")
    if finished:
        log_network(request, run_.state.model, read_journal(folder.journal), say)
    return _outcome(folder, seed, "completed" if finished else STOPPED)


def _check_numerics(request: RunRequest, journal: Journal, now: EffectiveNumerics) -> None:
    begun = latest_numerics(journal)
    if begun.digest == now.digest or request.accept_numerics:
        return
    keys = begun.fields_that_differ(now)
    raise MachineError(
        f"the run was executed under other numerics; they differ in: {', '.join(keys)}",
        where=str(journal.path.parent),
        expected="; ".join(f"{key} = {getattr(begun, key)}" for key in keys),
        remedy="go on where it began, or accept other bits from here with --accept-numerics",
    )


def _write_identity(request: RunRequest, folder: RunFolder, surroundings: "Surroundings") -> None:
    write_json(folder.path / "recipe.json", request.recipe.model_dump(mode="json"))
    write_json(folder.path / "environment.json", surroundings.environment)
    for own in request.targets:
        write_file(folder.path / own.file_name, own.text.encode())


def _outcome(folder: RunFolder, seed: int, status: str) -> SeedOutcome:
    journal = read_journal(folder.journal)
    last = journal.last_step
    return SeedOutcome(
        seed=seed,
        folder=folder.path,
        status=status,
        evaluations=tuple(e for e in journal.evaluations if e.step == last),
        weights_fingerprint=(journal.finished.weights_fingerprint if journal.finished else None),
    )


def _raise_diverged(diverged: list[SeedOutcome]) -> None:
    journal = read_journal(diverged[0].folder)
    detail = journal.finished.detail if journal.finished else ""
    raise DivergedError(
        f"training diverged for seed {', '.join(str(o.seed) for o in diverged)}: {detail}",
        where=", ".join(str(o.folder) for o in diverged),
        expected="a finite loss",
        remedy="look at the loss before that step in the report; check recipe and data",
    )
