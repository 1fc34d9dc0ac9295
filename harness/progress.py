"""What a person sees while a run trains: one live display, or plain lines in a log.

Synopsis:

    with Progress(total_steps=plan.last_step, first_step=plan.first_step) as progress:
        progress.update(step=100, epoch=0.2, loss=6.9, learning_rate=0.01,
                        images_per_s=250.0, data_wait_share=0.02, next_evaluation=10_009)
        progress.note("checkpoint at step 1,000")
"""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

PLAIN_EVERY_S = 30.0
REFRESHES_PER_S = 1.0
"""The display is drawn by a thread of the training process: once a second costs it nothing."""


@dataclass(frozen=True)
class Status:
    """Where a training stands.

    Attributes:
        step: Steps done.
        total_steps: Steps to do in all.
        epoch: Epochs done.
        loss: Mean over the newest window.
        learning_rate: Of the newest step.
        images_per_s: Over the newest window.
        data_wait_share: Fraction of the step time spent waiting for data.
        next_evaluation: Step of the next evaluation, or None.
        left_s: Estimated seconds to the end, pauses so far included; None
            while nothing is known.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    images_per_s: float
    data_wait_share: float
    next_evaluation: int | None
    left_s: float | None

    @property
    def text(self) -> str:
        """One line."""
        parts = [
            f"step {self.step:,} of {self.total_steps:,}",
            f"epoch {self.epoch:.2f}",
            f"loss {self.loss:.4f}",
            f"learning rate {self.learning_rate:.3g}",
            f"{self.images_per_s:,.1f} images/s",
            f"data wait {self.data_wait_share:.1%}",
        ]
        if self.left_s is not None:
            parts.append(f"{duration(self.left_s)} left")
        if self.next_evaluation is not None:
            parts.append(f"next evaluation at step {self.next_evaluation:,}")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


class Progress:
    """Shows a training on a stream; use as a context manager.

    On a terminal it is one live display, elsewhere a plain line every
    `plain_every_s`, the first and the last state included.

    Args:
        total_steps: Steps at which this training ends.
        first_step: Steps done before it began.
        title: What is trained, such as `smoke, seed 1`.
        stream: Where to show it; results go elsewhere.
        plain_every_s: Seconds between plain lines.
        terminal: Whether the stream is one; None asks it.
        now: Monotonic clock in seconds.
    """

    def __init__(
        self,
        *,
        total_steps: int,
        first_step: int = 0,
        title: str = "training",
        stream: TextIO | None = None,
        plain_every_s: float = PLAIN_EVERY_S,
        terminal: bool | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total_steps
        self._first = first_step
        self._title = title
        self._stream = sys.stderr if stream is None else stream
        self._every_s = plain_every_s
        self._now = now
        self._begun_s = now()
        self._next_line_s = self._begun_s
        self._unshown: Status | None = None
        live = self._stream.isatty() if terminal is None else terminal
        self._live = _Live(self._stream, title, total_steps, first_step) if live else None

    def update(
        self,
        *,
        step: int,
        epoch: float,
        loss: float,
        learning_rate: float,
        images_per_s: float,
        data_wait_share: float,
        next_evaluation: int | None = None,
    ) -> None:
        """Show a newer state; see `Status` for the arguments."""
        status = Status(
            step=step,
            total_steps=self._total,
            epoch=epoch,
            loss=loss,
            learning_rate=learning_rate,
            images_per_s=images_per_s,
            data_wait_share=data_wait_share,
            next_evaluation=next_evaluation,
            left_s=self._left_s(step),
        )
        if self._live:
            self._live.show(status)
            return
        self._unshown = status
        if self._now() >= self._next_line_s:
            self._print_line()

    def note(self, text: str) -> None:
        """Print a line of its own, above a live display."""
        if self._live:
            self._live.note(text)
        else:
            print(f"{self._title}: {text}", file=self._stream, flush=True)

    def _left_s(self, step: int) -> float | None:
        done = step - self._first
        if done <= 0:
            return None
        return (self._now() - self._begun_s) / done * (self._total - step)

    def _print_line(self) -> None:
        if self._unshown is not None:
            self.note(self._unshown.text)
            self._unshown = None
            self._next_line_s = self._now() + self._every_s

    def __enter__(self) -> "Progress":
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the last state and stop."""
        if self._live:
            self._live.stop()
        else:
            self._print_line()


class _Display(RichProgress):
    """A bar with the figures on lines of their own below it, so that narrow terminals wrap them."""

    figures = "the first steps hold compilation"

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bar, then the figures."""
        yield from super().get_renderables()
        yield Text(self.figures)


class _Live:
    """The display and its one task."""

    def __init__(self, stream: TextIO, title: str, total_steps: int, first_step: int) -> None:
        self._bar = _Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:.1f} %"),
            console=Console(file=stream, force_terminal=True),
            refresh_per_second=REFRESHES_PER_S,
            expand=True,
        )
        self._task = self._bar.add_task(title, total=total_steps, completed=first_step)

    def start(self) -> None:
        self._bar.start()

    def show(self, status: Status) -> None:
        self._bar.figures = status.text
        self._bar.update(self._task, completed=status.step, refresh=True)

    def note(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        self._bar.stop()
