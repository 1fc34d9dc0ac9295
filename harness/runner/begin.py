"""The beginning of a seed's run: a new one recorded, or the newest usable checkpoint loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from harness import __version__
from harness.baselines import load_baselines
from harness.baselines.schema import Target
from harness.errors import CheckpointError, HarnessError, RecordError
from harness.measure.operations import training_flops
from harness.preflight.estimate import forward_multiply_adds
from harness.record.journal import Journal
from harness.record.run_folder import RunFolder, data_from
from harness.record.schema import Ceiling, RegisteredTarget, Resumed, RunStarted, Steps
from harness.runner.context import SeedSetup
from harness.runner.initial_model import initial_network
from harness.runner.recorder import Recorder
from harness.tracking.address import shown_uri
from harness.training.checkpoint import Loaded, read_latest
from harness.training.early_end import device_errors
from harness.training.state import TrainState, create_state, from_arrays, take_from_chief


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Attributes:
        run_id: Stays the same over all resumes.
        state: The network with what the optimizer keeps.
        first_step: Steps done already; the checkpoint's.
        recorded_step: Steps that the journal holds already.
        fingerprints: Those that steps computed again must have, by step.
    """

    run_id: str
    state: TrainState
    first_step: int = 0
    recorded_step: int = 0
    fingerprints: dict[int, str] = field(default_factory=dict)


def begin(setup: SeedSetup, recorder: Recorder) -> Start:
    """Build the network and begin where the chief begins, with the chief's state."""
    devices = setup.surroundings.devices
    with (
        device_errors(setup.folder.path, setup.job.explain),
        setup.progress.work("building the network"),
        devices.strategy.scope(),
    ):
        model = initial_network(setup.recipe, setup.classes, setup.seed, setup.weights)
        float16 = setup.recipe.precision.compute == "float16"
        state = create_state(model, float16=float16)
    if not setup.job.chief:
        start = Start(uuid4().hex, state)
    elif setup.journal is None:
        start = _begin_new(setup, state, recorder)
    else:
        start = _resume(setup, setup.journal, state, recorder)
    first, recorded = setup.job.share(
        f"start of seed {setup.seed}", (start.first_step, start.recorded_step)
    )
    if devices.workers > 1:
        take_from_chief(state, devices.strategy)
    return Start(start.run_id, state, int(first), int(recorded), start.fingerprints)


def _begin_new(setup: SeedSetup, state: TrainState, recorder: Recorder) -> Start:
    start = Start(uuid4().hex, state)
    recorder.record(started_event(setup, start.run_id, recorder.now()))
    # A run is there from its first event on, so that no second one begins in its place.
    recorder.leakage(setup.data.leak, setup.say)
    recorder.writer.sync()
    return start


def _resume(setup: SeedSetup, journal: Journal, state: TrainState, recorder: Recorder) -> Start:
    """Load the newest usable checkpoint; report and record what was passed over."""
    run_id = journal.started.run_id
    loaded, passed_over = read_latest(setup.folder.checkpoints, run_id, at_most=journal.last_step)
    if loaded is not None:
        from_arrays(state, loaded.arrays, str(loaded.folder))
    first = loaded.step if loaded else 0
    for error in damage(setup.folder, journal, passed_over, first):
        setup.say(f"warning: {error}")
    recorder.record(resumed_event(setup, loaded, passed_over, recorder.now()))
    fingerprints = comparable_steps(journal, setup.surroundings.numerics.digest, first)
    return Start(run_id, state, first, journal.last_step, fingerprints)


def started_event(setup: SeedSetup, run_id: str, time_s: float) -> RunStarted:
    """The first event of the journal."""
    request, recipe, around = setup.request, setup.recipe, setup.surroundings
    # Preflight has counted them already; the count is kept for the process.
    counted = forward_multiply_adds(recipe.model, setup.classes, recipe.normalisation.channel_count)
    own = [one.target for one in request.targets]
    return RunStarted(
        time_s=time_s,
        run_id=run_id,
        seed=setup.seed,
        recipe=recipe,
        recipe_digest=recipe.digest,
        deviations=request.settings,
        numerics=around.numerics,
        numerics_digest=around.numerics.digest,
        data=setup.data.identity,
        data_path=data_from(setup.folder.path, request.data),
        data_decisions=setup.data.decisions,
        ceiling=Ceiling(
            gemm_flops_per_s=around.gemm_flops_per_s,
            devices=around.peak_devices,
            training_flops_per_image=training_flops(
                counted, 1, trunk_is_frozen=recipe.model.trunk_is_frozen
            ),
        ),
        steps_per_epoch=setup.steps_per_epoch,
        steps_total=setup.total_steps,
        harness_version=__version__,
        git_commit=around.git_commit,
        git_dirty=around.git_dirty,
        environment=around.environment,
        command=request.command,
        init_weights=setup.weights.sha256 if setup.weights else None,
        targets=registered_targets(recipe.name, (*own, request.target) if request.target else own),
        tracker=shown_uri(request.tracking_uri)
        if request.tracking and request.tracking_uri
        else None,
    )


def registered_targets(recipe: str, own: Sequence[Target] = ()) -> tuple[RegisteredTarget, ...]:
    """What the targets of a recipe demand now, so that a later verdict can tell a change.

    Args:
        recipe: The recipe's name.
        own: Targets that the runs are for and that need not be among the harness' own;
            of one name it is the one that counts.
    """
    known = (*load_baselines().targets, *own)
    found = {one.name: one for one in known if one.recipe == recipe}
    return tuple(
        RegisteredTarget(name=target.name, digest=target.digest, demands=target.demands())
        for target in found.values()
    )


def resumed_event(
    setup: SeedSetup, loaded: Loaded | None, passed_over: tuple[str, ...], time_s: float
) -> Resumed:
    """The event of a later process that resumes from a checkpoint, or from the beginning."""
    numerics = setup.surroundings.numerics
    return Resumed(
        time_s=time_s,
        step=loaded.step if loaded else 0,
        file=f"checkpoints/{loaded.folder.name}" if loaded else None,
        skipped=passed_over,
        numerics=numerics,
        numerics_digest=numerics.digest,
        accepted_numerics=setup.request.accept_numerics,
    )


def damage(
    folder: RunFolder, journal: Journal, passed_over: tuple[str, ...], first: int
) -> Iterator[HarnessError]:
    """Damage that is reported and does not end the run.

    Args:
        folder: The run's.
        journal: As it was before anything was appended.
        passed_over: Newer checkpoints, each with the reason.
        first: Step that the run resumes from.
    """
    if journal.torn_bytes:
        yield RecordError(
            f"the journal's last line was torn; its {journal.torn_bytes} bytes were dropped",
            where=str(folder.journal),
            expected="whole lines; a process that is killed while it writes can leave such an end",
            remedy="nothing: what the line recorded is done again",
        )
    if passed_over:
        yield CheckpointError(
            f"{len(passed_over)} of the newest checkpoints could not be used: "
            + "; ".join(passed_over),
            where=str(folder.checkpoints),
            expected="whole checkpoints that are not ahead of the journal",
            remedy=f"nothing: the run resumes from step {first} and computes the steps after it "
            "again; where it happens often, look at the disk",
        )


def comparable_steps(journal: Journal, numerics_digest: str, first: int) -> dict[int, str]:
    """Fingerprints that steps computed again from `first` on must have.

    They end at the first step that was recorded under other numerics: from
    there on a run that accepted the change may differ.
    """
    recorded: dict[int, str] = {}
    digest = journal.started.numerics_digest
    for event in journal.events:
        if isinstance(event, Resumed):
            digest = event.numerics_digest
        elif isinstance(event, Steps) and digest == numerics_digest:
            recorded.update(zip(event.step, event.fingerprint, strict=True))
    last = first
    while last in recorded:
        last += 1
    return {step: recorded[step] for step in range(first, last)}
