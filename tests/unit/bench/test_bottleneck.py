"""Which part of a training is named as its bottleneck, and what the tracker takes."""

import itertools
from pathlib import Path

import pytest

from harness.bench.bottleneck import Part, slowest
from harness.bench.tracker import WINDOW_STEPS, bench_tracker
from tests.sample_events import NUMERICS

PARTS: tuple[Part, ...] = ("input", "step", "tracker")


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)))
def test_the_slowest_part_is_named(order: tuple[Part, ...]) -> None:
    assert slowest({part: 10.0 * (n + 1) for n, part in enumerate(order)}) == order[0]


@pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # SQLAlchemy 2.1 under MLflow 3.17
)
def test_a_record_is_timed_without_the_first_run(tmp_path: Path) -> None:
    readings = iter((100.0, 104.0))
    rate = bench_tracker(tmp_path, numerics=NUMERICS, windows=3, now=lambda: next(readings))
    assert rate == 3 * WINDOW_STEPS / 4.0
    recorded = [
        len(p.read_text().splitlines()) for p in sorted((tmp_path / "study").rglob("journal.jsonl"))
    ]
    assert recorded == [2, 4]
