"""What the harness costs around the step, and whether that grows with the length of a run.

The bare loop calls a step without fingerprints on one batch that stays in
memory. The harness' loop calls the real step and feeds clock, journal, progress
and a mirror to SQLite. Both train the same variables, in alternation.
"""

import io
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import tensorflow as tf
from pytest_benchmark.fixture import BenchmarkFixture

from harness.models.build import build_model
from harness.numerics.fingerprint import step_fingerprints
from harness.preflight.time_left import time_left
from harness.progress import Progress
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Constant, Phase
from harness.recipes.smoke import SMOKE
from harness.record.journal import JournalWriter
from harness.record.schema import Steps
from harness.runner.recorder import Recorder
from harness.tracking.mirror import default_tracking_uri, open_mirror
from harness.training.loop import Hooks, LoopPlan, train
from harness.training.state import TrainState, create_state
from harness.training.step import StepFunction, build_step
from tests.record_samples import SampleRun, started
from tests.stub_steps import stub_step

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # SQLAlchemy 2.1 under MLflow 3.17
)
BATCH = 32
ROUNDS = 5
STEPS = 4
MOST = 0.02
MOST_FINGERPRINT = 0.01
LONG = 50_000
PHASES = (Phase(epochs=1, rate=Constant(rate=1e-3)),)


@contextmanager
def records(folder: Path) -> Iterator[Callable[[Steps], None]]:
    """Journal, mirror and progress as in a run; yields what takes a window."""
    run = SampleRun(steps=LONG)
    folder.mkdir(parents=True)
    stream = io.StringIO()
    with (
        JournalWriter(folder / "journal.jsonl") as journal,
        Progress(stream=stream, terminal=False) as progress,
        progress.work("training", total=LONG, lately=1, every_s=30) as work,
    ):
        journal.append(started(run))
        mirror = open_mirror(
            tracking_uri=default_tracking_uri(folder.parent), run_dir=folder, study="overhead"
        )
        recorder = Recorder(journal, mirror.publish)
        left = time_left(
            SMOKE, 1, None, None, steps_per_epoch=LONG, last_step=LONG, asynchronous=False
        )

        def take(window: Steps) -> None:
            recorder.record(window)
            left.window_done(window, work, None)

        yield take
        outcome = mirror.close(120.0)
        assert outcome.complete, outcome.reason


def loop(step: StepFunction, batch: dict[str, Any], first: int, last: int, take: Any) -> None:
    """The harness' own loop over steps `first` to `last`."""
    plan = LoopPlan(
        first_step=first, last_step=last, total_steps=LONG, steps_per_epoch=LONG,
        checkpoint_every=LONG, recorded_step=0,
    )  # fmt: skip
    hooks = Hooks(
        on_window=take,
        on_checkpoint=lambda _: None,
        on_epoch=lambda _: None,
        reset_momentum=lambda: None,
        stop_requested=lambda _: False,
    )
    train(step, itertools.repeat(batch), PHASES, plan, hooks, images_per_step=BATCH)


@dataclass(frozen=True)
class Compiled:
    """ResNet-50 v2, 224 px, batch 32, compiled: with fingerprints, and bare without."""

    state: TrainState
    whole: StepFunction
    bare: StepFunction
    batch: dict[str, Any]
    rate: tf.Tensor


@pytest.fixture(scope="module")
def steps() -> Compiled:
    recipe = APM5_RESNET50.model_copy(update={"batch": BATCH})
    state = create_state(build_model(recipe.model, classes=1000, seed=0), float16=False)
    strategy = tf.distribute.get_strategy()
    image = tf.random.stateless_normal((BATCH, 224, 224, 3), (0, 0))
    batch = {"image": image, "label": tf.range(BATCH)}
    rate = tf.constant(1e-3)
    whole = build_step(state, recipe, strategy)
    whole(image, batch["label"], rate)
    bare = build_step(state, recipe, strategy, fingerprints=False)
    bare(image, batch["label"], rate)
    return Compiled(state, whole, bare, batch, rate)


@pytest.mark.slow
def test_the_fingerprint_costs_under_one_percent_of_the_step(
    benchmark: BenchmarkFixture, steps: Compiled
) -> None:
    """`step_fingerprints` alone on tensors of the step's shapes, and the step with and without it.

    The bound is on the first: two steps in turns differ by several percent of noise.
    """
    image, label = steps.batch["image"], steps.batch["label"]
    gradients = [tf.identity(v) for v in steps.state.trainable]
    weights = [tf.identity(v) for v in steps.state.weights()]
    times: dict[str, list[float]] = {"bare": [], "whole": [], "marks": []}

    def marks() -> None:
        step_fingerprints(image, label, tf.constant(7.0), gradients, weights).whole.numpy()

    def step(compiled: StepFunction) -> None:
        compiled(image, label, steps.rate).loss.numpy()

    def taken(name: str, work: Callable[..., None], *arguments: Any) -> None:
        begun = time.perf_counter()
        work(*arguments)
        times[name].append(time.perf_counter() - begun)

    def in_turns() -> None:
        taken("bare", step, steps.bare)
        taken("whole", step, steps.whole)
        taken("marks", marks)

    in_turns()
    for series in times.values():
        series.clear()
    benchmark.pedantic(in_turns, rounds=3 * ROUNDS)
    median = {name: statistics.median(series) for name, series in times.items()}
    share = median["marks"] / median["bare"]
    benchmark.extra_info |= times | {
        "share": share,
        "cost_in_turns": median["whole"] / median["bare"] - 1,
    }
    assert share < MOST_FINGERPRINT, median


@pytest.mark.slow
def test_the_harness_costs_under_two_percent_of_the_step(
    benchmark: BenchmarkFixture, tmp_path: Path, steps: Compiled
) -> None:
    """Medians of rounds of a few steps, taken in turns."""
    whole, bare, batch = steps.whole, steps.bare, steps.batch
    times: dict[str, list[float]] = {"bare": [], "harness": []}

    def bare_round() -> None:
        begun = time.perf_counter()
        outputs = [bare(batch["image"], batch["label"], steps.rate) for _ in range(STEPS)]
        outputs[-1].loss.numpy()
        times["bare"].append((time.perf_counter() - begun) / STEPS)

    with records(tmp_path / "seed-1") as take:
        loop(whole, batch, 0, 1, take)
        ends = itertools.count(1, STEPS)

        def harness_round() -> None:
            first = next(ends)
            begun = time.perf_counter()
            loop(whole, batch, first, first + STEPS, take)
            times["harness"].append((time.perf_counter() - begun) / STEPS)

        benchmark.pedantic(harness_round, setup=bare_round, rounds=ROUNDS)
    ratios = [h / b for h, b in zip(times["harness"], times["bare"], strict=True)]
    benchmark.extra_info |= times | {"cost": statistics.median(ratios) - 1, "ratios": ratios}
    assert statistics.median(ratios) - 1 < MOST


@pytest.mark.slow
def test_time_and_memory_of_a_step_do_not_grow(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A step that computes nothing shows what the harness itself does, at its beginning and end."""
    ends: list[float] = []
    memory: list[int] = []
    process = psutil.Process(os.getpid())
    batch = {"image": tf.zeros([1]), "label": tf.zeros([1], tf.int32)}
    with records(tmp_path / "seed-0") as record:
        # The mirror's thread loads MLflow and makes its database meanwhile.
        loop(stub_step, batch, 0, 100, record)
    with records(tmp_path / "seed-1") as record:

        def take(window: Steps) -> None:
            record(window)
            ends.append(time.perf_counter())
            memory.append(process.memory_info().rss)

        benchmark.pedantic(lambda: loop(stub_step, batch, 0, LONG, take), rounds=1)
    window_s = [after - before for before, after in itertools.pairwise(ends)]
    early, late = statistics.median(window_s[4:54]), statistics.median(window_s[-50:])
    benchmark.extra_info |= {
        "early_window_s": early,
        "late_window_s": late,
        "early_rss_bytes": memory[50],
        "late_rss_bytes": memory[-1],
        "steps_per_s": LONG / (ends[-1] - ends[0]),
    }
    # A window of 100 real steps lasts seconds: 2 % of the stub's is far below 2 % of that.
    assert late / early < 1.02
    assert memory[-1] / memory[50] < 1.02
