"""The loop between its edges, with a step that computes nothing and a clock that is told."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from harness.errors import DataError
from harness.recipes.recipe import Constant, Phase
from harness.record.schema import Steps
from harness.training.early_end import preempted
from harness.training.loop import Hooks, LoopPlan, train
from harness.training.schedule import learning_rates
from harness.training.step import StepOutput
from tests.sample_events import window_of
from tests.stub_steps import OUTPUT, stub_step, windows_of

PHASES = (
    Phase(epochs=2, rate=Constant(rate=0.5)),
    Phase(epochs=2, rate=Constant(rate=0.25), reset_momentum=True),
)


@dataclass
class Clock:
    """Seconds that pass only when something is done."""

    time_s: float = 0.0

    def __call__(self) -> float:
        return self.time_s


@dataclass
class Scene:
    """Everything the loop touches; `log` keeps the order of what happened."""

    wait_s: float = 0.25
    step_s: float = 1.0
    stop_after: int | None = None
    data_ends: int | None = None
    losses: dict[int, float] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    log: list[tuple[str, int]] = field(default_factory=list)
    windows: list[Steps] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    phases: tuple[Phase, ...] = PHASES
    join: Callable[[list[int]], list[int]] | None = None

    def batches(self) -> Iterator[dict[str, Any]]:
        while True:
            self.clock.time_s += self.wait_s
            if self.first + len(self.rates) == self.data_ends:
                raise DataError("an image vanished")
            yield {"image": tf.zeros([1]), "label": tf.zeros([1], tf.int32)}

    def step(self, _image: tf.Tensor, _label: tf.Tensor, rate: tf.Tensor) -> StepOutput:
        self.clock.time_s += self.step_s
        number = self.first + len(self.rates)
        self.rates.append(float(rate))
        return OUTPUT._replace(
            loss=tf.constant(self.losses.get(number, 1.0)),
            correct=tf.constant(number),
            fingerprint=tf.constant(number, tf.uint64),
            batch_fingerprint=tf.constant(number + 16, tf.uint64),
        )

    def run(self, plan: LoopPlan, *, asynchronous: bool = False) -> int:
        self.first = plan.first_step
        hooks = Hooks(
            on_window=self._window,
            on_checkpoint=lambda step: self.log.append(("checkpoint", step)),
            on_epoch=lambda step: self.log.append(("epoch", step)),
            reset_momentum=lambda: self.log.append(("reset", self.first + len(self.rates))),
            stop_requested=lambda _done: len(self.rates) == self.stop_after,
            join=self.join,
        )
        return train(
            self.step,
            self.batches(),
            self.phases,
            plan,
            hooks,
            images_per_step=8,
            asynchronous=asynchronous,
            now=self.clock,
        )

    def _window(self, window: Steps) -> None:
        self.windows.append(window)
        self.log.append(("window", window.end_step))


def plan(first: int = 0, last: int = 20, recorded: int = 0, **changes: int) -> LoopPlan:
    values = {"total_steps": 20, "steps_per_epoch": 5, "checkpoint_every": 3, "window_steps": 100}
    return LoopPlan(
        first_step=first, last_step=last, recorded_step=recorded, **{**values, **changes}
    )


def edges(scene: Scene) -> list[int]:
    return [window.end_step for window in scene.windows]


@pytest.mark.parametrize(
    ("the_plan", "expected", "reason"),
    [
        (plan(last=10), [3, 5, 6, 9, 10], "checkpoints and epochs"),
        (plan(last=4), [3, 4], "the last step"),
        (plan(first=4, last=8), [5, 6, 8], "from the middle"),
        (plan(first=3, last=9, recorded=4), [4, 5, 6, 9], "where replaying ends"),
        (plan(last=5, checkpoint_every=100, window_steps=2), [2, 4, 5], "the longest window"),
    ],
)
def test_windows_end_where_something_happens(
    the_plan: LoopPlan, expected: list[int], reason: str
) -> None:
    scene = Scene()
    assert scene.run(the_plan) == the_plan.last_step
    assert edges(scene) == expected, reason


def test_order_of_events_at_an_epochs_end() -> None:
    scene = Scene()
    scene.run(plan(last=11))
    assert scene.log[scene.log.index(("window", 10)) :] == [
        ("window", 10),
        ("checkpoint", 10),
        ("epoch", 10),
        ("reset", 10),
        ("window", 11),
        ("checkpoint", 11),
    ]


def test_momentum_is_reset_again_when_a_run_resumes_at_the_edge() -> None:
    scene = Scene()
    scene.run(plan(first=10, last=12))
    assert scene.log[0] == ("reset", 10)


def test_momentum_is_not_reset_within_a_phase() -> None:
    scene = Scene()
    scene.run(plan(first=11, last=14))
    assert not [entry for entry in scene.log if entry[0] == "reset"]


IN_STEPS = (
    Phase(steps=7, rate=Constant(rate=0.5)),
    Phase(steps=1, rate=Constant(rate=0.25), reset_momentum=True),
    Phase(steps=5, rate=Constant(rate=0.125), reset_momentum=True),
)


@pytest.mark.parametrize(("first", "resets"), [(0, [7, 8]), (6, [7, 8]), (7, [7, 8]), (9, [])])
def test_momentum_is_reset_at_a_phase_that_begins_within_a_window(
    first: int, resets: list[int]
) -> None:
    scene = Scene(phases=IN_STEPS)
    assert scene.run(plan(first=first, last=13, total_steps=13, checkpoint_every=100)) == 13
    assert [step for name, step in scene.log if name == "reset"] == resets
    assert scene.rates == learning_rates(IN_STEPS, 5, first, 13 - first).tolist()


def test_a_training_ends_at_its_last_step_though_no_epoch_does() -> None:
    scene = Scene(phases=IN_STEPS)
    scene.run(plan(last=13, total_steps=13, checkpoint_every=100))
    assert [step for name, step in scene.log if name == "epoch"] == [5, 10]
    assert scene.log[-2:] == [("window", 13), ("checkpoint", 13)]


def test_rates_are_those_of_the_schedule() -> None:
    scene = Scene()
    scene.run(plan(first=7, last=15))
    assert scene.rates == learning_rates(PHASES, 5, 7, 8).tolist()
    assert [r for w in scene.windows for r in w.learning_rate] == scene.rates


def test_a_stop_ends_at_the_next_step_with_a_checkpoint_and_no_evaluation() -> None:
    scene = Scene(stop_after=5)
    assert scene.run(plan(checkpoint_every=100)) == 5
    assert scene.log[-2:] == [("window", 5), ("checkpoint", 5)]


def test_a_stop_within_a_window_keeps_the_steps_done() -> None:
    scene = Scene(stop_after=2)
    assert scene.run(plan(checkpoint_every=100)) == 2
    assert scene.windows[0].correct == (0, 1)
    assert scene.windows[0].fingerprint == ("0" * 16, "0" * 15 + "1")
    assert scene.windows[0].batch_fingerprint == ("0" * 14 + "10", "0" * 14 + "11")
    assert scene.log[-1] == ("checkpoint", 2)


def test_workers_join_their_fingerprints_once_a_window() -> None:
    asked: list[list[int]] = []

    def join(own: list[int]) -> list[int]:
        asked.append(own)
        return [mark + 32 for mark in own]

    scene = Scene(join=join)
    scene.run(plan(last=5))
    assert asked == [[0, 1, 2, 16, 17, 18], [3, 4, 19, 20]]
    assert scene.windows[1].fingerprint == ("0" * 14 + "23", "0" * 14 + "24")
    assert scene.windows[1].batch_fingerprint == ("0" * 14 + "33", "0" * 14 + "34")


@pytest.mark.parametrize("ends", [3, 4])
def test_a_worker_whose_data_fails_asks_for_nothing_more(ends: int) -> None:
    """The others are held in the step that it cannot begin: nobody would answer."""
    asked: list[list[int]] = []
    scene = Scene(data_ends=ends, join=lambda own: asked.append(own) or own)
    with pytest.raises(DataError, match="vanished"):
        scene.run(plan(last=10))
    assert len(asked) == 1
    assert scene.log == [("window", 3), ("checkpoint", 3)]


def test_times_on_the_injected_clock() -> None:
    scene = Scene(wait_s=0.25, step_s=1.0)
    scene.run(plan(last=5, checkpoint_every=100))
    (window,) = scene.windows
    assert window.step_time_s == (1.25,) * 5
    assert window.data_wait_s == (0.25,) * 5
    assert window.compiled == (0,)
    assert window.images == (8,) * 5


def test_only_the_first_step_of_a_process_holds_compilation() -> None:
    scene = Scene()
    scene.run(plan(first=4, last=10))
    assert [window.compiled for window in scene.windows] == [(4,), (), (), ()]


def test_an_asynchronous_device_gets_the_windows_mean_without_the_compiling_step() -> None:
    scene = Scene()
    times = iter([9.0, 1.0, 2.0, 3.0, 2.0])
    plain = scene.step

    def step(image: tf.Tensor, label: tf.Tensor, rate: tf.Tensor) -> StepOutput:
        scene.step_s = next(times)
        return plain(image, label, rate)

    scene.step = step
    scene.run(plan(last=5, checkpoint_every=100), asynchronous=True)
    assert scene.windows[0].step_time_s == (9.25, 2.25, 2.25, 2.25, 2.25)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_found(bad: float) -> None:
    scene = Scene(losses={3: bad})
    scene.run(plan(last=5, checkpoint_every=100))
    (window,) = scene.windows
    assert window.first_not_finite(gradients_may_overflow=False) == 3
    assert window.first_not_finite(gradients_may_overflow=True) == 3


def test_a_gradient_that_overflows_is_forgiven_only_under_loss_scaling() -> None:
    window = window_of(7, 2, gradient_norm=(1.0, np.inf))
    assert window.first_not_finite(gradients_may_overflow=False) == 8
    assert window.first_not_finite(gradients_may_overflow=True) is None


def test_measuring_costs_under_half_a_percent_of_a_fast_step() -> None:
    """All that a window does around its steps, against 0.5 % of a step of 50 ms on a fast GPU.

    The fastest of many windows: other work on the machine only ever slows one down.
    """
    window = windows_of(stub_step, steps=100)
    window()
    took_s = []
    for _ in range(30):
        begun = time.perf_counter()
        window()
        took_s.append(time.perf_counter() - begun)
    assert min(took_s) / 100 < 0.005 * 0.050


@pytest.mark.parametrize(
    ("ends", "first", "log"),
    [
        (0, 0, []),
        (1, 0, [("window", 1), ("checkpoint", 1)]),
        (3, 0, [("window", 3), ("checkpoint", 3)]),
        (4, 0, [("window", 3), ("checkpoint", 3), ("window", 4), ("checkpoint", 4)]),
        (2, 2, []),
    ],
    ids=["the first batch", "the second", "at a checkpoint", "behind one", "the first of a resume"],
)
def test_what_was_computed_before_data_failed_is_kept(
    ends: int, first: int, log: list[tuple[str, int]]
) -> None:
    scene = Scene(data_ends=ends)
    with pytest.raises(DataError, match="vanished"):
        scene.run(plan(first=first, last=10))
    assert scene.log == log


def test_steps_since_the_last_checkpoint_are_kept_where_a_window_has_just_ended() -> None:
    scene = Scene(data_ends=4)
    with pytest.raises(DataError, match="vanished"):
        scene.run(plan(last=5, checkpoint_every=100, window_steps=2))
    assert scene.log == [("window", 2), ("window", 4), ("checkpoint", 4)]


@pytest.mark.parametrize(
    ("command", "words"),
    [(("harness", "run"), "same command:\n    harness run"), ((), "call it again with the same")],
)
def test_a_stop_names_how_to_go_on(tmp_path: Path, command: tuple[str, ...], words: str) -> None:
    assert words in str(preempted(2, 9, "received SIGTERM", tmp_path, command))
