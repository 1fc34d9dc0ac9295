"""One seed of a recipe: begin or resume, train, evaluate, finish."""

import time
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from typing import Any

import keras

from harness.data.input_pipeline.contact_sheet import with_contact_sheet
from harness.errors import DivergedError, HarnessError, PreemptedError
from harness.preflight.time_left import time_left
from harness.preflight.workload import kept_every_epochs
from harness.record.run_folder import CONTACT_SHEET
from harness.record.schema import AnyEvent, Evaluation, RunFinished
from harness.runner.begin import Start, begin
from harness.runner.context import SeedSetup
from harness.runner.early_check import UnusualRunError, Watch, open_watch
from harness.runner.evaluator import RunEvaluator
from harness.runner.hooks import (
    Checkpoints,
    Position,
    TrainingHooks,
    stop_if_asked,
    stopped_by_signal,
)
from harness.runner.recorder import Recorder
from harness.runner.roles import role_of
from harness.system.folders import disk_errors
from harness.training.batches import read_ahead, recipe_batches
from harness.training.early_end import device_errors
from harness.training.loop import LoopPlan
from harness.training.loop import train as run_steps
from harness.training.step import build_step

SavingFirst = Callable[[], AbstractContextManager[None]]
"""In whose context a signal waits for a checkpoint."""


@dataclass(frozen=True)
class Ending:
    """How a process ended its part of a run.

    Attributes:
        run_id: The run's.
        step: Steps done.
        model: The network as trained.
        evaluations: Those after the last step.
        finished: The run's last event; None where `--steps` ended the process.
    """

    run_id: str
    step: int
    model: keras.Model
    evaluations: tuple[Evaluation, ...]
    finished: RunFinished | None


def train_seed(
    setup: SeedSetup,
    publish: Callable[[AnyEvent], None] = lambda _event: None,
    saving_first: SavingFirst = nullcontext,
) -> Ending:
    """Begin or resume, train, evaluate and finish.

    Args:
        setup: What the run is given.
        publish: The mirror's; never blocks and never raises.
        saving_first: Entered once a step has been computed: until then a signal would
            lose nothing by ending the process at once.

    Raises:
        PreemptedError: a signal asked for a stop; the checkpoint is written.
        DivergedError: a loss is not finite.
        DifferenceFoundError: a replayed step differs.
        DataError: an image vanished or changed.
        MachineError: memory or disk did not suffice, or the device failed.
        UnusualRunError: an early check found something and a stop was asked for.
    """
    role = role_of(setup.job)
    with _saving(saving_first) as computed, role.journal(setup.folder.journal) as journal:
        recorder = Recorder(journal, publish)
        start = begin(setup, recorder)
        position = Position(start.first_step)
        setup.job.on_loss(lambda text: _worker_lost(recorder, position, text))
        watch = _open_watch(setup, recorder, position) if setup.job.chief else None
        with (
            _interruption_recorded(setup, recorder, position),
            device_errors(setup.folder.path, setup.job.explain),
            _checkpoints(setup, start, recorder) as checkpoints,
        ):
            evaluator = _evaluator(setup, start, recorder, checkpoints, watch)
            hooks = TrainingHooks(
                setup=setup,
                start=start,
                recorder=recorder,
                checkpoints=checkpoints,
                evaluate=evaluator.evaluate if role.evaluates else lambda _step, _protocols: None,
                position=position,
                watch=watch,
                computed=computed,
                crops_per_s=lambda: evaluator.crops_per_s,
            )
            step = _train(setup, start, hooks)
            checkpoints.wait()
            finished = _finish(setup, start, hooks, step)
            evaluations = tuple(e for e in evaluator.recorded if e.step == step)
            return Ending(start.run_id, step, start.state.model, evaluations, finished)


def _train(setup: SeedSetup, start: Start, hooks: TrainingHooks) -> int:
    """Train from the start to the last step, or until a stop; returns the steps done."""
    recipe, devices, first = setup.recipe, setup.surroundings.devices, start.first_step
    last = max(first, setup.last_step)
    if first and first % setup.steps_per_epoch == 0:
        # This epoch's evaluation may have been interrupted; what is recorded is not repeated.
        hooks.epoch_ended(first)
    plan = LoopPlan(
        first_step=first,
        last_step=last,
        total_steps=setup.total_steps,
        steps_per_epoch=setup.steps_per_epoch,
        checkpoint_every=setup.request.checkpoint_every,
        recorded_step=start.recorded_step,
    )
    step_function = build_step(start.state, recipe, devices.strategy, eager=setup.request.eager)
    if first < last:
        read_ahead(recipe, setup.data.train, setup.say)
    batches = recipe_batches(
        recipe, setup.data.train, devices, seed=setup.seed, first=first, end=last
    )
    left = time_left(
        recipe, len(setup.data.val), setup.request.eval_images, setup.journal,
        steps_per_epoch=setup.steps_per_epoch, last_step=last, asynchronous=devices.asynchronous,
    )  # fmt: skip
    title = f"{recipe.name}, seed {setup.seed}"
    with (
        setup.progress.work(title, total=last, every_s=30, always=True) as work,
        closing(batches),
    ):
        work.text = "the first step is being compiled"
        return run_steps(
            step_function,
            _pictured(setup, batches, hooks.watch) if first == 0 and hooks.watch else batches,
            recipe.phases,
            plan,
            hooks.for_loop(work, left),
            images_per_step=recipe.batch,
            asynchronous=devices.asynchronous,
            now=time.perf_counter,
        )


def _pictured(setup: SeedSetup, batches: Iterator[Any], watch: Watch) -> Iterator[Any]:
    """The batches of a beginning: the first one is pictured, and its pixels are checked."""
    normalisation = setup.recipe.normalisation
    sheet = setup.folder.path / CONTACT_SHEET
    return watch.first_batch(with_contact_sheet(batches, sheet, normalisation), normalisation)


def _finish(setup: SeedSetup, start: Start, hooks: TrainingHooks, step: int) -> RunFinished | None:
    """Evaluate and record the end; None where `--steps` ended the process before it."""
    recorder, protocols = hooks.recorder, setup.recipe.final_protocols
    stopped_by = setup.job.stopped_by()
    if step == setup.total_steps:
        hooks.evaluate(step, protocols)
        return recorder.finished("completed", step, start.state)
    if stopped_by is not None:
        raise stopped_by_signal(setup, recorder, step, stopped_by)
    if setup.request.eval_images is not None:
        hooks.evaluate(step, protocols)
    recorder.interrupted(step, "steps_limit", f"--steps {setup.request.steps}")
    return None


@contextmanager
def _saving(saving_first: SavingFirst) -> Iterator[Callable[[], None]]:
    """Yield what enters `saving_first` when it is first called; left with the block."""
    pending = [saving_first]
    with ExitStack() as stack:

        def computed() -> None:
            if pending:
                stack.enter_context(pending.pop()())

        yield computed


@contextmanager
def _interruption_recorded(
    setup: SeedSetup, recorder: Recorder, position: Position
) -> Iterator[None]:
    """Record why a run stops early, as far as the disk still takes it."""
    try:
        with disk_errors(setup.folder.path):
            yield
    except (PreemptedError, DivergedError):
        raise  # recorded where they were raised
    except UnusualRunError as error:
        recorder.interrupted(position.step, "gate", error.found)
        raise
    except HarnessError as error:
        with suppress(OSError):
            recorder.interrupted(position.step, "error", error.found)
        raise


def _worker_lost(recorder: Recorder, position: Position, text: str) -> None:
    """Called beside the training's thread, which may be waiting for the lost worker."""
    recorder.interrupted(position.step, "worker_lost", text)
    recorder.writer.sync()


def _checkpoints(
    setup: SeedSetup, start: Start, recorder: Recorder
) -> AbstractContextManager[Checkpoints]:
    every = kept_every_epochs(start.state.bytes) * setup.steps_per_epoch
    return role_of(setup.job).checkpoints(
        setup.folder.checkpoints,
        start.run_id,
        # Before a checkpoint gets its name: the journal must hold the steps that it stands for.
        recorder.writer.sync,
        recorder.checkpoint,
        kept_steps=lambda step: step % every == 0,
    )


def _evaluator(
    setup: SeedSetup,
    start: Start,
    recorder: Recorder,
    checkpoints: Checkpoints,
    watch: Watch | None,
) -> RunEvaluator:
    return RunEvaluator(
        model=start.state.model,
        data=setup.data,
        folder=setup.folder,
        recorder=recorder,
        steps_per_epoch=setup.steps_per_epoch,
        total_steps=setup.total_steps,
        limit=setup.request.eval_images,
        recorded=list(setup.journal.evaluations if setup.journal else ()),
        stop_if_asked=lambda step: stop_if_asked(setup, recorder, checkpoints, step),
        look_at=watch.evaluation if watch else lambda _step, _predictions: None,
        progress=setup.progress,
    )


def _open_watch(setup: SeedSetup, recorder: Recorder, position: Position) -> Watch:
    def warn(topic: str, text: str) -> None:
        recorder.warning(position.step, topic, text)
        setup.progress.note(f"{setup.recipe.name}, seed {setup.seed}: warning: {text}")

    return open_watch(setup, warn)
