"""Step times on a page: a few very long steps do not hide the others."""

import re
from pathlib import Path

import pytest

from harness.analysis.judged_study import load_runs
from harness.report.rendering.content import Drawing
from harness.report.timing import LINEAR_SPAN, timing
from tests.record_samples import SampleRun, write_run

LEAST_S = 0.1
"""The least and usual time of a step of a made-up run."""
ALMOST = 0.95 * LINEAR_SPAN * LEAST_S
ABOVE = 1.2 * LINEAR_SPAN * LEAST_S


def drawings(folder: Path, stalls: dict[int, float]) -> tuple[Drawing, ...]:
    run = write_run(folder / "run", SampleRun(stalls=stalls))
    return timing([one.record for one in load_runs([run])]).drawings


def labels(drawing: Drawing) -> set[float]:
    """Numbers printed beside the axes of a drawing."""
    return {float(text) for text in re.findall(r"<text[^>]*>([0-9.]+)</text>", drawing.svg("wide"))}


@pytest.mark.parametrize(
    ("stalls", "printed", "logarithmic"),
    [
        ({}, {102, 104, 106, 108}, False),
        ({150: ALMOST}, {500, 1000, 1500}, False),
        ({150: ABOVE}, {100, 200, 500, 1000, 2000}, True),
        ({150: 300.0}, {100, 200, 500, 100_000, 200_000}, True),
    ],
    ids=["usual", "almost", "above", "suspended machine"],
)
def test_the_timeline_shows_usual_times_beside_very_long_ones(
    tmp_path: Path, stalls: dict[int, float], printed: set[float], logarithmic: bool
) -> None:
    _, timeline = drawings(tmp_path, stalls)
    assert printed <= labels(timeline)
    assert ("logarithmic" in timeline.caption) is logarithmic


def test_runs_of_one_page_are_on_one_kind_of_axis(tmp_path: Path) -> None:
    """Where one of them was stopped for long, the caption is about both."""
    folders = [
        write_run(tmp_path / f"seed-{seed}", SampleRun(seed=seed, stalls=stalls))
        for seed, stalls in ((1, {}), (2, {150: 300.0}))
    ]
    _, timeline = timing([one.record for one in load_runs(folders)]).drawings
    assert "logarithmic" in timeline.caption
    between = [label for label in labels(timeline) if 100 < label < 115]
    assert not between, "the undisturbed run has a linear axis"


@pytest.mark.parametrize(("slow", "printed"), [(1, {102, 104}), (5, {200, 500, 20_000, 50_000})])
def test_the_distribution_spans_its_percentile_not_the_longest_step(
    tmp_path: Path, slow: int, printed: set[float]
) -> None:
    """One of 239 timed steps is beyond the 99.5th percentile, five are not."""
    distribution, _ = drawings(tmp_path, {150 + number: 60.0 for number in range(slow)})
    assert printed <= labels(distribution)
