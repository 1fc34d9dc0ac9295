"""`harness bench loop`: training as a run does it, beside the bare step, the input and evaluation.

Everything is measured in one process, in alternation: ratios are taken round by
round. The bare step has no fingerprint, and its one batch stays in memory; the
loop has the pipeline, fingerprints, journal and progress. Both train the same
variables. What a tracker takes of a step is measured elsewhere.
"""

import io
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.bench.summary import MedianRange, Ratio
from harness.recipes.recipe import Constant, Phase, Recipe
from harness.record.schema import Steps

if TYPE_CHECKING:
    from harness.data.dataset import DataSet
    from harness.runner.recorder import Recorder

ROUNDS = 5
STEPS = 100
ENDLESS_STEPS = 1_000_000
GEMM_S = 0.5
RATE = 1e-3
"""At which the weights stay finite for as long as it takes."""

Now = Callable[[], float]
Say = Callable[[str], None]


@dataclass(frozen=True)
class LoopRound:
    """One alternation.

    Attributes:
        bare_images_per_s: Of the compiled step alone.
        loop_images_per_s: Of training with everything around the step.
        input_images_per_s: Of the training batches alone, while nothing else runs.
        evaluation_s: Of one epoch's evaluation, its predictions written.
        gemm_flops_per_s: Of a matrix product; the better of one before and one after the rest.
    """

    bare_images_per_s: float
    loop_images_per_s: float
    input_images_per_s: float
    evaluation_s: float
    gemm_flops_per_s: float


@dataclass(frozen=True)
class LoopBenchmark:
    """What all rounds gave.

    Attributes:
        recipe: Its name.
        batch: Images a step.
        epoch_images: Images of an epoch's steps.
        flops_per_image: Counted; forward and both gradients.
        rounds: The measurements.
    """

    recipe: str
    batch: int
    epoch_images: int
    flops_per_image: float
    rounds: tuple[LoopRound, ...]

    def over_bare(self) -> Ratio:
        """The loop's rate over the bare step's."""
        return Ratio.of(self._each("bare_images_per_s"), self._each("loop_images_per_s"))

    def input_over_bare(self) -> Ratio:
        """The rate of the input alone over the bare step's."""
        return Ratio.of(self._each("bare_images_per_s"), self._each("input_images_per_s"))

    def evaluation_share(self) -> MedianRange:
        """Time of an evaluation after each epoch over the time of the epoch's steps."""
        return MedianRange.of(
            [r.evaluation_s * r.loop_images_per_s / self.epoch_images for r in self.rounds]
        )

    def share_of_gemm_peak(self) -> MedianRange:
        """Of the loop."""
        return MedianRange.of(
            [r.loop_images_per_s * self.flops_per_image / r.gemm_flops_per_s for r in self.rounds]
        )

    def _each(self, name: str) -> list[float]:
        return [getattr(one, name) for one in self.rounds]

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        measured = {
            name: MedianRange.of(self._each(name)).document()
            for name in LoopRound.__dataclass_fields__
        }
        return {
            "benchmark": "loop",
            "recipe": self.recipe,
            "batch": self.batch,
            "rounds": len(self.rounds),
            **measured,
            "loop_over_bare": self.over_bare().document(),
            "input_over_bare": self.input_over_bare().document(),
            "evaluation_share_of_training": self.evaluation_share().document(),
            "share_of_gemm_peak": self.share_of_gemm_peak().document(),
        }

    def text(self) -> str:
        """For a person; a range in brackets is a 95 % interval."""
        lines = [f"{self.recipe}, batch {self.batch}, {len(self.rounds)} rounds"]
        for title, name in (
            ("bare compiled step", "bare_images_per_s"),
            ("whole training loop", "loop_images_per_s"),
            ("input alone", "input_images_per_s"),
        ):
            rate = MedianRange.of(self._each(name))
            spread = f"({rate.low:,.1f} to {rate.high:,.1f})"
            lines.append(f"{title:24}{rate.median:12,.1f} images/s  {spread}")
        evaluation_s, share = MedianRange.of(self._each("evaluation_s")), self.evaluation_share()
        part = f"({100 * share.median:.1f} % of an epoch's steps)"
        return "\n".join(
            [
                *lines,
                f"{'loop over bare step':24}{self.over_bare().text():>12}",
                f"{'input over bare step':24}{self.input_over_bare().text():>12}",
                f"{'loop, of the GEMM peak':24}{100 * self.share_of_gemm_peak().median:10.0f} %",
                f"{'one evaluation':24}{evaluation_s.median:10.2f} s  {part}",
            ]
        )


def bench_loop(
    recipe: Recipe,
    folder: Path,
    *,
    rounds: int = ROUNDS,
    steps: int = STEPS,
    now: Now = time.perf_counter,
    say: Say = lambda _text: None,
) -> LoopBenchmark:
    """Measure a recipe's training on its data; the process is pinned already.

    Args:
        recipe: What is trained.
        folder: Its data set.
        rounds: Repetitions, the parts in alternation.
        steps: Steps of each part in each round.
        now: The clock, in seconds.
        say: Called after each round.

    Raises:
        DataError: the folder is no data set, or an image is missing or damaged.
        RecipeError: the recipe does not fit the data.
    """
    from harness.data.compatibility import check_input
    from harness.data.opening import open_dataset

    with tempfile.TemporaryDirectory() as scratch:
        data = open_dataset(folder, manifests=Path(scratch) / "manifests")
        check_input(recipe, data.train, data.val)
        with measurement(recipe, data, Path(scratch), steps, now) as measure:
            measured = []
            for number in range(rounds):
                measured.append(measure.round())
                say(f"round {number + 1} of {rounds}: {measured[-1]}")
        return LoopBenchmark(
            recipe=recipe.name,
            batch=recipe.batch,
            epoch_images=recipe.steps_in_epoch(len(data.train)) * recipe.batch,
            flops_per_image=measure.flops_per_image,
            rounds=tuple(measured),
        )


@dataclass
class LoopMeasurement:
    """The parts, each ready to be timed; everything is compiled."""

    recipe: Recipe
    steps: int
    now: Now
    flops_per_image: float
    bare: Callable[[], None]
    loop: Callable[[], None]
    batches: Callable[[int], None]
    evaluate: Callable[[], None]

    def round(self) -> LoopRound:
        """Each part once."""
        import tensorflow as tf

        from harness.bench.input import WARM_UP_BATCHES
        from harness.measure.peaks import measure_gemm

        dtype = tf.as_dtype(self.recipe.precision.compute)
        gemm = partial(measure_gemm, seconds=GEMM_S, dtype=dtype, now=self.now)
        before = gemm()
        images = self.steps * self.recipe.batch
        bare, loop = (images / self._seconds(part) for part in (self.bare, self.loop))
        self.batches(WARM_UP_BATCHES)  # made while the others ran
        batches = images / self._seconds(partial(self.batches, self.steps))
        return LoopRound(bare, loop, batches, self._seconds(self.evaluate), max(before, gemm()))

    def _seconds(self, part: Callable[[], None]) -> float:
        begun = self.now()
        part()
        return self.now() - begun


@contextmanager
def measurement(
    recipe: Recipe, data: "DataSet", scratch: Path, steps: int, now: Now
) -> Iterator[LoopMeasurement]:
    """Build network, steps, pipelines and journal, and take each part once for compilation."""
    from harness.bench.input import drop
    from harness.distributed.devices import open_devices
    from harness.measure.operations import multiply_adds, training_flops
    from harness.record.journal import JournalWriter
    from harness.runner.initial_model import initial_network
    from harness.runner.recorder import Recorder
    from harness.training.batches import recipe_batches
    from harness.training.state import create_state
    from harness.training.step import build_step

    devices = open_devices()
    model = initial_network(recipe, recipe.model.classes or len(data.classes), seed=0)
    forward, frozen = multiply_adds(model, recipe.model.image_size), recipe.model.trunk_is_frozen
    state = create_state(model, float16=recipe.precision.compute == "float16")
    bare = build_step(state, recipe, devices.strategy, fingerprints=False)
    whole = build_step(state, recipe, devices.strategy)
    stream, alone = (
        recipe_batches(recipe, data.train, devices, seed=0, first=0, end=ENDLESS_STEPS)
        for _ in range(2)
    )
    with closing(stream), closing(alone), JournalWriter(scratch / "journal.jsonl") as journal:
        recorder = Recorder(journal, lambda _event: None)
        made = LoopMeasurement(
            recipe=recipe,
            steps=steps,
            now=now,
            flops_per_image=float(training_flops(forward, 1, trunk_is_frozen=frozen)),
            bare=_bare(bare, next(stream), steps),
            loop=_loop(whole, stream, recipe, recorder, steps, asynchronous=devices.asynchronous),
            batches=partial(drop, alone),
            evaluate=_evaluation(model, data, recipe, recorder, scratch),
        )
        for part in (made.bare, made.loop, partial(made.batches, steps), made.evaluate):
            part()
        yield made


def _bare(step: Callable[..., Any], batch: Any, steps: int) -> Callable[[], None]:
    import tensorflow as tf

    rate = tf.constant(RATE)

    def run() -> None:
        outputs = [step(batch["image"], batch["label"], rate) for _ in range(steps)]
        outputs[-1].loss.numpy()

    return run


def _loop(
    step: Callable[..., Any],
    stream: Iterator[Any],
    recipe: Recipe,
    recorder: "Recorder",
    steps: int,
    *,
    asynchronous: bool,
) -> Callable[[], None]:
    """The loop of a run: windows into journal and display; no checkpoints, no evaluations."""
    from harness.preflight.time_left import time_left
    from harness.progress import Progress, Work
    from harness.training.loop import Hooks, LoopPlan, train

    phases = (Phase(epochs=1, rate=Constant(rate=RATE)),)
    progress = Progress(stream=io.StringIO(), terminal=False)
    starts = itertools.count(0, steps)
    left = time_left(
        recipe, 1, None, None, steps_per_epoch=ENDLESS_STEPS, last_step=ENDLESS_STEPS,
        asynchronous=asynchronous,
    )  # fmt: skip

    def window(one: Steps, work: Work) -> None:
        recorder.record(one)
        left.window_done(one, work, None)

    def hooks(work: Work) -> Hooks:
        return Hooks(
            on_window=lambda one: window(one, work),
            on_checkpoint=lambda _step: None,
            on_epoch=lambda _step: None,
            reset_momentum=lambda: None,
            stop_requested=lambda _step: False,
        )

    def run() -> None:
        first = next(starts)
        plan = LoopPlan(
            first_step=first,
            last_step=first + steps,
            total_steps=ENDLESS_STEPS,
            steps_per_epoch=ENDLESS_STEPS,
            checkpoint_every=ENDLESS_STEPS,
            recorded_step=0,
        )
        with progress.work("training", total=ENDLESS_STEPS, lately=1, every_s=30) as work:
            train(
                step, stream, phases, plan, hooks(work), images_per_step=recipe.batch,
                asynchronous=asynchronous,
            )  # fmt: skip

    return run


def _evaluation(
    model: Any, data: "DataSet", recipe: Recipe, recorder: "Recorder", scratch: Path
) -> Callable[[], None]:
    """An epoch's evaluation as a run makes it."""
    from harness.record.run_folder import RunFolder
    from harness.runner.evaluator import RunEvaluator

    evaluator = RunEvaluator(
        model=model,
        data=data,
        folder=RunFolder(scratch),
        recorder=recorder,
        steps_per_epoch=recipe.steps_in_epoch(len(data.train)),
        total_steps=ENDLESS_STEPS,
        limit=None,
        recorded=[],
        stop_if_asked=lambda _step: None,
        look_at=lambda _step, _predictions: None,
    )
    numbers = itertools.count()
    return lambda: evaluator.evaluate(next(numbers), (recipe.epoch_protocol,))
