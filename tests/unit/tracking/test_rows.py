import math

import pytest

from harness.record.schema import Interrupted, RunFinished, Steps
from harness.tracking.rows import (
    PARAM_CHARACTERS,
    STEP_KEYS,
    TAG_CHARACTERS,
    WINDOW_KEYS,
    EqualWindows,
    end_status,
    evaluation_rows,
    facts_tag,
    params,
    start_facts,
    start_tags,
    step_rows,
    window_rows,
)
from tests.record_samples import SampleRun, evaluation, started, windows
from tests.sample_events import window_of

RUN = SampleRun()


def window(**changes: object) -> Steps:
    values: dict[str, object] = {
        "time_s": 1000.0,
        "step_time_s": (9.0, 0.1, 0.2, 0.3),
        "data_wait_s": (1.0, 0.0, 0.03, 0.03),
        "loss": (4.0, 3.0, 2.0, 1.0),
        "learning_rate": (0.1, 0.2, 0.3, 0.4),
        "correct": (0, 8, 8, 16),
        "compiled": (10,),
    }
    return window_of(10, 4, **{**values, **changes})


def test_a_window_leaves_compilation_out_of_times_but_not_out_of_the_loss() -> None:
    rows = {row.key: row.value for row in window_rows(window())}
    assert rows == {
        "loss": 2.5,
        "learning_rate": 0.4,
        "train_accuracy": 32 / 128,
        "step_time_s/median": pytest.approx(0.2),
        "step_time_s/p99": pytest.approx(0.298),
        "images_per_s": pytest.approx(96 / 0.6),
        "data_wait_share": pytest.approx(0.1),
    }
    assert set(rows) == set(WINDOW_KEYS)


def test_a_window_of_compilation_only_has_no_times() -> None:
    keys = {row.key for row in window_rows(window(compiled=(10, 11, 12, 13)))}
    assert keys == {"loss", "learning_rate", "train_accuracy"}


def test_rows_lie_at_the_number_of_steps_done_and_at_the_events_time() -> None:
    assert {(row.timestamp_ms, row.step) for row in window_rows(window())} == {(1_000_000, 14)}


def test_losses_that_are_not_finite_are_counted() -> None:
    rows = {row.key: row.value for row in window_rows(window(loss=(1.0, math.nan, math.inf, 1.0)))}
    assert rows["non_finite_steps"] == 2
    assert math.isnan(rows["loss"])


def cut(lengths: list[int]) -> list[Steps]:
    """One run's steps as events of these lengths."""
    events, begin = [], 0
    for length in lengths:
        numbers = range(begin, begin + length)
        times = {"time_s": float(begin + length), "step_time_s": 1.0, "data_wait_s": 1.0}
        events.append(window_of(begin, length, **times, loss=numbers, learning_rate=numbers))
        begin += length
    return events


@pytest.mark.parametrize(
    "lengths", [[40], [10, 10, 10, 10], [1] * 40, [7, 20, 13], [25, 15], [3, 37]]
)
@pytest.mark.parametrize("done", [0, 10, 30])
def test_windows_are_equal_however_the_events_were_cut(lengths: list[int], done: int) -> None:
    windows_ = EqualWindows(10, done)
    found = [one for event in cut(lengths) for one in windows_.add(event)]
    firsts = range(done, 40, 10)
    assert [one.step for one in found] == [tuple(range(i, i + 10)) for i in firsts]
    assert [one.loss for one in found] == [one.step for one in found]
    assert [one.time_s for one in found] == [i + 10.0 for i in firsts]
    assert windows_.done == 40
    assert list(windows_.rest()) == []


def test_steps_that_are_handed_over_twice_count_once() -> None:
    """A journal that was caught up with may hold an event that waits to be sent as well."""
    windows_ = EqualWindows(10, 0)
    first, second, third = cut([7, 6, 7])
    found = [one for event in (first, first, second, second, third) for one in windows_.add(event)]
    assert [one.step for one in found] == [tuple(range(10)), tuple(range(10, 20))]


@pytest.mark.parametrize(("steps", "rests"), [(3, 1), (12, 0), (15, 1)])
def test_a_small_part_of_a_window_is_left_out_unless_it_is_all(steps: int, rests: int) -> None:
    windows_ = EqualWindows(10, 0)
    for event in cut([steps]):
        list(windows_.add(event))
    assert len(list(windows_.rest())) == rests


def test_every_step_has_its_own_time_of_day() -> None:
    rows = list(step_rows(window()))
    keys = {row.key for row in rows}
    assert keys <= set(STEP_KEYS)
    assert len(rows) == 4 * len(keys)
    stamps = {row.step: row.timestamp_ms for row in rows}
    assert stamps == {11: 999_400, 12: 999_500, 13: 999_700, 14: 1_000_000}
    shares = [row.value for row in rows if row.key == "every_step/data_wait_share"]
    assert shares == pytest.approx([1 / 9, 0.0, 0.15, 0.1])


def test_the_same_event_gives_the_same_rows() -> None:
    first, again = (list(windows(RUN)) for _ in range(2))
    assert [window_rows(e) for e in first] == [window_rows(e) for e in again]


def test_an_evaluation_has_its_protocol_in_the_key() -> None:
    ten = RUN.recipe.final_protocols[1]
    event = evaluation(RUN, 240, ten, final=True, correct=150, file=None)
    rows = {row.key: row.value for row in evaluation_rows(event)}
    assert rows["ten_crop/top1_accuracy"] == 0.75
    assert rows["ten_crop/top5_accuracy"] == 0.76
    assert rows["top1_accuracy"] == 0.75


def test_an_evaluation_of_a_part_is_another_metric() -> None:
    ten = RUN.recipe.final_protocols[1]
    event = evaluation(RUN, 240, ten, final=True, correct=150, file=None)
    part = event.model_copy(update={"images_in_split": 50_000})
    keys = [row.key for row in evaluation_rows(part)]
    assert keys[0] == "ten_crop/200_images/top1_accuracy"
    assert "top1_accuracy" not in keys


def test_at_most_forty_keys() -> None:
    assert len(WINDOW_KEYS) + len(STEP_KEYS) + 3 * 5 + 1 <= 40


def test_params_are_the_flat_recipe_without_notes() -> None:
    flat = params(started(RUN))
    assert flat["recipe.phases.1.rate.kind"] == "cosine"
    assert flat["recipe.optimizer.momentum"] == "0.9"
    assert flat["recipe.augmentation.short_side"] == str(list(RUN.recipe.augmentation.short_side))
    assert flat["seed"] == "1"
    assert not any("notes" in key for key in flat)
    assert all(len(value) <= PARAM_CHARACTERS and len(key) <= 250 for key, value in flat.items())


def test_an_unknown_commit_is_said() -> None:
    event = started(RUN).model_copy(update={"git_commit": None, "git_dirty": None})
    assert start_tags(event)["mlflow.source.git.commit"] == "unknown"
    assert start_facts(event)["git_dirty"] == "unknown"


def test_facts_fit_into_one_tag() -> None:
    facts = {f"fact {i}": "word " * 500 for i in range(11)}
    assert len(facts_tag(facts)["harness"]) <= TAG_CHARACTERS


@pytest.mark.parametrize(
    ("status", "expected"),
    [("completed", "FINISHED"), ("diverged", "FAILED"), ("stopped", "KILLED")],
)
def test_an_end_is_shown_as_what_it_was(status: str, expected: str) -> None:
    event = RunFinished.model_validate(
        {"time_s": 0.0, "step": 7, "status": status, "weights_fingerprint": None}
    )
    assert end_status(event)[0] == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("signal", "KILLED"),
        ("steps_limit", "FINISHED"),
        ("worker_lost", "FAILED"),
        ("gate", "KILLED"),
        ("error", "FAILED"),
    ],
)
def test_an_interruption_is_finished_only_where_it_was_asked_for(
    reason: str, expected: str
) -> None:
    event = Interrupted.model_validate(
        {"time_s": 0.0, "step": 7, "reason": reason, "detail": "by a test"}
    )
    status, short, words = end_status(event)
    assert status == expected
    assert (short == "stopped at --steps") == (reason == "steps_limit")
    assert "step 7" in words
    assert "by a test" in words
