"""One seed of a recipe: begin or go on, train, evaluate, finish."""

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
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from harness.data.dataset import DataSet
from harness.data.input_pipeline.contact_sheet import with_contact_sheet
from harness.distributed.job import Job
from harness.errors import DivergedError, HarnessError, PreemptedError
from harness.files import disk_error
from harness.measure.memory import give_back
from harness.measure.operations import multiply_adds, training_flops
from harness.numerics.fingerprint import arrays_fingerprint
from harness.progress import SILENT, Progress, Work
from harness.recipes.recipe import Recipe
from harness.record.journal import Journal, JournalWriter
from harness.record.run_folder import CONTACT_SHEET, RunFolder
from harness.record.schema import AnyEvent, Interrupted, RunFinished
from harness.runner.context import Identity, Surroundings, resumed_event, started_event
from harness.runner.early_curve import UnusualCurveError, Watch, open_watch
from harness.runner.evaluator import RunEvaluator, recorded_evaluations
from harness.runner.initial_model import initial_network
from harness.runner.non_chief import SilentCheckpoints, SilentEvaluator, SilentJournal
from harness.runner.recorder import Recorder, show
from harness.runner.request import RunRequest
from harness.runner.resume import comparable_steps, damage
from harness.training.background import CheckpointWriter
from harness.training.batches import read_ahead, recipe_batches
from harness.training.checkpoint import read_latest
from harness.training.errors import device_errors, diverged, preempted
from harness.training.loop import Hooks, Plan, Window, train
from harness.training.state import (
    TrainState,
    create_state,
    from_arrays,
    reset_momentum,
    take_from_chief,
    to_arrays,
)
from harness.training.step import build_step

Reason = Literal["signal", "steps_limit", "gate", "error", "worker_lost"]

KEPT_EPOCHS = 5
"""Checkpoints of every fifth epoch stay, as the reference kept its weights."""


@dataclass
class SeedRun:
    """The parts of one run while it lasts."""

    request: RunRequest
    seed: int
    data: DataSet
    folder: RunFolder
    journal: Journal | None
    surroundings: Surroundings
    publish: Callable[[AnyEvent], None]
    job: Job
    say: Callable[[str], None]
    progress: Progress = SILENT
    state: TrainState = field(init=False)
    recorder: Recorder = field(init=False)
    checkpoints: CheckpointWriter = field(init=False)
    evaluator: RunEvaluator = field(init=False)
    work: Work = field(init=False)
    watch: Watch | None = field(init=False, default=None)
    saving: ExitStack = field(init=False)
    saving_first: Callable[[], AbstractContextManager[None]] | None = field(init=False)
    recorded: dict[int, str] = field(init=False, default_factory=dict)
    recorded_step: int = field(init=False, default=0)
    done: int = field(init=False, default=0)

    @property
    def recipe(self) -> Recipe:
        """The recipe with its settings."""
        return self.request.recipe

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch: the recipe's, or floor(images / batch)."""
        return self.recipe.steps_in_epoch(len(self.data.train))

    @property
    def total_steps(self) -> int:
        """Steps of the whole recipe."""
        return self.recipe.total_steps(self.steps_per_epoch)

    @property
    def run_id(self) -> str:
        """Stays the same over all resumes."""
        if self.journal is not None:
            return self.journal.started.run_id
        return self._new_id

    @property
    def _identity(self) -> Identity:
        return Identity(
            run_id=self.run_id,
            seed=self.seed,
            steps_per_epoch=self.steps_per_epoch,
            steps_total=self.total_steps,
            training_flops_per_image=training_flops(
                multiply_adds(self.state.model, self.recipe.model.image_size), 1
            ),
            init_weights=self._init_weights,
        )

    def __post_init__(self) -> None:
        """Name a run that is new."""
        self._new_id = uuid4().hex
        self._init_weights: str | None = None

    def execute(
        self, saving_first: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> RunFinished | None:
        """Train and evaluate; None when `--steps` ended it early.

        Args:
            saving_first: In whose context a signal waits for a checkpoint. It is entered
                once a step has been computed: until then nothing would be lost.

        Raises:
            PreemptedError: a signal asked for a stop; the checkpoint is written.
            DivergedError: a loss is not finite.
            DifferenceFoundError: a replayed step differs.
            DataError: an image vanished or changed.
            MachineError: memory or disk did not suffice, or the device failed.
            UnusualCurveError: the early curve is unusual and a stop was asked for.
        """
        with ExitStack() as self.saving, self._journal_writer() as writer:
            self.saving_first = saving_first
            self.recorder = Recorder(writer, self.publish)
            with (
                self._device_errors(),
                self.progress.work("building the network"),
                self.surroundings.devices.strategy.scope(),
            ):
                self._build()
            self.done = self._begin_together()
            self.watch = self._open_watch() if self.job.chief else None
            with (
                self._interruption_told(),
                self._device_errors(),
                self._checkpoint_writer(writer) as self.checkpoints,
            ):
                return self._train_and_evaluate(self.done)

    def _device_errors(self) -> AbstractContextManager[None]:
        return device_errors(self.folder.path, self.job.explain)

    def _journal_writer(self) -> JournalWriter:
        return (JournalWriter if self.job.chief else SilentJournal)(self.folder.journal)

    @contextmanager
    def _interruption_told(self) -> Iterator[None]:
        """Record why a run stops early, as far as the disk still takes it."""
        try:
            yield
        except (PreemptedError, DivergedError):
            raise
        except UnusualCurveError as error:
            self._interrupted(self.done, "gate", error.found)
            raise
        except HarnessError as error:
            self._interrupted(self.done, "error", error.found)
            raise
        except OSError as error:
            told = disk_error(error, self.folder.path)
            with suppress(OSError):
                self._interrupted(self.done, "error", told.found)
            raise told from error

    def _build(self) -> None:
        model, self._init_weights = initial_network(self.request, self.data, self.seed)
        self.state = create_state(model, float16=self.recipe.precision.compute == "float16")
        self.evaluator = (RunEvaluator if self.job.chief else SilentEvaluator)(
            model=model,
            data=self.data,
            folder=self.folder,
            recorder=self.recorder,
            steps_per_epoch=self.steps_per_epoch,
            total_steps=self.total_steps,
            limit=self.request.eval_images,
            done=recorded_evaluations(self.journal),
            stop_if_asked=self._stop_if_asked,
            progress=self.progress,
        )

    def _begin_together(self) -> int:
        """Begin where the chief begins, with the chief's state; returns the first step."""
        first = self._begin()
        recorded = self.journal.last_step if self.journal else 0
        start = self.job.share(f"start of seed {self.seed}", (first, recorded))
        first, self.recorded_step = int(start[0]), int(start[1])
        if self.surroundings.devices.workers > 1:
            take_from_chief(self.state, self.surroundings.devices.strategy)
        self.job.on_loss(self._record_loss)
        return first

    def _open_watch(self) -> Watch:
        def warn(topic: str, text: str) -> None:
            self.recorder.warning(self.done, topic, text)
            self.progress.note(f"{self.recipe.name}, seed {self.seed}: warning: {text}")

        return open_watch(
            self.folder.path.parent,
            self.journal.steps if self.journal else (),
            seed=self.seed,
            recipe_digest=self.recipe.digest,
            root_digest=self.data.identity.root_digest,
            classes=self.recipe.model.classes or len(self.data.classes),
            steps_total=self.total_steps,
            stop=self.request.stop_when_unusual,
            warn=warn,
        )

    def _begin(self) -> int:
        """Record the start, or load the latest whole checkpoint, tell and record the resume."""
        around, now = self.surroundings, self.recorder.now
        if self.journal is None:
            started = started_event(
                self._identity, self.request, self.data, around, now(), self.folder.path
            )
            self.recorder.record(started)
            self.recorder.writer.sync()
            return 0
        loaded, passed_over = read_latest(
            self.folder.checkpoints, self.run_id, at_most=self.journal.last_step
        )
        if loaded is not None:
            from_arrays(self.state, loaded.arrays, str(loaded.folder))
        first = loaded.step if loaded else 0
        for error in damage(self.folder, self.journal, passed_over, first):
            self.say(f"warning: {error}")
        self.recorder.record(resumed_event(loaded, passed_over, self.request, around, now()))
        self.recorded = comparable_steps(self.journal, around.numerics.digest, first)
        return first

    def _checkpoint_writer(self, writer: JournalWriter) -> CheckpointWriter:
        every = KEPT_EPOCHS * self.steps_per_epoch
        return (CheckpointWriter if self.job.chief else SilentCheckpoints)(
            self.folder.checkpoints,
            self.run_id,
            writer.sync,
            self.recorder.checkpoint,
            kept_steps=lambda step: step % every == 0,
        )

    def _train_and_evaluate(self, first: int) -> RunFinished | None:
        limit = self.request.steps
        last = self.total_steps if limit is None else min(limit, self.total_steps)
        if first and first % self.steps_per_epoch == 0:
            self._end_epoch(first)
        step = self._train(first, max(first, last))
        self.checkpoints.wait()
        stopped_by = self.job.stopped_by()
        if stopped_by is not None and step < self.total_steps:
            raise self._interrupted_by_signal(step, stopped_by)
        if step < self.total_steps:
            self._stop_at_limit(step)
            return None
        self.evaluator.evaluate(step, self.recipe.final_protocols)
        return self._finish("completed", step)

    def _train(self, first: int, last: int) -> int:
        plan = Plan(
            first_step=first,
            last_step=last,
            total_steps=self.total_steps,
            steps_per_epoch=self.steps_per_epoch,
            checkpoint_every=self.request.checkpoint_every,
            recorded_step=self.recorded_step,
        )
        hooks = Hooks(
            on_window=self._window,
            on_checkpoint=lambda step: self.checkpoints.write(step, lambda: to_arrays(self.state)),
            on_epoch=self._end_epoch,
            reset_momentum=lambda: reset_momentum(self.state),
            stop_requested=self._stops,
        )
        devices = self.surroundings.devices
        step_function = build_step(
            self.state, self.recipe, devices.strategy, eager=self.request.eager
        )
        if first < last:
            read_ahead(self.recipe, self.data.train, self.say)
        batches = recipe_batches(
            self.recipe, self.data.train, devices, seed=self.seed, first=first, end=last
        )
        pictured: Iterator[Any] = batches
        title = f"{self.recipe.name}, seed {self.seed}"
        with (
            # Pauses for evaluations belong to the rate, so all of the time counts.
            self.progress.work(title, total=last, lately=1, every_s=30, always=True) as self.work,
            closing(batches),
        ):
            self.work.text = "the first step is being compiled"
            if first == 0 and self.job.chief:
                sheet = self.folder.path / CONTACT_SHEET
                pictured = with_contact_sheet(batches, sheet, self.recipe.normalisation)
            return train(
                step_function,
                pictured,
                self.recipe.phases,
                plan,
                hooks,
                images_per_step=self.recipe.batch,
                asynchronous=devices.asynchronous,
                now=time.perf_counter,
            )

    def _stops(self, step: int) -> bool:
        """Whether to stop after `step` steps; from the first one on there is something to save."""
        if self.saving_first is not None:
            self.saving.enter_context(self.saving_first())
            self.saving_first = None
        return self.job.stops(step)

    def _window(self, window: Window) -> None:
        event = None
        if window.first_step < self.recorded_step:
            self.recorder.replayed(window, self.recorded)
        else:
            event = self.recorder.steps(window)
        self.done = window.end_step
        if window.compiled:
            give_back()
        self.checkpoints.poll()
        overflow = self.recipe.precision.compute == "float16"
        bad = window.first_not_finite(gradients_may_overflow=overflow)
        if bad is not None:
            raise self._diverged(window, bad)
        if event is not None and self.watch is not None:
            self.watch.see(event)
        show(window, self.work, self.steps_per_epoch, self.total_steps)

    def _end_epoch(self, step: int) -> None:
        epoch = step // self.steps_per_epoch
        if step < self.total_steps and epoch % self.recipe.evaluate_every_epochs == 0:
            self.evaluator.evaluate(step, (self.recipe.epoch_protocol,))

    def _stop_if_asked(self, step: int) -> None:
        """End an evaluation when a stop is requested; it is made again from its beginning."""
        asked_by = self.job.asked_by()
        if asked_by is not None:
            self.checkpoints.wait()
            raise self._interrupted_by_signal(step, asked_by)

    def _record_loss(self, text: str) -> None:
        """Record that a worker is gone; called beside the training's thread."""
        self._interrupted(self.done, "worker_lost", text)
        self.recorder.writer.sync()

    def _interrupted_by_signal(self, step: int, asked_by: str) -> PreemptedError:
        detail = f"received {asked_by}"
        self._interrupted(step, "signal", detail)
        return preempted(step, self.total_steps, detail, self.folder.path, self.request.command)

    def _stop_at_limit(self, step: int) -> None:
        if self.request.eval_images is not None:
            self.evaluator.evaluate(step, self.recipe.final_protocols)
        self._interrupted(step, "steps_limit", f"--steps {self.request.steps}")

    def _interrupted(self, step: int, reason: Reason, detail: str) -> None:
        self.recorder.record(
            Interrupted(time_s=self.recorder.now(), step=step, reason=reason, detail=detail)
        )

    def _finish(self, status: str, step: int, detail: str = "") -> RunFinished:
        arrays = {n: a for n, a in to_arrays(self.state).items() if n.startswith("weights/")}
        event = RunFinished.model_validate(
            {
                "time_s": self.recorder.now(),
                "step": step,
                "status": status,
                "detail": detail,
                "weights_fingerprint": arrays_fingerprint(arrays),
            }
        )
        self.recorder.record(event)
        return event

    def _diverged(self, window: Window, step: int) -> DivergedError:
        self.checkpoints.wait()
        error = diverged(window, step, self.folder.path, self.folder.checkpoints)
        self._finish("diverged", step, f"{error.found}; {error.expected}")
        return error
