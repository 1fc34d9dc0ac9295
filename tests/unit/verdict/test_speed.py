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

from harness.bench.regression.revisions import MORE_PROCESSES, PROCESSES
from harness.verdict.speed import LOOKS, SpeedRecord, judge_speed

RECORDED = Path(__file__).parents[2] / "data" / "gate-blocks.json"
PLANTED = 1.10


def processes() -> list[SpeedRecord]:
    lines = json.loads(RECORDED.read_text())
    return [SpeedRecord.model_validate_json(json.dumps(line)) for line in lines]


def slowed(record: SpeedRecord, factor: float) -> SpeedRecord:
    """The record with a slow-down planted in the training step."""
    step = record.benchmarks["step"]
    planted = step.model_copy(update={"block_s": tuple(factor * s for s in step.block_s)})
    return record.model_copy(update={"benchmarks": {**record.benchmarks, "step": planted}})


def joined(records: list[SpeedRecord]) -> SpeedRecord:
    first, *rest = records
    for record in rest:
        first = first.joined(record)
    return first


def outcomes(comparisons: int, factor: float) -> Counter[str]:
    """How often the gate gave each answer to head = base slowed by `factor`, over all its looks.

    A round is two processes that were recorded one after the other, in either order.
    """
    recorded = processes()
    rounds = [recorded[i : i + 2] for i in range(0, len(recorded) - 1, 2)]
    looks = [PROCESSES + MORE_PROCESSES * i for i in range(LOOKS)]
    assert len(rounds) >= looks[-1], "a comparison draws rounds without replacement"
    generator = np.random.default_rng(20_261_123)
    found: Counter[str] = Counter()
    for _ in range(comparisons):
        drawn = [rounds[i] for i in generator.permutation(len(rounds))]
        turned = [one[:: generator.choice((-1, 1))] for one in drawn]
        answer = "cannot tell"
        for n in looks:
            base = joined([one[0] for one in turned[:n]])
            answer = judge_speed(base, slowed(joined([x[1] for x in turned[:n]]), factor)).outcome
            if answer != "cannot tell":
                break
        found[answer] += 1
    return found


@pytest.mark.parametrize(
    ("factor", "word", "most"),
    [(1.0, "loss", 0.005), (1.0, "gain", 0.005), (1.10, "no loss above bound", 0.05)],
)
@pytest.mark.parametrize("spread", [0.02, 0.06, 0.12])
def test_the_declared_errors_hold_over_all_looks(
    factor: float, word: str, most: float, spread: float
) -> None:
    """Normal log ratios of rounds with a spread of their own: 20,000 comparisons."""
    generator = np.random.default_rng(3)
    logs = np.log(factor) + spread * generator.standard_normal((20_000, 16))
    still, errors = np.ones(len(logs), bool), np.zeros(len(logs), bool)
    for n in (8, 12, 16):
        mean, error = logs[:, :n].mean(axis=1), logs[:, :n].std(axis=1, ddof=1) / np.sqrt(n)
        low, high = (mean + side * stats.t.isf(0.005 / 3, n - 1) * error for side in (-1, 1))
        highest = mean + stats.t.isf(0.05 / 3, n - 1) * error
        loss, gain = (low > 0) & (mean > np.log(1.05)), (high < 0) & (mean < -np.log(1.05))
        fine = ~loss & ~gain & (highest < np.log(1.10))
        errors |= still & {"loss": loss, "gain": gain, "no loss above bound": fine}[word]
        still &= ~(loss | gain | fine)
    assert errors.mean() <= most + 2.6 * np.sqrt(most / len(logs)), errors.mean()


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
