"""Quantities of steps: from columns of windows to values of steps, of windows, and words."""

import numpy as np
import pytest

from harness.record.quantities import QUANTITIES, StepSeries
from harness.record.schema import STEP_COLUMNS, Steps
from tests.sample_events import window_of


def window(first: int, **changes: object) -> Steps:
    values: dict[str, object] = {
        "step_time_s": (4.0, 0.5),
        "data_wait_s": (1.0, 0.25),
        "loss": (3.0, 1.0),
        "learning_rate": (0.5, 0.25),
        "gradient_norm": 2.0,
        "correct": (0, 4),
        "images": 8,
        "compiled": (first,),
    }
    return window_of(first, 2, **{**values, **changes})


def test_columns_are_the_measurements_of_an_event() -> None:
    assert STEP_COLUMNS[:7] == (
        "step_time_s", "data_wait_s", "loss", "learning_rate", "gradient_norm", "correct", "images",
    )  # fmt: skip
    assert not {"step", "compiled", "fingerprint", "batch_fingerprint"} & set(STEP_COLUMNS)


def test_windows_are_joined() -> None:
    steps = StepSeries.of((window(6), window(8, compiled=())))
    assert len(steps) == 4
    assert steps["loss"].tolist() == [3.0, 1.0, 3.0, 1.0]
    assert steps.timed.tolist() == [False, True, True, True]
    assert len(StepSeries.of(())) == 0


@pytest.mark.parametrize(
    ("name", "per_step", "per_window", "words"),
    [
        ("step_time_s", [4.0, 0.5], {"median": 0.5, "p99": 0.5}, ""),
        ("data_wait_s", [1.0, 0.25], {}, ""),
        ("loss", [3.0, 1.0], {"": 2.0}, "loss 2.0000"),
        ("learning_rate", [0.5, 0.25], {"": 0.25}, "learning rate 0.25"),
        ("images_per_s", [2.0, 16.0], {"": 16.0}, "16.0 images/s"),
        ("data_wait_share", [0.25, 0.5], {"": 0.5}, "data wait 50.0%"),
        ("gradient_norm", [2.0, 2.0], {}, ""),
        ("train_accuracy", [0.0, 0.5], {"": 0.25}, ""),
    ],
)
def test_each_quantity(
    name: str, per_step: list[float], per_window: dict[str, float], words: str
) -> None:
    (quantity,) = (one for one in QUANTITIES if one.name == name)
    steps = StepSeries.of((window(0),))
    values = quantity.per_step(steps)
    assert values is not None
    assert values.tolist() == per_step
    assert {suffix: of(steps) for suffix, of in quantity.per_window.items()} == per_window
    assert quantity.text(steps) == words


def test_what_a_window_of_compilation_has_no_value_of_is_left_out() -> None:
    steps = StepSeries.of((window(0, compiled=(0, 1)),))
    found = {one.name: one.text(steps) for one in QUANTITIES}
    assert found["images_per_s"] == found["data_wait_share"] == ""
    assert found["loss"] == "loss 2.0000"


def test_a_column_that_a_journal_lacks_gives_no_value() -> None:
    steps = StepSeries.of((window(0),))
    (norm,) = (one for one in QUANTITIES if one.name == "gradient_norm")
    without = {name: column for name, column in steps.columns.items() if name != "gradient_norm"}
    assert norm.per_step(StepSeries(steps.step, without, steps.compiled)) is None


def test_a_step_that_took_no_time_has_no_rate() -> None:
    steps = StepSeries.of((window(0, step_time_s=(0.0, 0.5)),))
    (rate,) = (one for one in QUANTITIES if one.name == "images_per_s")
    values = rate.per_step(steps)
    assert values is not None
    assert np.isnan(values[0])
