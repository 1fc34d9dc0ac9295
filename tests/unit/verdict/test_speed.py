"""The gate's own errors, counted on recorded blocks of real timings.

`tests/data/gate-blocks.json` holds processes of one revision, recorded one
after the other. A comparison draws processes for base and for head without
replacement, so that what blocks of a process share stays shared.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.bench.regression.revisions import PROCESSES
from harness.verdict.speed import SpeedRecord, Timings, judge_speed

RECORDED = Path(__file__).parents[2] / "data" / "gate-blocks.json"
PLANTED = 1.10


def processes() -> list[SpeedRecord]:
    lines = json.loads(RECORDED.read_text())
    return [SpeedRecord.model_validate_json(json.dumps(line)) for line in lines]


def slowed(record: SpeedRecord, factor: float) -> SpeedRecord:
    """The record with a slow-down planted in the training step."""
    step = record.benchmarks["step"]
    planted = Timings(
        block_s=tuple(factor * s for s in step.block_s), calibration_s=step.calibration_s
    )
    return record.model_copy(update={"benchmarks": {**record.benchmarks, "step": planted}})


def joined(records: list[SpeedRecord]) -> SpeedRecord:
    first, *rest = records
    for record in rest:
        first = first.joined(record)
    return first


def outcomes(comparisons: int, factor: float) -> Counter[str]:
    """How often the gate gave each answer to head = base slowed by `factor`."""
    recorded = processes()
    assert len(recorded) >= 2 * PROCESSES, "a comparison draws processes without replacement"
    generator = np.random.default_rng(20_261_123)
    found: Counter[str] = Counter()
    for _ in range(comparisons):
        drawn = generator.permutation(len(recorded))[: 2 * PROCESSES]
        base = joined([recorded[i] for i in drawn[:PROCESSES]])
        head = slowed(joined([recorded[i] for i in drawn[PROCESSES:]]), factor)
        found[judge_speed(base, head).outcome] += 1
    return found


def upper_bound(events: int, trials: int) -> float:
    """Clopper and Pearson's one-sided 95 % bound."""
    return float(stats.beta.ppf(0.95, events + 1, trials - events))


@pytest.mark.parametrize(
    "comparisons", [500, pytest.param(10_000, marks=pytest.mark.slow)], ids=["quick", "full"]
)
def test_equal_revisions_raise_no_alarm(comparisons: int) -> None:
    found = outcomes(comparisons, 1.0)
    assert upper_bound(found["loss"], comparisons) <= 0.01, found


@pytest.mark.parametrize(
    "comparisons", [500, pytest.param(10_000, marks=pytest.mark.slow)], ids=["quick", "full"]
)
def test_a_planted_slow_down_is_found(comparisons: int) -> None:
    found = outcomes(comparisons, PLANTED)
    missed = comparisons - found["loss"]
    assert 1 - upper_bound(missed, comparisons) >= 0.95, found
