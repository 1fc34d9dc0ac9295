"""A published curve beside runs: who is held against it, and where each landmark lies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from harness.analysis.judged_study import judged_study, load_runs
from harness.analysis.report import page_of
from harness.baselines import load_baselines
from harness.baselines.schema import Citation, CurvePoint, PublishedCurve
from harness.report.learning import learning
from harness.report.published_curve import curves_of, landmarks
from harness.report.run_record import RunRecord
from tests.record_samples import SampleRun, write_run

SOURCE = Citation(title="a source", address="example.org", table="1", quoted="as printed")
RUN = SampleRun(steps=200, steps_per_epoch=100, images=200, top1_correct=160)
"""Evaluated after epoch 1 with 80 of 200 right and after epoch 2 with 160."""


def curve(*points: CurvePoint, recipe: str = "smoke", data: str = "digits") -> PublishedCurve:
    return PublishedCurve(name="c", recipe=recipe, data=data, points=points, source=SOURCE)


def point(epoch: int, *validation: float, training: tuple[float, ...] = ()) -> CurvePoint:
    return CurvePoint(epoch=epoch, validation=validation, training=training)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "smoke-00000000" / "seed-1", RUN)


@pytest.fixture(scope="module")
def runs(folder: Path) -> tuple[RunRecord, ...]:
    return tuple(run.record for run in load_runs([folder]))


@pytest.mark.parametrize(
    ("validation", "lies"),
    [((0.39, 0.41), "inside"), ((0.4,), "inside"), ((0.41, 0.5), "below"), ((0.3, 0.39), "above")],
)
def test_where_a_run_lies(
    runs: tuple[RunRecord, ...], validation: tuple[float, ...], lies: str
) -> None:
    (row,) = landmarks(runs, curve(point(1, *validation))).rows
    assert row[1:3] == ("1", "40.00 %")
    assert row[5] == lies


def test_training_accuracy_is_that_of_the_epoch_s_own_steps(runs: tuple[RunRecord, ...]) -> None:
    series = runs[0].series
    right = series["correct"][100:200].sum() / series["images"][100:200].sum()
    (row,) = landmarks(runs, curve(point(2, 0.5, training=(right - 0.1, right + 0.1)))).rows
    assert row[6] == f"{100 * right:.2f} %"
    assert row[9] == "inside"


def test_of_a_part_of_an_epoch_no_training_accuracy_is_said(runs: tuple[RunRecord, ...]) -> None:
    """An excerpt of before has no sums; the last epoch of a run that was stopped is a part."""
    part = runs[0].epochs[1].model_copy(update={"steps": 60})
    for epochs in ((), (runs[0].epochs[0], part)):
        run = replace(runs[0], epochs=epochs)
        (row,) = landmarks([run], curve(point(2, 0.5, training=(0.4, 0.6)))).rows
        assert row[6:] == ("-", "-", "-", "-")


def test_epochs_that_were_not_reached_are_left_out(runs: tuple[RunRecord, ...]) -> None:
    table = landmarks(runs, curve(point(1, 0.4), point(2, 0.9), point(3, 0.9)))
    assert [row[1] for row in table.rows] == ["1", "2"]


def test_the_caption_states_what_chance_alone_does(runs: tuple[RunRecord, ...]) -> None:
    """By exchangeability; simulated here with ranks of its own."""
    drawn = np.random.default_rng(5).standard_normal((100_000, 6))
    outside = (drawn[:, 0] < drawn[:, 1:].min(1)) | (drawn[:, 0] > drawn[:, 1:].max(1))
    assert outside.mean() == pytest.approx(1 / 3, abs=0.005)
    assert "33.33 %" in landmarks(runs, curve(point(1, *[0.4] * 5))).caption


@pytest.mark.parametrize(
    "other", [curve(point(1, 0.4), recipe="other"), curve(point(1, 0.4), data="cifar10")]
)
def test_other_recipes_and_data_are_not_held_against_it(
    runs: tuple[RunRecord, ...], other: PublishedCurve
) -> None:
    mine = curve(point(1, 0.4))
    assert curves_of(runs, [other, mine]) == (mine,)
    captions = [table.caption for table in learning(runs, [other]).tables]
    assert not any("Beside" in caption for caption in captions)


def test_the_page_shows_it(runs: tuple[RunRecord, ...]) -> None:
    section = learning(runs, [curve(point(1, 0.39, 0.41))])
    assert any("Beside c" in table.caption for table in section.tables)


def test_points_in_disorder_are_refused() -> None:
    for points in [(point(2, 0.4), point(1, 0.4)), (point(1, 0.4), point(2, 0.4, 0.5))]:
        with pytest.raises(ValidationError):
            curve(*points)


def test_the_reproduction_s_curve_ends_at_its_last_epoch_row() -> None:
    """The last landmark is the row of the last epochs: one fact, stated twice."""
    baselines = load_baselines()
    (found,) = [c for c in baselines.curves if c.name == "chenbill-fashion-resnet20-curve"]
    (row,) = [r for r in baselines.accuracy if r.name == "chenbill-fashion-resnet20-last-epoch"]
    assert found.points[-1].epoch == 300
    assert found.points[-1].validation == row.values
    assert all(len(p.training) == 5 for p in found.points)


def test_a_report_takes_the_curves_of_the_baselines(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "curve.toml").write_text(
        'kind = "baselines"\n[[curve]]\nname = "mine"\nrecipe = "smoke"\ndata = "digits"\n'
        "points = [{ epoch = 1, validation = [0.3, 0.5] }]\n"
        '[curve.source]\ntitle = "a source"\naddress = "example.org"\ntable = "1"\n'
        'quoted = "as printed"\n'
    )
    content = page_of(judged_study(load_runs([folder]), baselines=tmp_path))
    (section,) = [one for one in content.sections if one.title == "Learning curves"]
    assert any("Beside mine" in table.caption for table in section.tables)
