"""Figures as they are printed: never so short that they hide on which side of a limit one lies."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.report import report
from harness.analysis.verdict import verdict
from harness.report.rendering.markdown import markdown
from harness.statistics.rounding import (
    decimals_apart,
    decisive_decimals,
    exact_percent,
    percent,
    span,
)
from harness.verdict.judgement import Bounds
from harness.verdict.text import judgement_text
from tests.planted_journals import FASHION_COUNTS, fashion_runs, smoke_runs, study

REPRODUCTION = "chenbill-fashion-resnet20"


@pytest.mark.parametrize(
    ("value", "limit", "digits"),
    [
        (0.0013, 0.0025, 2),
        (0.0025, 0.0025, 2),
        (-0.0025, 0.0025, 2),
        (-0.002517, 0.0025, 3),
        (0.00248, 0.0025, 3),
        (-0.0024999, 0.0025, 5),
        (0.77496, 0.775, 3),
        (0.00124, 0.00125, 3),
    ],
)
def test_decimals_show_on_which_side_of_a_limit_a_value_lies(
    value: float, limit: float, digits: int
) -> None:
    assert decimals_apart([value], limit) == digits


@given(st.floats(-0.01, 0.01), st.floats(0.001, 0.009))
def test_a_printed_end_never_equals_the_margin_unless_it_does(end: float, margin: float) -> None:
    digits = decisive_decimals(Bounds(low=end, high=end, confidence=0.9), margin)
    assert 2 <= digits <= 6
    if abs(abs(end) - margin) > 1e-7:
        assert percent(abs(end), digits) != percent(margin, digits)


def test_a_published_mean_keeps_its_third_decimal() -> None:
    assert [exact_percent(x) for x in (0.95216, 0.9522, 0.952, 0.7772)] == [
        "95.216 %", "95.22 %", "95.20 %", "77.72 %",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "word", "interval"),
    [
        ((9500, 9503, 9505), "inconclusive", "[-0.252, -0.127]"),
        ((9500, 9507, 9513), "reproduced", "[-0.248, -0.051]"),
        (tuple(max(row) for row in FASHION_COUNTS), "reproduced", None),
    ],
)
def test_text_and_page_show_why_an_interval_decides(
    tmp_path: Path, counts: tuple[int, ...], word: str, interval: str | None
) -> None:
    folder = study(tmp_path, fashion_runs(*((count,) for count in counts)))
    (judgement,) = verdict([folder], target=REPRODUCTION).each
    assert judgement.word == word
    numbers = judgement.numbers
    assert numbers is not None
    assert numbers.kind == "published"
    text = judgement_text(verdict([folder], target=REPRODUCTION))
    page = markdown(report((folder,), target=REPRODUCTION)).replace("\\", "")
    shown = interval or span(numbers.equivalence_interval)
    margin = "+-0.250" if interval else "+-0.25:"
    assert text.count(shown) == 2, "in the reason and in the table"
    assert margin in text
    assert shown in page
    low, high = shown.strip("[]").split(", ")
    assert f"{low} pp to {high} pp" in page
    assert "published            95.216 %" in text
    assert "against the published 95.216 %" in page


def test_a_threshold_that_is_missed_by_little_does_not_look_reached(tmp_path: Path) -> None:
    runs = smoke_runs(350, 344)
    (judgement,) = verdict([study(tmp_path, runs)]).each
    assert judgement.word == "not_reproduced"
    assert judgement.reasons == ("seed 2 reaches 96.90 %, the threshold is 97.00 %",)
