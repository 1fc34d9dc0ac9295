"""The watch over a young run: warned once for each finding, stopped only on request."""

import math
from pathlib import Path

import pytest

from harness.record.schema import Steps
from harness.runner.early_curve import TOPIC, CurveWatch, UnusualCurveError, open_watch
from harness.verdict.early import EarlyGate


def window(first: int, losses: list[float]) -> Steps:
    n = len(losses)
    return Steps(
        time_s=0.0,
        step=tuple(range(first, first + n)),
        step_time_s=(0.1,) * n,
        data_wait_s=(0.0,) * n,
        loss=tuple(losses),
        learning_rate=(0.1,) * n,
        gradient_norm=(1.0,) * n,
        correct=(1,) * n,
        images=(10,) * n,
        fingerprint=("0" * 16,) * n,
    )


def watch(told: list[tuple[str, str]], *, stop: bool = False) -> CurveWatch:
    gate = EarlyGate(None, classes=10, steps_total=200)
    return CurveWatch(
        gate, stop, lambda topic, text: told.append((topic, text)), Path("runs/seed-1")
    )


def test_an_expected_curve_is_silent() -> None:
    told: list[tuple[str, str]] = []
    seen = watch(told)
    for first in range(0, 200, 50):
        seen.see(window(first, [math.log(10) * (1 - first / 400)] * 50))
    assert told == []


def test_each_finding_is_told_once_and_says_what_it_is_compared_with() -> None:
    told: list[tuple[str, str]] = []
    seen = watch(told)
    for first in range(0, 200, 50):
        seen.see(window(first, [9.0] * 50))
    assert [topic for topic, _ in told] == [TOPIC, TOPIC]
    assert "ln(10), 30 % of it) 9, expected" in told[0][1], "a deviation from 10 % is said"
    assert "absolute check" in told[0][1]
    assert "has not fallen" in told[1][1]


def test_a_stop_on_request_names_step_and_remedy() -> None:
    told: list[tuple[str, str]] = []
    with pytest.raises(UnusualCurveError, match="stopped after step 49") as caught:
        watch(told, stop=True).see(window(0, [9.0] * 50))
    assert caught.value.exit_code == 3
    assert "--stop-when-unusual" in str(caught.value)
    assert len(told) == 1


def test_what_was_told_before_an_interruption_is_not_told_again(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    seen = open_watch(
        tmp_path,
        (window(0, [9.0] * 50),),
        seed=1,
        recipe_digest="a" * 64,
        root_digest="b" * 64,
        classes=10,
        steps_total=200,
        stop=True,
        warn=lambda topic, text: told.append((topic, text)),
    )
    seen.see(window(50, [3.0] * 50))
    assert told == []


def test_a_recipe_too_short_for_windows_is_not_watched(tmp_path: Path) -> None:
    seen = open_watch(
        tmp_path,
        (),
        seed=1,
        recipe_digest="a" * 64,
        root_digest="b" * 64,
        classes=10,
        steps_total=5,
        stop=True,
        warn=pytest.fail,
    )
    assert seen.gate is None
    seen.see(window(0, [9.0] * 5))
