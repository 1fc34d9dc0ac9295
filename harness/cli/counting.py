"""Progress over a known number of images: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

PLAIN_EVERY_S = 30.0

Report = Callable[[str, int, int], None]


@contextmanager
def image_progress(now: Callable[[], float] = time.monotonic) -> Iterator[Report]:
    """Show how many images are done, with rate and time left, on standard error."""
    if sys.stderr.isatty():
        with _bar() as report:
            yield report
    else:
        yield _plain_lines(now)


@contextmanager
def _bar() -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("{task.completed:,} done"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def report(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bar.add_task(title, total=total)
            bar.update(tasks[title], completed=done)

        yield report


def _plain_lines(now: Callable[[], float]) -> Report:
    began: dict[str, float] = {}
    shown: dict[str, float] = {}

    def report(title: str, done: int, total: int) -> None:
        time_s = now()
        began.setdefault(title, time_s)
        if not done:
            return
        if done < total and time_s - shown.get(title, time_s - PLAIN_EVERY_S) < PLAIN_EVERY_S:
            return
        shown[title] = time_s
        passed_s = time_s - began[title]
        rate = f", {done / passed_s:.1f} images/s" if passed_s > 0 else ""
        left = f", {passed_s / done * (total - done):.0f} s left" if passed_s > 0 else ""
        click.echo(f"{title}: {done:,} of {total:,} images{rate}{left}", err=True)

    return report
