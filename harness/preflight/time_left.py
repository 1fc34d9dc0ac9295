"""What a training prints of itself: figures of a window, and how long the rest takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.preflight.workload import epoch_evaluations, forward_share
from harness.progress import Work
from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe
from harness.record.journal import Journal
from harness.record.quantities import QUANTITIES, StepSeries
from harness.record.schema import Steps


@dataclass
class TimeLeft:
    """Steps and evaluations that remain, at what each has cost lately.

    Attributes:
        recipe: Says when what is evaluated.
        steps_per_epoch: Of the run.
        total_steps: Of the whole recipe.
        last_step: Where this command ends.
        evaluated_images: In one evaluation.
        final: Protocols of the evaluation where this command ends.
        asynchronous: Whether steps are computed behind their calls.
        step_s: Of one step; None while nothing is known.
        crops_per_s: Of the latest evaluation; None takes it from the steps.
    """

    recipe: Recipe
    steps_per_epoch: int
    total_steps: int
    last_step: int
    evaluated_images: int
    final: Sequence[Protocol]
    asynchronous: bool = False
    step_s: float | None = None
    crops_per_s: float | None = None
    begun: tuple[int, float] | None = field(init=False, default=None)
    windows: int = field(init=False, default=0)

    def step_done(self, step: int, work: Work, now_s: float) -> None:
        """Bring a display up to date before the first window is full, which may take an hour.

        The first step holds compilation: the time runs from its end. Where steps are computed
        behind their calls only a window's end says what they take.
        """
        if self.windows or self.asynchronous:
            return
        self.begun = self.begun or (step, now_s)
        if step == self.begun[0]:
            return
        self.step_s = (now_s - self.begun[1]) / (step - self.begun[0])
        text = f"step {step:,} of {self.last_step:,}, {self.step_s:.3g} s a step"
        work.update(step, text=text, left_s=self.seconds(step))

    def window_done(self, window: Steps, work: Work, crops_per_s: float | None) -> None:
        """Bring a display up to date with a window; `crops_per_s` of an evaluation since."""
        self.crops_per_s = crops_per_s or self.crops_per_s
        self.see(window)
        steps = StepSeries.of((window,))
        shown = (quantity.text(steps) for quantity in QUANTITIES)
        following = self.next_evaluation(window.end_step)
        figures = (
            f"step {window.end_step:,} of {self.last_step:,}",
            f"epoch {window.end_step / self.steps_per_epoch:.2f}",
            *(words for words in shown if words),
            *([f"next evaluation at step {following:,}"] if following else []),
        )
        left_s = self.seconds(window.end_step)
        work.update(window.end_step, text=", ".join(figures), left_s=left_s)

    def see(self, window: Steps) -> None:
        """Take up a window; a step that holds compilation says nothing."""
        self.windows += 1
        compiled = {step - window.first_step for step in window.compiled}
        times = [time for i, time in enumerate(window.step_time_s) if i not in compiled]
        if times:
            self.step_s = sum(times) / len(times)

    def seconds(self, step: int) -> float | None:
        """From `step` steps done to the end of this command; None while nothing is known."""
        if self.step_s is None:
            return None
        image_s = self.step_s / self.recipe.batch
        forward_s = forward_share(self.recipe.model) * image_s
        crop_s = 1 / self.crops_per_s if self.crops_per_s else forward_s
        evaluations = epoch_evaluations(self.recipe, self.steps_per_epoch, step, self.last_step)
        walks = evaluations * [self.recipe.epoch_protocol] + list(self.final)
        crops = sum(protocol.views for protocol in walks) * self.evaluated_images
        return (self.last_step - step) * self.step_s + crops * crop_s

    def next_evaluation(self, step: int) -> int | None:
        """The next step after which something is evaluated; None where this command has none."""
        every = self.steps_per_epoch * self.recipe.evaluate_every_epochs
        following = (step // every + 1) * every
        if following <= self.last_step and following < self.total_steps:
            return following
        return self.last_step if self.final and step < self.last_step else None


def time_left(
    recipe: Recipe,
    images: int,
    eval_images: int | None,
    journal: Journal | None,
    *,
    steps_per_epoch: int,
    last_step: int,
    asynchronous: bool,
) -> TimeLeft:
    """What a seed has before it; of one that resumes, with the rate of its latest evaluation.

    Args:
        recipe: What is trained.
        images: Validation images.
        eval_images: How many of these are drawn, as `--eval-images` has it.
        journal: Of a seed that was begun.
        steps_per_epoch: Of the run.
        last_step: Where this command ends.
        asynchronous: Whether steps are computed behind their calls.
    """
    total = recipe.total_steps(steps_per_epoch)
    ends_with_evaluation = last_step == total or eval_images is not None
    before = journal.evaluations if journal else ()
    return TimeLeft(
        recipe,
        steps_per_epoch,
        total,
        last_step,
        min(images, eval_images or images),
        recipe.final_protocols if ends_with_evaluation else (),
        asynchronous=asynchronous,
        crops_per_s=before[-1].crops_per_s if before else None,
    )
