"""What a person sees while something takes time: a live display, or plain lines in a log.

Synopsis:

    with Progress() as progress:
        with progress.work("inspecting images", unit="images", total=50_000) as work:
            work.update(1_000)

Whatever takes longer than two seconds says what it does, even where nothing calls `update`
meanwhile: a thread of the display looks after it. Time left is computed from what was done
lately, so that what was passed over or came out of a cache does not flatter it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO, cast

from rich.console import Console, RenderableType
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from harness.system.streams import ShownError

SILENCE_S = 2.0
"""Longest time that work is not shown."""

PLAIN_EVERY_S = 10.0
TICK_S = 0.5
REFRESHES_PER_S = 1.0
"""The display is drawn by a thread of the training process: once a second costs it nothing."""
LATELY = 0.3
"""Share of the time so far that the rate is taken from."""
LEAST_LATELY_S = 5.0
SAMPLES = 400


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


class Rate:
    """How fast something has gone lately.

    Args:
        lately: share of the time so far that counts; 1 takes all of it.
    """

    def __init__(self, lately: float = LATELY) -> None:
        self._lately = lately
        self._samples: deque[tuple[float, float]] = deque()
        self._begun_s = 0.0

    def seen(self, time_s: float, done: float) -> None:
        """Note how much was done at a time; `done` never falls."""
        if not self._samples:
            self._begun_s = time_s
        elif time_s - self._samples[-1][0] < (time_s - self._begun_s) / SAMPLES:
            self._samples[-1] = (self._samples[-1][0], done)
            return
        self._samples.append((time_s, done))
        since_s = time_s - max(LEAST_LATELY_S, self._lately * (time_s - self._begun_s))
        while len(self._samples) > 2 and self._samples[1][0] <= since_s:
            self._samples.popleft()

    def per_s(self) -> float | None:
        """Units a second; None while nothing is known."""
        if len(self._samples) < 2:
            return None
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        passed_s, done = last_s - first_s, last - first
        return done / passed_s if passed_s > 0 and done > 0 else None

    def left_s(self, time_s: float, total: float) -> float | None:
        """Seconds until `total` is done; None while nothing is known or nothing is left."""
        rate = self.per_s()
        if rate is None or not self._samples:
            return None
        last_s, done = self._samples[-1]
        if done >= total:
            return None
        # What is being done now has been begun before.
        return max((total - done) / rate - (time_s - last_s), TICK_S)


@dataclass
class Work:
    """One thing that takes time.

    Attributes:
        title: what is done.
        unit: of what is counted; "" counts nothing.
        total: how many there are; None while that is not known.
        begun_s: when it began.
        text: figures besides the count.
        done: how many are done, those included that there was nothing to do for.
        weight: what the time depends on, where that is not the count, such as bytes.
        weight_total: of all.
        ends_s: when it will end, where the caller knows better than its rate.
        always: whether its end is shown however short it was.
    """

    title: str
    unit: str
    total: float | None
    begun_s: float
    rate: Rate
    now: Callable[[], float]
    every_s: float
    always: bool = False
    text: str = ""
    done: float = 0
    weight: float | None = None
    weight_total: float | None = None
    ends_s: float | None = None
    shown_s: float | None = None
    shown: int = 0
    updates: int = 0
    task: TaskID | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(
        self,
        done: float,
        total: float | None = None,
        *,
        weight: float | None = None,
        weight_total: float | None = None,
        text: str = "",
        left_s: float | None = None,
    ) -> None:
        """How far it is; see the attributes. `left_s`: the caller's own time left."""
        with self.lock:
            self.done, self.text = done, text or self.text
            self.updates += 1
            self.total = self.total if total is None else total
            self.weight, self.weight_total = weight, weight_total
            self.ends_s = self.now() + left_s if left_s else None
            self.rate.seen(self.now(), done if weight is None else weight)

    def add(self, more: int) -> None:
        """So many more are done; may be called from several threads."""
        with self.lock:
            self.done += more
            self.updates += 1
            self.rate.seen(self.now(), self.done)

    def line(self) -> str:
        """Where it stands, as one line."""
        with self.lock:
            return f"{self.title}: {', '.join(self._parts())}"

    def _parts(self) -> Iterator[str]:
        if self.text:
            yield self.text
        elif self.unit and (self.done or self.total):
            of = f" of {self.total:,.0f}" if self.total else ""
            yield f"{self.done:,.0f}{of} {self.unit}"
        else:
            yield f"for {duration(self.now() - self.begun_s)} now"
            return
        if (rate := self.rate.per_s()) and not self.text:
            per_s = f"{rate:,.{int(rate < 100)}f} {self.unit}/s"
            yield f"{rate / 1e6:,.1f} MB/s" if self.weight is not None else per_s
        total = self.total if self.weight is None else self.weight_total
        left_s = self.rate.left_s(self.now(), total) if total else None
        if self.ends_s is not None:
            left_s = self.ends_s - self.now()
        if left_s is not None:
            yield f"{duration(max(left_s, 1))} left"

    def ending(self) -> str:
        """What was done in which time, as one line."""
        passed = duration(self.now() - self.begun_s)
        if self.text:
            return f"{self.title}: {self.text}"
        counted = f"{self.done:,.0f} {self.unit} in " if self.unit and self.done else ""
        return f"{self.title}: {counted}{passed}"


class Progress:
    """Shows work on a stream; use as a context manager.

    On a terminal it is one live display. Elsewhere work that lasts gets a plain
    line after two seconds, then one now and then, and one at its end.

    Args:
        stream: where to show it; results go elsewhere. None takes standard error.
        terminal: whether the stream is one; None asks it.
        now: monotonic clock in seconds.
        ticking: whether a thread looks after work that says nothing.
    """

    def __init__(
        self,
        *,
        stream: TextIO | None = None,
        terminal: bool | None = None,
        now: Callable[[], float] = time.monotonic,
        ticking: bool = True,
    ) -> None:
        self._stream = cast("TextIO", ShownError()) if stream is None else stream
        self._now = now
        self._ticking = ticking
        self._going: list[Work] = []
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        live = self._stream.isatty() if terminal is None else terminal
        self._bar = _bar(self._stream) if live else None

    @contextmanager
    def work(
        self,
        title: str,
        *,
        unit: str = "",
        total: float | None = None,
        lately: float = LATELY,
        every_s: float = PLAIN_EVERY_S,
        always: bool = False,
    ) -> Iterator[Work]:
        """Show that something is being done, until the block ends.

        Args:
            title: what.
            unit: of what will be counted, in the plural; "" counts nothing.
            total: how many there are, if known.
            lately: share of the time so far that the rate is taken from.
            every_s: seconds between plain lines.
            always: whether its end is shown however short it was.
        """
        work = Work(title, unit, total, self._now(), Rate(lately), self._now, every_s, always)
        with self._lock:
            self._going.append(work)
            if self._bar is not None:
                work.task = self._bar.add_task(title, total=total, figures="")
        self._begin()
        try:
            yield work
        finally:
            self._end(work)

    def note(self, text: str) -> None:
        """Print a line of its own, above a live display."""
        with self._lock:
            if self._bar is not None:
                self._bar.console.print(text, markup=False, highlight=False)
            else:
                print(text, file=self._stream, flush=True)

    def tick(self) -> None:
        """Show the newest work as far as it is due."""
        with self._lock:
            for work in self._going if self._bar is not None else self._going[-1:]:
                if self._bar is not None and work.task is not None:
                    self._bar.update(
                        work.task, completed=work.done, total=work.total, figures=work.line()
                    )
                elif self._is_due(work):
                    work.shown_s, work.shown = self._now(), work.updates
                    self.note(work.line())

    def _is_due(self, work: Work) -> bool:
        since_s = self._now() - (work.begun_s if work.shown_s is None else work.shown_s)
        first = work.shown == 0 and (work.shown_s is None or work.updates > 0)
        return since_s >= (SILENCE_S if first else work.every_s)

    def _begin(self) -> None:
        if self._bar is not None:
            self._bar.start()
        if self._ticking and self._thread is None:
            self._thread = threading.Thread(target=self._tick_on, name="progress", daemon=True)
            self._thread.start()

    def _tick_on(self) -> None:
        while not self._ended.wait(TICK_S):
            self.tick()

    def _end(self, work: Work) -> None:
        with self._lock:
            self._going.remove(work)
            if self._bar is not None and work.task is not None:
                self._bar.remove_task(work.task)
                if not self._going:
                    self._bar.stop()
            told = work.shown_s is not None and work.shown == work.updates
            lasted = self._now() - work.begun_s >= SILENCE_S
            if not told and (work.updates if work.always else lasted):
                self.note(work.ending())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()


class Silent(Progress):
    """Shows nothing."""

    def __init__(self) -> None:
        super().__init__(terminal=False, ticking=False)

    def note(self, text: str) -> None:
        """Say nothing."""

    def tick(self) -> None:
        """Show nothing."""


SILENT = Silent()


class _Display(RichProgress):
    """Bars with the figures on lines of their own below, so that narrow terminals wrap them."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars, then the figures."""
        yield from super().get_renderables()
        for task in self.tasks:
            yield Text(task.fields["figures"])


def _bar(stream: TextIO) -> RichProgress:
    return _Display(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:.1f} %"),
        console=Console(file=stream, force_terminal=True),
        refresh_per_second=REFRESHES_PER_S,
        expand=True,
        transient=True,
    )
