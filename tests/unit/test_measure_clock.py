"""Laps without pauses, on a clock that the test turns itself."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.clock import Clock, summarise


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += seconds


def test_pauses_are_in_no_lap_and_are_kept_by_kind() -> None:
    hands = Hands()
    clock = Clock(hands)
    clock.start()
    hands.move(2)
    with clock.pause("checkpoint"):
        hands.move(10)
    hands.move(1)
    assert clock.lap() == 3
    hands.move(4)
    assert clock.lap() == 4
    with clock.pause("evaluation"):
        hands.move(50)
    with clock.pause("checkpoint"):
        hands.move(5)
    assert clock.lap() == 0
    assert clock.pauses_s == {"checkpoint": 15, "evaluation": 50}


def test_a_pause_that_raises_is_still_a_pause() -> None:
    hands = Hands()
    clock = Clock(hands)
    clock.start()

    def fill_disk() -> None:
        with clock.pause("checkpoint"):
            hands.move(3)
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        fill_disk()
    assert clock.lap() == 0


def test_a_lap_needs_a_start() -> None:
    with pytest.raises(RuntimeError, match="start"):
        Clock(Hands()).lap()


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 100)),
        min_size=1,
        max_size=30,
    )
)
def test_laps_and_pauses_add_up_to_the_whole_time(parts: list[tuple[float, float]]) -> None:
    hands = Hands()
    clock = Clock(hands)
    clock.start()
    for work, pause in parts:
        hands.move(work)
        with clock.pause("evaluation"):
            hands.move(pause)
        clock.lap()
    assert sum(clock.laps_s) == pytest.approx(sum(work for work, _ in parts), abs=1e-9)
    assert clock.pauses_s["evaluation"] == pytest.approx(sum(p for _, p in parts), abs=1e-9)


def test_summary_counts_only_steps_without_compilation() -> None:
    times = [30.0, *([0.5] * 98), 1.5]
    summary = summarise(
        times, images_per_step=32, data_wait_s=[9.0] + [0.05] * 99, apart=(0,), pauses_s={"x": 1.0}
    )
    assert summary is not None
    assert summary.steps == 99
    assert summary.compile_s == 30.0
    assert summary.median_s == 0.5
    assert summary.p99_s == pytest.approx(np.percentile(times[1:], 99))
    assert summary.images_per_s == pytest.approx(32 * 99 / 50.5)
    assert summary.data_wait_share == pytest.approx(99 * 0.05 / 50.5)
    assert summary.pauses_s == {"x": 1.0}


def test_nothing_counted_is_no_summary() -> None:
    assert summarise([3.0], images_per_step=1, apart=(0,)) is None


def test_reading_the_clock_costs_next_to_nothing() -> None:
    clock = Clock(time.perf_counter)
    clock.start()
    for _ in range(10_000):
        clock.lap()
    # 0.5 % of a fast GPU step of 50 ms is 250 microseconds.
    assert float(np.median(clock.laps_s)) < 25e-6
