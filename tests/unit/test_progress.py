import io

import pytest

from harness.progress import Progress, duration


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def update(progress: Progress, step: int, next_evaluation: int | None = 1000) -> None:
    progress.update(
        step=step,
        epoch=step / 500,
        loss=2.34567,
        learning_rate=0.0456,
        images_per_s=1234.56,
        data_wait_share=0.0213,
        next_evaluation=next_evaluation,
    )


def test_plain_lines_come_every_thirty_seconds_with_the_first_and_the_last() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(total_steps=1000, stream=stream, title="smoke, seed 1", now=clock) as progress:
        for step in range(10, 101, 10):
            clock.s += 10
            update(progress, step)
    steps = [line.split("step ")[1].split(" of")[0] for line in stream.getvalue().splitlines()]
    assert steps == ["10", "40", "70", "100"]


def test_a_plain_line_has_every_figure() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(total_steps=1000, first_step=100, stream=stream, now=clock) as progress:
        clock.s += 50
        update(progress, 200)
    assert stream.getvalue() == (
        "training: step 200 of 1,000, epoch 0.40, loss 2.3457, learning rate 0.0456, "
        "1,234.6 images/s, data wait 2.1%, 7 min left, next evaluation at step 1,000\n"
    )


def test_no_time_left_before_the_first_step_and_no_evaluation_after_the_last() -> None:
    stream = io.StringIO()
    with Progress(total_steps=1000, stream=stream, now=Clock()) as progress:
        update(progress, 0, next_evaluation=None)
    assert "left" not in stream.getvalue()
    assert "evaluation" not in stream.getvalue()


def test_nothing_is_shown_of_a_training_that_did_no_step() -> None:
    stream = io.StringIO()
    with Progress(total_steps=1000, stream=stream, now=Clock()):
        pass
    assert stream.getvalue() == ""


def test_a_terminal_gets_one_live_display_and_markup_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    stream = io.StringIO()
    with Progress(total_steps=1000, stream=stream, title="[red]run", terminal=True) as progress:
        update(progress, 200)
        progress.note("checkpoint [bold]")
    text = stream.getvalue()
    assert "[red]run" in text
    assert "checkpoint [bold]" in text
    assert "step 200 of 1,000" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3570, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (172_790, "2 d 0 h"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
