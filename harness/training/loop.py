"""The training loop: windows of steps between the places where something happens.

Within a window nothing is read back from the device and nothing is written.
At its edge the window is read, checked, and handed to the hooks.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from harness.errors import HarnessError
from harness.numerics.fingerprint import added_fingerprints, hex_of
from harness.recipes.recipe import Phase
from harness.record.schema import Steps
from harness.training.schedule import learning_rates, momentum_kept
from harness.training.step import StepFunction, StepOutput

WINDOW_STEPS = 100


@dataclass(frozen=True)
class LoopPlan:
    """Where a training goes and where it pauses. All in steps.

    Attributes:
        first_step: Steps done already.
        last_step: Steps done when this call ends.
        total_steps: Steps of the whole recipe.
        steps_per_epoch: Length of an epoch.
        checkpoint_every: A checkpoint at every multiple.
        recorded_step: Steps that the journal holds already; a window never
            spans this edge, so that replayed steps stay apart.
        window_steps: Longest window.
    """

    first_step: int
    last_step: int
    total_steps: int
    steps_per_epoch: int
    checkpoint_every: int
    recorded_step: int
    window_steps: int = WINDOW_STEPS

    def next_edge(self, step: int) -> int:
        """The end of the window that begins at `step`."""
        lengths = (self.window_steps, self.checkpoint_every, self.steps_per_epoch)
        edges = [self.last_step, *((step // length + 1) * length for length in lengths)]
        if step < self.recorded_step:
            edges.append(self.recorded_step)
        return min(edges)

    def is_epoch_end(self, step: int) -> bool:
        """Whether `step` steps are a whole number of epochs."""
        return step % self.steps_per_epoch == 0

    def wants_checkpoint(self, step: int) -> bool:
        """Whether a checkpoint is due after `step` steps."""
        return (
            step % self.checkpoint_every == 0 or self.is_epoch_end(step) or step == self.last_step
        )


@dataclass(frozen=True)
class Hooks:
    """What the loop calls. A hook may raise to end the training.

    Attributes:
        on_window: After each window; raises when a loss is not finite or a
            replayed step differs.
        on_checkpoint: After `step` steps, before an evaluation at the same step.
        on_epoch: At each epoch's end, after the checkpoint.
        reset_momentum: Called before a step whose phase begins with new slots.
        stop_requested: Asked after each step with the number of steps done.
        join: From this worker's fingerprints of a window to those of the whole job; None in a
            job of one process.
    """

    on_window: Callable[[Steps], None]
    on_checkpoint: Callable[[int], None]
    on_epoch: Callable[[int], None]
    reset_momentum: Callable[[], None]
    stop_requested: Callable[[int], bool]
    join: Callable[[list[int]], list[int]] | None = None


def train(
    step_function: StepFunction,
    batches: Iterator[Any],
    phases: tuple[Phase, ...],
    plan: LoopPlan,
    hooks: Hooks,
    *,
    images_per_step: int,
    asynchronous: bool = False,
    now: Callable[[], float] = time.perf_counter,
    time_of_day: Callable[[], float] = time.time,
) -> int:
    """Run steps `plan.first_step` to `plan.last_step`, or until a stop is requested.

    `now` measures the steps (monotonic, seconds), `time_of_day` dates the windows.

    Returns:
        Steps done. After a requested stop a checkpoint has been asked for.

    Raises:
        HarnessError: or `OpError`, of the batches; the steps before it are recorded
            and a checkpoint of them has been asked for, unless they would have to be joined.
    """
    step = plan.first_step
    runner = _WindowRunner(
        step_function=step_function,
        batches=batches,
        stop_requested=hooks.stop_requested,
        images=images_per_step,
        asynchronous=asynchronous,
        now=now,
        time_of_day=time_of_day,
        join=hooks.join,
    )
    while step < plan.last_step:
        count = plan.next_edge(step) - step
        kept = momentum_kept(phases, plan.steps_per_epoch, step, count)
        if kept[0] == 0:
            hooks.reset_momentum()
        # A phase counted in steps may begin anywhere; where it resets momentum, a window ends.
        count = next((i for i in range(1, count) if kept[i] == 0), count)
        window = runner.run(step, learning_rates(phases, plan.steps_per_epoch, step, count))
        if window is not None:
            hooks.on_window(window)
            step = window.end_step
        if runner.failure is not None:
            # What was computed is kept, but for a worker's: the others are held in the next step.
            kept_already = window is None and plan.wants_checkpoint(step)
            if step > plan.first_step and not kept_already and hooks.join is None:
                hooks.on_checkpoint(step)
            raise runner.failure
        stopping = hooks.stop_requested(step)
        # Before the evaluation, which may take minutes and be interrupted.
        if stopping or plan.wants_checkpoint(step):
            hooks.on_checkpoint(step)
        if stopping:
            break
        if plan.is_epoch_end(step):
            hooks.on_epoch(step)
    return step


@dataclass
class _WindowRunner:
    step_function: StepFunction
    batches: Iterator[Any]
    stop_requested: Callable[[int], bool]
    images: int
    asynchronous: bool
    now: Callable[[], float]
    time_of_day: Callable[[], float] = time.time
    compiled: bool = False
    failure: Exception | None = None
    join: Callable[[list[int]], list[int]] | None = None

    def run(self, first: int, rates: np.ndarray) -> Steps | None:
        """The steps of one window; fewer, or None, where `failure` of the data ended it."""
        outputs: list[StepOutput] = []
        waits: list[float] = []
        edges_s = [self.now()]
        compiled = () if self.compiled else (first,)
        # The window's rates travel to the device once, not a step at a time.
        for rate in tf.unstack(tf.constant(rates)):
            try:
                batch = next(self.batches)
            except (HarnessError, tf.errors.OpError) as error:
                self.failure = error
                break
            waits.append(self.now() - edges_s[-1])
            outputs.append(self.step_function(batch["image"], batch["label"], rate))
            if not self.compiled:
                # Waits for the device, so that compilation falls into this step's time alone.
                outputs[-1].loss.numpy()
                self.compiled = True
            edges_s.append(self.now())
            if self.stop_requested(first + len(outputs)):
                break
        if not outputs or (self.failure is not None and self.join is not None):
            return None
        # The one read of a window: an earlier one would make the device wait for the host.
        values = _read(outputs, self.join)
        edges_s[-1] = self.now() if self.asynchronous else edges_s[-1]
        return Steps(
            time_s=self.time_of_day(),
            step=tuple(range(first, first + len(outputs))),
            step_time_s=self._times(edges_s, skip=len(compiled)),
            data_wait_s=tuple(waits),
            learning_rate=tuple(float(rate) for rate in rates[: len(outputs)]),
            images=(self.images,) * len(outputs),
            compiled=compiled,
            **values,
        )

    def _times(self, edges_s: list[float], skip: int) -> tuple[float, ...]:
        times = np.diff(edges_s)
        if self.asynchronous and len(times) > skip:
            times[skip:] = times[skip:].mean()
        return tuple(float(t) for t in times)


def _read(
    outputs: list[StepOutput], join: Callable[[list[int]], list[int]] | None
) -> dict[str, Any]:
    *values, fingerprints, batch_fingerprints = zip(*outputs, strict=True)
    loss, norm, correct = (tf.stack(value).numpy() for value in values)
    marks = added_fingerprints(fingerprints) + added_fingerprints(batch_fingerprints)
    hexes = tuple(map(hex_of, marks if join is None else join(marks)))
    return {
        "loss": tuple(float(x) for x in loss),
        "gradient_norm": tuple(float(x) for x in norm),
        "correct": tuple(int(x) for x in correct),
        "fingerprint": hexes[: len(outputs)],
        "batch_fingerprint": hexes[len(outputs) :],
    }
