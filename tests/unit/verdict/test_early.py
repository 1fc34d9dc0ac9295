"""The early checks: what each finds, what sound runs show, and the error they state."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from harness.recipes.normalisations import NORMALISATIONS
from harness.record.journal import read_journal
from harness.record.schema import Steps
from harness.record.summary import read_summary
from harness.runner.early_check import TOPIC, UnusualRunError, Watch, earlier_curve
from harness.verdict.early import (
    MEASURES,
    REACH,
    SPREAD,
    WINDOWS,
    Curve,
    check_pixels,
    check_predictions,
    check_steps,
    columns_of,
    window_ends,
    windows_of,
)
from tests.planted_journals import plant, smoke_runs, study, window

RECORDED = json.loads((Path(__file__).parents[3] / "reports" / "early-gate.json").read_text())
TOTAL = RECORDED["steps_total"]


def curve(name: str, seed: int) -> Curve:
    columns = RECORDED["runs"][name][str(seed)]
    return Curve(**{key: np.asarray(values) for key, values in columns.items()})


def flat(steps: int, **changes: np.ndarray) -> Curve:
    fields = {
        "loss": np.linspace(2.3, 1.0, steps), "gradient_norm": np.full(steps, 2.0),
        "correct": np.full(steps, 5.0), "images": np.full(steps, 16.0),
    }  # fmt: skip
    return Curve(**{**fields, **changes})


def checks(found: Curve, classes: int = 10, steps: int = TOTAL) -> list[str]:
    return [one.check for one in check_steps(found, classes=classes, steps_total=steps)]


@pytest.mark.parametrize("seed", range(1, 9))
def test_sound_runs_raise_nothing(seed: int) -> None:
    assert checks(curve("sound", seed)) == []
    for other in range(1, 9):
        earlier = curve("sound", other)
        mine = curve("sound", seed)
        assert check_steps(mine, classes=10, steps_total=TOTAL, earlier=earlier) == ()


@pytest.mark.parametrize(
    ("mistake", "measure"),
    [
        ("no warm-up", "log mean gradient norm"),
        ("labels shifted by one row", "training accuracy"),
        ("no augmentation", "log mean loss"),
        ("weight decay ten times", None),
        ("wrong normalisation (divided by 1)", None),
    ],
)
def test_one_earlier_run_shows_a_mistake_or_not(mistake: str, measure: str | None) -> None:
    found = check_steps(
        curve(mistake, 101), classes=10, steps_total=TOTAL, earlier=curve("sound", 1)
    )
    assert any(one.check.startswith(measure) for one in found) if measure else found == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": np.linspace(6.9, 1.0, 30)}, "first loss"),
        ({"gradient_norm": np.r_[np.full(20, 2.0), 0.0, np.full(9, 2.0)]}, "gradient norm"),
        ({"gradient_norm": np.r_[np.full(20, 2.0), 50.0, np.full(9, 2.0)]}, "gradient norm"),
    ],
)
def test_absolute_checks_of_steps(changes: dict[str, np.ndarray], said: str) -> None:
    (found,) = checks(flat(30, **changes))
    assert said in found


def test_a_loss_that_does_not_fall_is_named_when_it_should_have() -> None:
    stays = np.full(800, 2.3)
    assert checks(flat(799, loss=stays[:799]), steps=800) == []
    assert checks(flat(800, loss=stays), steps=800) == ["loss has not fallen: mean"]


def test_pixels_of_a_batch() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.float32)
    assert check_pixels((pixels - 120) / 58) == ()
    for wrong in (pixels - 120, pixels / 255 / 255, pixels):
        assert len(check_pixels(wrong)) == 1


def test_predictions_of_a_first_evaluation() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat(np.arange(10), 50)
    right = np.where(generator.random(500) < 0.6, labels, generator.integers(0, 10, 500))
    assert check_predictions(labels, right, 10, 5) == ()
    assert check_predictions(labels, generator.integers(0, 10, 500), 10, 5) == ()
    (constant,) = check_predictions(labels, np.full(500, 3), 10, 5)
    assert "constant" in constant.check
    (shifted,) = check_predictions((labels + 1) % 10, right, 10, 5)
    assert "class 0 called 9" in shifted.check
    swapped = np.asarray([1, 0, *range(2, 10)])
    assert check_predictions(swapped[labels], right, 10, 5) == (), "two classes are no order"


def test_the_reach_shares_one_percent_out_and_holds_over_pairs_of_runs() -> None:
    """Spreads of their own, estimated with 77 degrees of freedom; all 20 windows are seen."""
    shared = stats.t.isf(0.01 / 2 / (WINDOWS * len(MEASURES)), 77)
    assert pytest.approx(shared, abs=0.02) == REACH
    generator = np.random.default_rng(2)
    runs = generator.standard_normal((2, 20_000, WINDOWS * len(MEASURES)))
    scale = np.sqrt(generator.chisquare(77, (20_000, 1)) / 77)
    alarms = (np.abs(runs[0] - runs[1]) > REACH * np.sqrt(2) * scale).any(axis=1)
    assert alarms.mean() <= 0.012


def test_the_borrowed_spread_is_that_of_the_recorded_runs() -> None:
    ends = [end for end in window_ends(TOTAL) if end <= 150]
    values = np.stack([windows_of(curve("sound", seed), ends) for seed in range(1, 9)])
    pooled = np.sqrt((values.std(axis=0, ddof=1) ** 2).mean(axis=0))
    assert pooled == pytest.approx(SPREAD, abs=6e-4)
    assert values.shape[1] * 7 == 77


def bad_start() -> Steps:
    (run,) = smoke_runs(350)
    first = window(run, 0)
    return first.model_copy(update={"loss": (9.0,) * len(first.step)})


def watch(folder: Path, told: list[str], *, stop: bool = False) -> Watch:
    return Watch(
        folder=folder, classes=10, steps_total=TOTAL, stop=stop,
        warn=lambda topic, text: told.append(f"{topic}: {text}"),
    )  # fmt: skip


def test_a_watch_warns_once_and_stops_on_request(tmp_path: Path) -> None:
    told: list[str] = []
    window_ = bad_start()
    one = watch(tmp_path, told)
    one.see(window_)
    assert len(told) == 1
    assert told[0].startswith(f"{TOPIC}: step 0: first loss")
    again = Watch(
        folder=tmp_path, classes=10, steps_total=TOTAL, stop=True, warn=one.warn,
        columns=[columns_of(window_)],
    )  # fmt: skip
    assert len(again.told) == 1, "what an earlier process recorded is told"
    with pytest.raises(UnusualRunError, match="first loss"):
        watch(tmp_path, told, stop=True).see(window_)


def test_a_watch_looks_at_the_first_batch_and_the_first_evaluation(tmp_path: Path) -> None:
    told: list[str] = []
    one = watch(tmp_path, told)

    class Pixels:
        def numpy(self) -> np.ndarray:
            return np.full((2, 4, 4, 3), 200.0, np.float32)

    batches = [{"image": Pixels()}, {"image": None}]
    assert list(one.first_batch(iter(batches), NORMALISATIONS["caffe"])) == batches
    assert told == []
    assert list(one.first_batch(iter(batches), NORMALISATIONS["torch"])) == batches
    assert "pixels of the first batch" in told[0]
    top5 = pa.FixedSizeListArray.from_arrays(pa.array([3] * 200, pa.int32()), 5)
    table = pa.table({"label": pa.array(list(range(10)) * 4, pa.int32()), "top5_class": top5})
    one.evaluation(10, table)
    one.evaluation(20, table)
    assert ["constant" in text for text in told[1:]] == [True]


def test_the_earlier_run_is_a_completed_one_of_the_same_recipe_and_data(tmp_path: Path) -> None:
    runs = smoke_runs(350, 350)
    folder = study(tmp_path, runs)
    plant(folder / "seed-3", replace(smoke_runs(350)[0], seed=3, status=None))
    (folder / "seed-9").mkdir()
    (folder / "seed-9" / "journal.jsonl").write_text("")
    started = read_summary(folder / "seed-1").started

    def asked(seed: int, root: str = started.data.root_digest) -> Curve | None:
        digest, total = started.recipe_digest, started.steps_total
        return earlier_curve(
            folder, seed=seed, recipe_digest=digest, root_digest=root, steps_total=total
        )

    first = read_journal(folder / "seed-1").column("loss").tolist()
    found = asked(7)
    assert found is not None
    assert found.loss.tolist() == first
    other = asked(1)
    assert other is not None
    assert other.loss.tolist() != first
    assert asked(7, "0" * 64) is None
