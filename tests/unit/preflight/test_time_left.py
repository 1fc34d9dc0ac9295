"""Time left of a training: right within a factor of two after ten steps and after a resume."""

import io

import pytest

from harness.preflight.time_left import TimeLeft, time_left
from harness.progress import Progress
from harness.recipes.smoke import SMOKE
from harness.record.journal import read_journal
from harness.record.schema import Steps
from tests.record_samples import SampleRun, write_run
from tests.sample_events import window_of

STEP_S, CROP_S, COMPILATION_S = 0.5, 0.01, 40.0
IMAGES, EPOCH = 355, 45


def window(first: int, end: int, compiled: tuple[int, ...] = ()) -> Steps:
    times = [COMPILATION_S if step in compiled else STEP_S for step in range(first, end)]
    return window_of(first, end - first, step_time_s=times, compiled=compiled)


def truth_s(step: int, last: int, total: int) -> float:
    """Counted one by one: a center crop after each epoch but the last, then center and ten."""
    epochs = [end for end in range(EPOCH, last + 1, EPOCH) if end > step and end < total]
    final = 11 * IMAGES if last == total else 0
    return (last - step) * STEP_S + (len(epochs) * IMAGES + final) * CROP_S


def left(last: int, **changes: object) -> TimeLeft:
    known = {"steps_per_epoch": EPOCH, "last_step": last, "asynchronous": False, **changes}
    return time_left(SMOKE, IMAGES, None, None, **known)


@pytest.fixture
def progress() -> Progress:
    return Progress(stream=io.StringIO(), terminal=False, ticking=False, now=lambda: 0.0)


@pytest.mark.parametrize("last", [405, 135, 44])
def test_after_ten_steps_within_a_factor_of_two(last: int, progress: Progress) -> None:
    counted = left(last)
    with progress.work("training") as work:
        now_s = COMPILATION_S
        for step in range(1, 12):
            counted.step_done(step, work, now_s)
            now_s += STEP_S
        told_s = counted.seconds(11)
        assert told_s is not None
        assert 0.5 < told_s / truth_s(11, last, 405) < 2
        assert work.line().startswith(f"training: step 11 of {last}, 0.5 s a step, ")
        assert work.line().endswith(" left")


@pytest.mark.parametrize("step", [45, 90, 360])
def test_after_a_resume_and_an_evaluation_it_is_exact(step: int, progress: Progress) -> None:
    counted = left(405)
    with progress.work("training") as work:
        counted.window_done(window(step - 45, step, (step - 45,)), work, 1 / CROP_S)
    assert counted.seconds(step) == pytest.approx(truth_s(step, 405, 405))


@pytest.mark.parametrize(("trunk", "share"), [("imported", 1 / 3), ("imported_frozen", 1.0)])
def test_before_an_evaluation_its_crops_are_part_of_a_step(trunk: str, share: float) -> None:
    recipe = SMOKE.model_copy(update={"model": SMOKE.model.model_copy(update={"trunk": trunk})})
    counted = time_left(
        recipe, IMAGES, None, None, steps_per_epoch=EPOCH, last_step=90, asynchronous=False
    )
    counted.see(window(0, 45))
    assert counted.seconds(45) == pytest.approx(
        45 * STEP_S + IMAGES * share * STEP_S / recipe.batch
    )


def test_a_run_that_goes_on_knows_its_evaluations(tmp_path: object) -> None:
    journal = read_journal(write_run(tmp_path / "study" / "seed-1", SampleRun()))
    counted = time_left(
        SMOKE, IMAGES, 100, journal, steps_per_epoch=80, last_step=240, asynchronous=False
    )
    assert counted.crops_per_s == journal.evaluations[-1].crops_per_s
    assert counted.evaluated_images == 100


@pytest.mark.parametrize(
    ("step", "last", "images", "expected"),
    [
        (0, 405, None, 45),
        (45, 405, None, 90),
        (360, 405, None, 405),
        (405, 405, None, None),
        (90, 135, None, 135),
        (135, 135, None, None),
        (0, 30, None, None),
        (0, 30, 100, 30),
    ],
)
def test_the_next_evaluation_only_if_there_is_one(
    step: int, last: int, images: int | None, expected: int | None
) -> None:
    counted = time_left(
        SMOKE, IMAGES, images, None, steps_per_epoch=EPOCH, last_step=last, asynchronous=False
    )
    assert counted.next_evaluation(step) == expected
