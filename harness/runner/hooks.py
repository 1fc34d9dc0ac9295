"""What happens at the edges of a run's windows, at checkpoints, at epoch ends and on a signal."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import DivergedError, PreemptedError
from harness.measure.memory import give_back
from harness.preflight.time_left import TimeLeft
from harness.progress import Work
from harness.recipes.protocol import Protocol
from harness.record.schema import Steps
from harness.runner.begin import Start
from harness.runner.context import SeedSetup
from harness.runner.early_check import Watch
from harness.runner.recorder import Recorder
from harness.runner.roles import Nothing
from harness.training.background import CheckpointWriter
from harness.training.early_end import diverged, preempted
from harness.training.loop import Hooks
from harness.training.state import reset_momentum, to_arrays

Checkpoints = CheckpointWriter | Nothing


@dataclass
class Position:
    """How many steps are done; read by the thread that notices a lost worker."""

    step: int


@dataclass(frozen=True)
class TrainingHooks:
    """The hooks of one run.

    Attributes:
        setup: What the run is given.
        start: Where it begins.
        recorder: Its journal and mirror.
        checkpoints: Where its state goes.
        evaluate: Evaluates after a step by protocols.
        position: Moved on with each window.
        watch: Over the early curve; None where this process does not record.
        computed: Called whenever a step has been computed: there is something to save.
        crops_per_s: Of the latest evaluation; None where there was none.
    """

    setup: SeedSetup
    start: Start
    recorder: Recorder
    checkpoints: Checkpoints
    evaluate: Callable[[int, tuple[Protocol, ...]], None]
    position: Position
    watch: Watch | None
    computed: Callable[[], None]
    crops_per_s: Callable[[], float | None]

    def for_loop(self, work: Work, left: TimeLeft) -> Hooks:
        """The hooks as the loop takes them; `work` displays the training and what is `left`."""
        state = self.start.state
        return Hooks(
            on_window=lambda window: self.window(window, work, left),
            on_checkpoint=lambda step: self.checkpoints.write(step, lambda: to_arrays(state)),
            on_epoch=self.epoch_ended,
            reset_momentum=lambda: reset_momentum(state),
            stop_requested=lambda step: self.stops(step, work, left),
            join=self.setup.job.join,
        )

    def window(self, window: Steps, work: Work, left: TimeLeft) -> None:
        """Record a window, show it, and end the run if its loss is not finite."""
        replayed = window.first_step < self.start.recorded_step
        if replayed:
            self.recorder.replayed(window, self.start.fingerprints)
        else:
            self.recorder.record(window)
        self.position.step = window.end_step
        if window.compiled:
            # Compilation leaves hundreds of MB behind that nothing uses again.
            give_back()
        self.checkpoints.poll()
        overflow = self.setup.recipe.precision.compute == "float16"
        bad = window.first_not_finite(gradients_may_overflow=overflow)
        if bad is not None:
            raise self._diverged(window, bad)
        if self.watch is not None and not replayed:
            self.watch.see(window)
        left.window_done(window, work, self.crops_per_s())

    def epoch_ended(self, step: int) -> None:
        """Evaluate after an epoch, unless the final evaluation follows."""
        recipe = self.setup.recipe
        epoch = step // self.setup.steps_per_epoch
        if step < self.setup.total_steps and epoch % recipe.evaluate_every_epochs == 0:
            self.evaluate(step, (recipe.epoch_protocol,))

    def stops(self, step: int, work: Work, left: TimeLeft) -> bool:
        """Whether to stop after `step` steps; from the first one on there is something to save."""
        self.computed()
        left.step_done(step, work, time.perf_counter())
        return self.setup.job.stops(step)

    def _diverged(self, window: Steps, step: int) -> DivergedError:
        # First the last good checkpoint: the message names it.
        self.checkpoints.wait()
        folder = self.setup.folder
        error = diverged(window, step, folder.path, folder.checkpoints)
        detail = f"{error.found}; {error.expected}"
        self.recorder.finished("diverged", step, self.start.state, detail)
        return error


def stop_if_asked(
    setup: SeedSetup, recorder: Recorder, checkpoints: Checkpoints, step: int
) -> None:
    """End an evaluation when a stop is requested; it is made again from its beginning."""
    asked_by = setup.job.asked_by()
    if asked_by is not None:
        checkpoints.wait()
        raise stopped_by_signal(setup, recorder, step, asked_by)


def stopped_by_signal(
    setup: SeedSetup, recorder: Recorder, step: int, signal_name: str
) -> PreemptedError:
    """Record the stop; returns the error that ends the process."""
    detail = f"received {signal_name}"
    recorder.interrupted(step, "signal", detail)
    return preempted(step, setup.total_steps, detail, setup.folder.path, setup.request.command)
