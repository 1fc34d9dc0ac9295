"""What is measured of training steps: each quantity declared once, for the mirror and the display.

A column is a field of `Steps`, which the journal keeps. A quantity follows from columns. To add
one: a field of `Steps` if it is measured and not derived, and an entry of `QUANTITIES`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.record.epoch_sums import EpochSums
from harness.record.schema import STEP_COLUMNS, Steps
from harness.record.step_times import StepTimes, summarise


@dataclass(frozen=True)
class StepSeries:
    """Steps in order as arrays.

    Attributes:
        step: int64 [n], from 0; an excerpt of a journal leaves steps out.
        columns: By field of `Steps`, float64 [n]; a loss may be no finite number. A field
            that the journal lacks has none.
        compiled: bool [n], the step's time holds compilation.
    """

    step: np.ndarray
    columns: Mapping[str, np.ndarray]
    compiled: np.ndarray

    @classmethod
    def of(cls, windows: Sequence[Steps]) -> "StepSeries":
        """The steps of windows in order."""
        step = np.concatenate([np.empty(0, np.int64), *(window.step for window in windows)])
        columns = {
            name: np.concatenate([np.empty(0), *(getattr(window, name) for window in windows)])
            for name in STEP_COLUMNS
            if all(getattr(window, name) is not None for window in windows)
        }
        compiled = [step for window in windows for step in window.compiled]
        return cls(step, columns, np.isin(step, compiled))

    def __getitem__(self, name: str) -> np.ndarray:
        """The column of this name."""
        return self.columns[name]

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.compiled)

    @property
    def end_step(self) -> int:
        """Steps done after the last one."""
        return int(self.step[-1]) + 1 if len(self) else 0

    def within(self, first: int, end: int) -> slice:
        """Where the steps from `first` to before `end` are."""
        return slice(*np.searchsorted(self.step, (first, end)))

    @property
    def timed(self) -> np.ndarray:
        """Steps whose time holds no compilation: bool [n]."""
        return ~self.compiled

    @cached_property
    def times(self) -> StepTimes | None:
        """The summary of the timed steps; None where none took time."""
        timed = self.timed
        if not self["step_time_s"][timed].sum() > 0:
            return None
        return summarise(
            self["step_time_s"][timed],
            images=self["images"][timed],
            data_wait_s=self["data_wait_s"][timed],
        )


def epoch_sums(series: StepSeries, steps_per_epoch: int) -> tuple[EpochSums, ...]:
    """What the steps of each epoch give together, in order; `series` lacks no step."""
    found = []
    for first in range(0, series.end_step, steps_per_epoch):
        part = series.within(first, first + steps_per_epoch)
        loss = series["loss"][part]
        found.append(
            EpochSums(
                steps=loss.size,
                images=int(series["images"][part].sum()),
                correct=int(series["correct"][part].sum()),
                loss=float(loss.mean()),
                least_loss=float(loss.min()),
                greatest_loss=float(loss.max()),
                learning_rate=float(series["learning_rate"][part][-1]),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Quantity:
    """One quantity of training steps.

    Attributes:
        name: Its key in MLflow, with the unit; in a window `name/suffix`.
        per_step: float64 [n], its value at each step, not a number where it has none; None
            where the journal lacks it.
        per_window: Its values over several steps, by suffix, "" for none; None where a
            window has no such value.
        shown: How a person sees the value of a window, as a format; "" where not at all.
    """

    name: str
    per_step: Callable[[StepSeries], np.ndarray | None]
    per_window: Mapping[str, Callable[[StepSeries], float | None]] = field(default_factory=dict)
    shown: str = ""

    def text(self, steps: StepSeries) -> str:
        """What a display shows of these steps; empty where there is nothing to show."""
        value = self.per_window[""](steps) if self.shown else None
        return "" if value is None else self.shown.format(value)


def _column(name: str) -> Callable[[StepSeries], np.ndarray | None]:
    return lambda steps: steps.columns.get(name)


def _ratio(above: str, below: str) -> Callable[[StepSeries], np.ndarray]:
    def ratio(steps: StepSeries) -> np.ndarray:
        divisor = steps[below]
        found = np.full(len(steps), np.nan)
        np.divide(steps[above], divisor, out=found, where=divisor > 0)
        return found

    return ratio


def _of_times(pick: Callable[[StepTimes], float | None]) -> Callable[[StepSeries], float | None]:
    return lambda steps: None if steps.times is None else pick(steps.times)


QUANTITIES = (
    Quantity(
        "step_time_s",
        _column("step_time_s"),
        {
            "median": _of_times(lambda times: times.median_s),
            "p99": _of_times(lambda times: times.p99_s),
        },
    ),
    Quantity("data_wait_s", _column("data_wait_s")),
    Quantity(
        "loss",
        _column("loss"),
        {"": lambda steps: float(steps["loss"].mean())},
        "loss {:.4f}",
    ),
    Quantity(
        "learning_rate",
        _column("learning_rate"),
        {"": lambda steps: float(steps["learning_rate"][-1])},
        "learning rate {:.3g}",
    ),
    Quantity(
        "images_per_s",
        _ratio("images", "step_time_s"),
        {"": _of_times(lambda times: times.images_per_s)},
        "{:,.1f} images/s",
    ),
    Quantity(
        "data_wait_share",
        _ratio("data_wait_s", "step_time_s"),
        {"": _of_times(lambda times: times.data_wait_share)},
        "data wait {:.1%}",
    ),
    Quantity("gradient_norm", _column("gradient_norm")),
    Quantity(
        "train_accuracy",
        _ratio("correct", "images"),
        {"": lambda steps: float(steps["correct"].sum() / steps["images"].sum())},
    ),
)
