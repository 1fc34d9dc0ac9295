"""The summary of step times against NumPy and arithmetic by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.record.step_times import summarise


def test_a_summary_is_of_all_steps_given() -> None:
    times = [*([0.5] * 98), 1.5]
    summary = summarise(times, images=32, data_wait_s=[0.05] * 99)
    assert summary.steps == 99
    assert summary.median_s == 0.5
    assert summary.p90_s == pytest.approx(np.percentile(times, 90))
    assert summary.p99_s == pytest.approx(np.percentile(times, 99))
    assert summary.longest_s == 1.5
    assert summary.images_per_s == pytest.approx(32 * 99 / 50.5)
    assert summary.data_wait_share == pytest.approx(99 * 0.05 / 50.5)


def test_steps_may_differ_in_images_and_wait_for_nothing() -> None:
    summary = summarise([1.0, 3.0], images=[10, 30])
    assert summary.images_per_s == 10.0
    assert summary.data_wait_share is None
    assert "90th percentile 2.800 s" in summary.text()
    assert "data wait: none" in summary.text()


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=50))
def test_percentiles_are_in_order(times: list[float]) -> None:
    summary = summarise(times, images=1)
    ordered = (summary.median_s, summary.p90_s, summary.p99_s, summary.longest_s)
    assert sorted(ordered) == list(ordered)
    assert min(times) <= summary.median_s


@pytest.mark.parametrize("times", [[], [0.0, 0.0]])
def test_no_time_is_no_summary(times: list[float]) -> None:
    with pytest.raises(RecordError, match="at least one step"):
        summarise(times, images=1)
