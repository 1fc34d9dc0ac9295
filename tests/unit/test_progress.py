"""What is shown while something takes time: when, and how true."""

import contextlib
import io
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from harness.progress import SILENT, Progress, Rate, Work, duration


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@contextlib.contextmanager
def shown(stream: io.StringIO, clock: Clock) -> Iterator[Progress]:
    with Progress(stream=stream, terminal=False, now=clock, ticking=False) as progress:
        yield progress


def passes(clock: Clock, progress: Progress, seconds: float) -> None:
    """Time passes, and the display looks after the work twice a second, as its thread does."""
    for _ in range(int(2 * seconds)):
        clock.s += 0.5
        progress.tick()


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_what_lasts_is_told_after_two_seconds_without_any_update() -> None:
    clock, stream = Clock(), io.StringIO()
    with shown(stream, clock) as progress, progress.work("importing TensorFlow"):
        passes(clock, progress, 1.5)
        assert not lines(stream)
        passes(clock, progress, 1)
        assert lines(stream) == ["importing TensorFlow: for 2 s now"]
        passes(clock, progress, 10)
        assert lines(stream)[1:] == ["importing TensorFlow: for 12 s now"]


def test_what_is_short_is_not_told() -> None:
    clock, stream = Clock(), io.StringIO()
    with shown(stream, clock) as progress:
        for _ in range(5):
            with progress.work("listing", unit="files") as work:
                work.add(3)
                clock.s += 1.5
    assert not lines(stream)


def test_a_line_has_count_rate_and_time_left_and_the_end_has_none() -> None:
    clock, stream = Clock(), io.StringIO()
    with (
        shown(stream, clock) as progress,
        progress.work("center_crop", unit="images", total=400) as work,
    ):
        for done in range(40, 401, 40):
            work.update(done - 40)
            passes(clock, progress, 4)
        work.update(400)
    assert lines(stream) == [
        "center_crop: 0 of 400 images",
        "center_crop: 80 of 400 images, 10.0 images/s, 28 s left",
        "center_crop: 200 of 400 images, 10.0 images/s, 18 s left",
        "center_crop: 280 of 400 images, 10.0 images/s, 8 s left",
        "center_crop: 400 images in 40 s",
    ]


def test_at_the_end_no_time_is_left() -> None:
    clock, stream = Clock(), io.StringIO()
    with (
        shown(stream, clock) as progress,
        progress.work("inspecting", unit="images", total=10) as work,
    ):
        work.update(0)
        passes(clock, progress, 3)
        work.update(10)
        passes(clock, progress, 12)
    assert "left" not in lines(stream)[-1]
    assert "10 of 10 images" in lines(stream)[-1]


def test_training_shows_its_figures_first_and_last() -> None:
    clock, stream = Clock(), io.StringIO()
    with (
        shown(stream, clock) as progress,
        progress.work(
            "smoke, seed 1", unit="steps", total=1000, lately=1, every_s=30, always=True
        ) as work,
    ):
        passes(clock, progress, 2.5)
        for step in range(10, 101, 10):
            work.update(step, text=f"step {step} of 1,000")
            passes(clock, progress, 10)
    assert [line.split(": ")[1].split(",")[0] for line in lines(stream)] == [
        "0 of 1", "step 10 of 1", "step 40 of 1", "step 70 of 1", "step 100 of 1",
    ]  # fmt: skip
    assert lines(stream)[2].endswith("15 min 58 s left")


def test_short_training_shows_its_last_state_and_none_without_a_step() -> None:
    clock, stream = Clock(), io.StringIO()
    with shown(stream, clock) as progress:
        with progress.work("training", always=True) as work:
            work.update(5, text="step 5 of 5")
        with progress.work("training", always=True):
            pass
    assert lines(stream) == ["training: step 5 of 5"]


@pytest.mark.parametrize("cached", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_the_time_left_is_true_at_a_fifth(cached: float, spread: float) -> None:
    """Some of it ten times as fast at first (cached), the rest at a rate that wanders."""
    clock, total = Clock(), 10_000
    work = Work("inspecting", "images", total, clock(), Rate(), clock, 10)
    work.update(0)
    begun_s, told_s = clock.s, None
    for done in range(1, total + 1):
        pace = 1 + spread * (-1) ** (done // 137)
        clock.s += (0.002 if done <= cached * total else 0.02) * pace
        work.update(done)
        if done == total // 5:
            told_s, at_s = work.rate.left_s(clock.s, total), clock.s
    assert told_s is not None
    left_s = clock.s - at_s
    assert begun_s < at_s
    assert 1 / 1.5 < told_s / left_s < 1.5


def test_what_was_passed_over_is_no_work() -> None:
    clock = Clock()
    work = Work("inspecting", "images", 1_000, clock(), Rate(), clock, 10)
    work.update(800)  # known from before
    clock.s += 10
    work.update(820)
    assert work.rate.left_s(clock.s, 1_000) == pytest.approx(90)


def test_the_weight_decides_about_the_time() -> None:
    clock = Clock()
    work = Work("inspecting", "images", 100, clock(), Rate(), clock, 10)
    work.update(0, weight=0, weight_total=100e6)
    clock.s += 10
    work.update(90, weight=10e6, weight_total=100e6)
    assert work.line() == "inspecting: 90 of 100 images, 1.0 MB/s, 1 min 30 s left"


def test_a_long_training_keeps_few_samples() -> None:
    rate, clock = Rate(1.0), Clock()
    for step in range(20_000):
        clock.s += 7
        rate.seen(clock.s, step)
    assert len(rate._samples) < 2_000
    assert rate.per_s() == pytest.approx(1 / 7, rel=0.01)


def test_a_terminal_gets_one_live_display_and_markup_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    stream = io.StringIO()
    with (
        Progress(stream=stream, terminal=True, ticking=False) as progress,
        progress.work("[red]run", total=1000) as work,
    ):
        work.update(200, text="step 200 of 1,000")
        progress.tick()
        assert progress._bar is not None
        progress._bar.refresh()
        progress.note("checkpoint [bold]")
    text = stream.getvalue()
    assert "[red]run" in text
    assert "checkpoint [bold]" in text
    assert "step 200 of 1,000" in text


def test_the_silent_one_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with SILENT.work("inspecting", unit="images", always=True) as work:
        work.update(1)
        SILENT.tick()
    SILENT.note("x")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 0 s"),
        (89.4, "1 min 29 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (172_790, "2 d 0 h"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def _rest_of(terminal: io.RawIOBase) -> str:
    """All that was written to a terminal whose other side is closed; Linux ends it with EIO."""
    read = b""
    with contextlib.suppress(OSError):
        while part := terminal.read(65_536):
            read += part
    return read.decode()


def test_a_display_on_the_terminal_of_standard_error_is_drawn_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The live display takes the place of `sys.stderr`: what it draws must not come back to it."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as shown, os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress(ticking=False) as progress, progress.work("training", total=2) as work:
            work.update(1)
            progress.tick()
            print("a word of a library", file=sys.stderr)
            progress.note("seed 1: beginning")
        assert sys.stderr is terminal
        terminal.close()
        text = _rest_of(shown)
    assert "training" in text
    assert text.count("a word of a library") == text.count("seed 1: beginning") == 1
