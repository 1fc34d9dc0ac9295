"""`harness run`: every seed of a recipe, trained, evaluated and recorded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.publish import record_so_far
from harness.data.changes import check_same_data
from harness.distributed.signals import StopRequest, stop_on_signals
from harness.errors import DivergedError, MachineError
from harness.files import write_file
from harness.progress import SILENT, Progress
from harness.recipes.recipe import Numerics
from harness.record.journal import Journal, read_journal
from harness.record.run_folder import (
    Begun,
    RunFolder,
    begun_run,
    check_same_run,
    latest_numerics,
    locked,
    run_folder,
    study_folder,
    write_json,
)
from harness.record.schema import EffectiveNumerics, Evaluation, RunFinished
from harness.runner.rendezvous import Joint, joined
from harness.runner.request import RunRequest, check_init, check_registered, check_seeds
from harness.system.folders import disk_errors
from harness.tracking.places import tracker_of, try_places

if TYPE_CHECKING:
    from harness.distributed.devices import Devices
    from harness.runner.context import SeedSetup, Surroundings
    from harness.runner.scratch_baseline import AgainstScratch

Say = Callable[[str], None]

STOPPED = "stopped at --steps"
HOW_TO_CONTINUE = (
    "nothing was evaluated: the same command without --steps continues to the end, and "
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
        detail: Why it ended, where that needs words.
    """

    seed: int
    folder: Path
    status: str
    evaluations: tuple[Evaluation, ...] = ()
    weights_fingerprint: str | None = None
    detail: str = ""


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
                + ("" if e.complete else " (a fixed random draw of all classes)")
                for e in outcome.evaluations
            ]
        if any(outcome.status == STOPPED and not outcome.evaluations for outcome in self.seeds):
            lines.append(HOW_TO_CONTINUE)
        return "\n".join([*lines, *(f"\n{one.text()}" for one in self.scratch)])


def run(
    request: RunRequest, say: Say = lambda _text: None, progress: Progress = SILENT
) -> RunReport:
    """Train and evaluate each seed; resume those that were begun.

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
    begins = request.cluster is None or request.cluster.worker == 0
    if begins:
        uri = tracker_of(request.runs, request.tracking_uri) if request.tracking else None
        try_places(request.runs, uri, say)
    with stop_on_signals(patient=False) as stop, disk_errors(request.runs):
        begun = _begun(request) if begins else {}
        with joined(request, begun, stop, say, progress) as joint:
            surroundings = _surroundings(request, joint.numerics, joint.devices, say)
            outcomes = [
                _one_seed(_setup(request, seed, joint, surroundings, say, progress), begun, stop)
                for seed in request.seeds
            ]
    # A reproduction judges against its target by itself, with a page.
    if begins and request.tracking and request.target is None:
        record_so_far(study_folder(request.runs, request.recipe), request.tracking_uri, say)
    diverged = [o for o in outcomes if o.status == "diverged"]
    if diverged:
        raise _diverged(diverged)
    transfer = begins and request.init is not None
    return RunReport(
        study_folder(request.runs, request.recipe),
        tuple(outcomes),
        _against_scratch(request) if transfer else (),
    )


def _begun(request: RunRequest) -> dict[int, Begun]:
    """Runs of the request that were begun, each read once."""
    runs = {s: begun_run(run_folder(request.runs, request.recipe, s)) for s in request.seeds}
    return {seed: run for seed, run in runs.items() if run is not None}


def _setup(
    request: RunRequest,
    seed: int,
    joint: Joint,
    surroundings: "Surroundings",
    say: Say,
    progress: Progress,
) -> "SeedSetup":
    from harness.runner.context import SeedSetup

    return SeedSetup(
        request=request,
        seed=seed,
        data=joint.data,
        folder=run_folder(request.runs, request.recipe, seed),
        surroundings=surroundings,
        job=joint.job,
        weights=joint.weights,
        say=say,
        progress=progress,
    )


def _against_scratch(request: RunRequest) -> "tuple[AgainstScratch, ...]":
    from harness.runner.scratch_baseline import against_scratch

    return tuple(against_scratch(request, seed) for seed in request.seeds)


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
        say(f"warning: the commit is not recorded, git does not report it: {code.problem}")
    return Surroundings(
        numerics=effective.model_copy(update={"devices": devices.names, "flags": flags}),
        environment={**capture_environment(), "input": input_settings()},
        git_commit=code.commit,
        git_dirty=code.dirty,
        devices=devices,
        gemm_flops_per_s=gemm_of_process(request.recipe.precision.compute),
    )


def _one_seed(setup: "SeedSetup", begun: dict[int, Begun], stop: StopRequest) -> SeedOutcome:
    if not setup.job.chief:
        return _followed(setup, stop)
    request, folder, key = setup.request, setup.folder, f"seed {setup.seed}"
    with locked(folder), disk_errors(folder.path):
        # Another process may have gone on with it since.
        run_ = begun_run(folder, begun.pop(setup.seed, None))
        if run_ is not None:
            journal = run_.journal
            check_same_data(journal, setup.data, request.data, request.runs / "datasets")
            check_same_run(journal, setup.recipe, setup.data.identity.root_digest, setup.seed)
            if journal.finished is not None:
                setup.job.share(key, False)  # the value is the message
                return _ended(setup, journal, journal.finished)
            _check_numerics(request, journal, setup.surroundings.numerics)
            check_registered(request, journal)
            setup = replace(setup, journal=journal)
        _write_identity(request, folder, setup.surroundings)
        setup.job.share(key, True)  # the value is the message
        return _trained(setup, stop)


def _ended(setup: "SeedSetup", journal: Journal, end: RunFinished) -> SeedOutcome:
    """The outcome of a run that had ended before."""
    return SeedOutcome(
        seed=setup.seed,
        folder=setup.folder.path,
        status="already done" if end.status == "completed" else end.status,
        evaluations=tuple(e for e in journal.evaluations if e.step == end.step),
        weights_fingerprint=end.weights_fingerprint,
        detail=end.detail,
    )


def _followed(setup: "SeedSetup", stop: StopRequest) -> SeedOutcome:
    """The part of a worker that is not the chief: it trains and writes nothing."""
    from harness.runner.seed_run import train_seed

    outcome = partial(SeedOutcome, setup.seed, setup.folder.path)
    if not setup.job.share(f"seed {setup.seed}"):
        return outcome("already done")
    quiet = replace(setup, say=lambda _text: None, progress=SILENT)
    try:
        ending = train_seed(quiet, saving_first=stop.saving_first)
    except DivergedError as error:
        return outcome("diverged", detail=f"{error.found}; {error.expected}")
    return outcome("completed" if ending.finished else STOPPED)


def _trained(setup: "SeedSetup", stop: StopRequest) -> SeedOutcome:
    from harness.runner.seed_run import train_seed
    from harness.runner.tracking import log_network, mirrored

    say, folder = setup.say, setup.folder
    say(f"seed {setup.seed}: {'resuming' if setup.journal else 'beginning'} in {folder.path}")
    with mirrored(setup.request, folder, say) as publish:
        try:
            ending = train_seed(setup, publish, stop.saving_first)
        except DivergedError as error:
            say(str(error))
            detail = f"{error.found}; {error.expected}"
            return SeedOutcome(setup.seed, folder.path, "diverged", detail=detail)
    if ending.finished and setup.request.tracking:
        # Read whole again: MLflow's copy of the network carries the run's accuracies.
        log_network(setup.request, ending.model, read_journal(folder.journal), say)
    return SeedOutcome(
        seed=setup.seed,
        folder=folder.path,
        status="completed" if ending.finished else STOPPED,
        evaluations=ending.evaluations,
        weights_fingerprint=ending.finished.weights_fingerprint if ending.finished else None,
    )


def _check_numerics(request: RunRequest, journal: Journal, now: EffectiveNumerics) -> None:
    begun = latest_numerics(journal)
    if begun.digest == now.digest or request.accept_numerics:
        return
    keys = begun.fields_that_differ(now)
    raise MachineError(
        f"the run was executed under other numerics; they differ in: {', '.join(keys)}",
        where=str(journal.path.parent),
        expected="; ".join(f"{key} = {getattr(begun, key)}" for key in keys),
        remedy="resume where it began, or accept other bits from here with --accept-numerics",
    )


def _write_identity(request: RunRequest, folder: RunFolder, surroundings: "Surroundings") -> None:
    write_json(folder.path / "recipe.json", request.recipe.model_dump(mode="json"))
    write_json(folder.path / "environment.json", surroundings.environment)
    for own in request.targets:
        write_file(folder.path / own.file_name, own.text.encode())


def _diverged(diverged: list[SeedOutcome]) -> DivergedError:
    return DivergedError(
        f"training diverged for seed {', '.join(str(o.seed) for o in diverged)}: "
        + diverged[0].detail,
        where=", ".join(str(o.folder) for o in diverged),
        expected="a finite loss",
        remedy="look at the loss before that step in the report; check recipe and data",
    )
