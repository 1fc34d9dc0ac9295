"""The early-curve gate: its windows, its false-alarm rate, and what it finds."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import StatisticsError
from harness.record.schema import Steps, Warned
from harness.runner.early_curve import ABSOLUTE_BASIS, TOPIC, accepted_runs, open_gate
from harness.verdict.early import (
    LEVEL,
    WINDOWS,
    Curve,
    EarlyGate,
    Reference,
    check,
    curve_of,
    expected_limits,
    reference_of,
    window_ends,
    windows_of,
)
from tests.chained_journals import events_of, rewrite
from tests.planted_journals import Planted, events, plant, smoke_runs, study
from tests.record_samples import SampleRun, write_run

STEPS = 1000
BATCH = 32
CLASSES = 10


def curve(seed: int, *, factor: float = 1.0, from_step: int = 0, steps: int = STEPS) -> Curve:
    """A plausible curve; `factor` multiplies loss and gradient norm from `from_step` on."""
    generator = np.random.default_rng(seed)
    step = np.arange(steps)
    level = 1 + 0.01 * generator.standard_normal()
    changed = np.where(step >= from_step, factor, 1.0)
    loss = level * changed * (0.6 + 1.7 * np.exp(-step / 200))
    loss = loss * (1 + 0.1 * generator.standard_normal(steps))
    norm = changed * (2 + np.exp(-step / 100)) * (1 + 0.2 * generator.standard_normal(steps))
    share = 1 - 0.9 * np.exp(-step / 300)
    correct = generator.binomial(BATCH, share)
    return Curve(loss, norm, correct.astype(float), np.full(steps, float(BATCH)))


def reference(runs: int = 5) -> Reference:
    found = reference_of([curve(seed) for seed in range(runs)], STEPS)
    assert found is not None
    return found


@pytest.mark.parametrize("steps", [250, 450, 1000, 9_000, 510_459])
def test_windows_are_twenty_and_end_with_the_recipe(steps: int) -> None:
    ends = window_ends(steps)
    assert len(ends) == WINDOWS
    assert ends[-1] == steps
    assert list(ends) == sorted(set(ends))
    ratios = np.diff(np.log(ends))
    assert ratios.max() - ratios.min() < 2 / ends[0], "beyond what rounding to steps explains"


def test_too_short_a_recipe_has_no_windows() -> None:
    with pytest.raises(StatisticsError, match="20 log-spaced windows"):
        window_ends(12)


def test_measures_of_a_window_by_hand() -> None:
    short = Curve(*(np.array(v, float) for v in ([1, 3], [2, 6], [4, 12], [16, 16])))
    ((loss, norm, accuracy),) = windows_of(short, [2])
    assert (loss, norm) == pytest.approx((math.log(2), math.log(4)))
    assert math.sin(accuracy) ** 2 == pytest.approx(0.5, abs=0.01)
    assert windows_of(short, [2, 3]).shape == (1, 3)


@pytest.mark.parametrize("runs", [5, 8])
def test_false_alarms_are_at_most_one_percent_by_simulation(runs: int) -> None:
    """10,000 normal curves, independent and fully dependent windows."""
    generator = np.random.default_rng(runs)
    ends = window_ends(STEPS)
    images = np.diff([0, *ends]) * float(BATCH)
    for shared in (0.0, 0.95):
        common = generator.standard_normal((10_000, runs + 1, 1, 1))
        own = generator.standard_normal((10_000, runs + 1, WINDOWS, 3))
        draws = 0.5 + 0.05 * (math.sqrt(shared) * common + math.sqrt(1 - shared) * own)
        runs_first = np.moveaxis(draws, 1, 0)
        low, high = expected_limits(runs_first[:-1], images)
        alarm = ((runs_first[-1] < low) | (runs_first[-1] > high)).any(axis=(1, 2))
        assert alarm.mean() <= LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / 10_000)


def test_sound_runs_pass() -> None:
    known = reference()
    answers = [check(curve(s), known, classes=CLASSES, steps=STEPS) for s in range(100, 140)]
    assert sum(answer.status == "unusual" for answer in answers) <= 2


@pytest.mark.parametrize("factor", [1.6, 0.5])
def test_a_change_is_found_within_the_next_windows(factor: float) -> None:
    known = reference(8)
    ends = window_ends(STEPS)
    delays = []
    for seed in range(200, 220):
        answer = check(
            curve(seed, factor=factor, from_step=100), known, classes=CLASSES, steps=STEPS
        )
        assert answer.status == "unusual"
        found = next(i for i, end in enumerate(ends) if end - 1 == answer.findings[0].steps[1])
        delays.append(found - next(i for i, end in enumerate(ends) if end > 100))
    assert float(np.median(delays)) <= 3


def test_equal_accuracies_do_not_make_an_interval_of_no_width() -> None:
    """All references right in no image of a window: one right image is no alarm."""
    curves = [replace(curve(s), correct=np.zeros(STEPS)) for s in range(5)]
    known = reference_of(curves, STEPS)
    one_right = curves[0].correct.copy()
    one_right[0] = 1
    answer = check(replace(curve(7), correct=one_right), known, classes=CLASSES, steps=STEPS)
    assert not [f for f in answer.findings if f.check == "training accuracy"]


def test_the_level_is_that_of_the_whole_run_however_few_windows_are_known() -> None:
    whole = reference()
    few = Reference(whole.ends[:4], whole.values[:, :4], whole.images[:4])
    for short, full in zip(few.intervals(), whole.intervals(), strict=True):
        assert np.array_equal(short, full[:4])


def test_a_curve_shorter_than_the_first_window_is_as_expected() -> None:
    known = reference()
    short = curve(9, steps=known.ends[0] - 1)
    assert windows_of(short, known.ends).shape == (0, 3)
    answer = check(short, known, classes=CLASSES, steps=STEPS)
    assert (answer.status, answer.windows) == ("as_expected", 0)


def test_fewer_than_five_references_are_no_reference() -> None:
    assert reference_of([curve(s) for s in range(4)], STEPS) is None
    answer = check(curve(9), None, classes=CLASSES, steps=STEPS)
    assert answer.status == "as_expected"
    assert answer.compared_with == 0
    assert "no reference: absolute checks only" in answer.text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: replace(c, loss=np.where(np.arange(STEPS) == 0, 9.0, c.loss)), "first loss"),
        (lambda c: replace(c, loss=np.where(np.arange(STEPS) == 70, np.nan, c.loss)), "finite"),
        (lambda c: replace(c, loss=np.full(STEPS, math.log(CLASSES))), "not fallen"),
    ],
)
def test_absolute_checks(change: object, said: str) -> None:
    assert callable(change)
    answer = check(change(curve(3)), None, classes=CLASSES, steps=STEPS)
    assert answer.status == "unusual"
    assert said in answer.text()


def as_steps(whole: Curve) -> list[Steps]:
    run = Planted(1, steps=len(whole.loss), steps_total=len(whole.loss))
    windows = [event for event in events(run) if isinstance(event, Steps)]
    return [
        window.model_copy(
            update={
                "loss": tuple(whole.loss[list(window.step)].tolist()),
                "gradient_norm": tuple(whole.gradient_norm[list(window.step)].tolist()),
                "correct": tuple(int(x) for x in whole.correct[list(window.step)]),
                "images": (BATCH,) * len(window.step),
            }
        )
        for window in windows
    ]


def test_the_gate_that_is_fed_says_what_the_whole_check_says() -> None:
    known, bad = reference(), curve(5, factor=2.0, from_step=150)
    gate = EarlyGate(known, CLASSES, STEPS)
    answers = [gate((window,)) for window in as_steps(bad)]
    assert answers[0].status == "as_expected"
    assert answers[-1] == check(curve_of(as_steps(bad)), known, classes=CLASSES, steps=STEPS)
    assert [a.status for a in answers] == sorted(a.status for a in answers)
    assert answers[-1].windows == WINDOWS


def test_a_loss_that_is_not_finite_is_told_at_once() -> None:
    gate = EarlyGate(reference(), CLASSES, STEPS)
    windows = as_steps(curve(5))
    gate(tuple(windows[:6]))
    broken = windows[6].model_copy(update={"loss": (math.nan, *windows[6].loss[1:])})
    assert "not finite" in gate((broken,)).text()


def watched(folder: Path, like: Planted, *, steps: int = 300) -> int:
    """How many references the gate of seed 99 finds."""
    gate = open_gate(
        folder,
        seed=99,
        recipe_digest=like.recipe.digest,
        root_digest=like.data.root_digest,
        classes=10,
        steps_total=steps,
    )
    return 0 if gate.reference is None else len(gate.reference.values)


def earlier_runs() -> list[Planted]:
    return [replace(run, steps=300) for run in smoke_runs(*(350,) * 6)]


def warned(folder: Path, seed: int, text: str) -> None:
    """A warning of the gate before the last line of a run's journal."""
    journal = folder / f"seed-{seed}" / "journal.jsonl"
    *lines, last = events_of(journal)
    event = Warned(time_s=0.0, step=20, topic=TOPIC, text=text)
    rewrite(journal, [*lines, event.model_dump_json(), last])


def test_the_reference_is_the_studys_other_completed_runs(tmp_path: Path) -> None:
    runs = earlier_runs()
    folder = study(tmp_path, [*runs, replace(runs[0], seed=7, status="stopped")])
    plant(folder / "seed-99", replace(runs[0], seed=99))
    assert watched(folder, runs[0]) == 6
    assert watched(folder, runs[0], steps=450) == 0


def test_runs_of_other_data_or_another_recipe_are_no_reference(tmp_path: Path) -> None:
    runs = earlier_runs()
    folder = study(tmp_path, runs)
    assert watched(folder, runs[0]) == 6
    other = runs[0].data.model_copy(update={"root_digest": "9" * 64})
    assert watched(folder, replace(runs[0], data=other)) == 0
    larger = runs[0].recipe.model_copy(update={"batch": 64})
    assert watched(folder, replace(runs[0], recipe=larger)) == 0


def test_a_copy_of_a_run_is_no_second_reference(tmp_path: Path) -> None:
    runs = earlier_runs()
    copies = [replace(run, marks_of=1) for run in runs[3:]]
    assert watched(study(tmp_path, [*runs[:3], *copies]), runs[0]) == 0


@pytest.mark.parametrize(
    ("text", "references"), [("(5 earlier runs)", 5), (f"({ABSOLUTE_BASIS})", 6)]
)
def test_a_run_that_was_unusual_itself_is_no_reference(
    tmp_path: Path, text: str, references: int
) -> None:
    runs = earlier_runs()
    folder = study(tmp_path, runs)
    warned(folder, 2, f"steps 0 to 4: log mean loss 9, expected 1 to 2 {text}")
    assert watched(folder, runs[0]) == references


@pytest.mark.parametrize("content", ["", "no journal\n"], ids=["begins at this moment", "damaged"])
def test_a_journal_that_cannot_be_read_is_no_reference(tmp_path: Path, content: str) -> None:
    whole = write_run(tmp_path / "seed-2", SampleRun(seed=2))
    (tmp_path / "seed-3").mkdir()
    (tmp_path / "seed-3" / "journal.jsonl").write_text(content)
    assert [run.folder for run in accepted_runs(tmp_path, seed=1)] == [whole]
