"""The cost of judging long runs; the bound is 100 runs of 500,000 steps in 10 seconds and 1 GB."""

import hashlib
import itertools
import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.analysis.verdict import verdict
from harness.record.journal import FILE_NAME, read_journal
from harness.record.schema import RunFinished
from harness.record.summary import read_summary
from tests.planted_journals import evaluation, imagenet_runs, started
from tests.sample_events import EPOCH_S

RUNS = 4
STEPS = 100_000
ALLOWED_S_PER_STEP = 10 / (100 * 500_000)


@pytest.fixture(scope="module")
def long_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with journals as long in bytes as real ones: 100 steps are about 14 kB."""
    folder = tmp_path_factory.mktemp("long")
    generator = np.random.default_rng(0)
    bodies = [_body(first, generator) for first in range(0, STEPS, 100)]
    for planted in imagenet_runs(77.6, 77.7, 77.8, 77.7):
        run = replace(planted, steps=STEPS, steps_total=STEPS)
        end = RunFinished(
            time_s=EPOCH_S, step=STEPS, status="completed", weights_fingerprint=f"{run.seed:016x}"
        )
        events = [evaluation(run, protocol) for protocol in run.recipe.final_protocols]
        path = folder / f"seed-{run.seed}" / FILE_NAME
        path.parent.mkdir()
        with path.open("w") as file:
            file.write(started(run).model_dump_json() + "\n")
            for body in bodies:
                marks = generator.bytes(1600).hex()
                listed = [marks[i : i + 16] for i in range(0, 1600, 16)]
                file.write(body.replace('"MARKS"', json.dumps(listed, separators=(",", ":"))))
            file.writelines(event.model_dump_json() + "\n" for event in (*events, end))
    return folder


def _body(first: int, generator: np.random.Generator) -> str:
    window: dict[str, object] = {
        "schema_version": 1,
        "time_s": EPOCH_S,
        "event": "steps",
        "step": list(range(first, first + 100)),
    }
    for name in ("step_time_s", "data_wait_s", "loss", "learning_rate", "gradient_norm"):
        window[name] = generator.random(100).tolist()
    window |= {"correct": [64] * 100, "images": [128] * 100, "fingerprint": "MARKS"}
    window |= {"batch_fingerprint": "MARKS", "compiled": []}
    return json.dumps(window, separators=(",", ":")) + "\n"


def test_verdict_over_long_runs(benchmark: BenchmarkFixture, long_study: Path) -> None:
    (judgement,) = benchmark(lambda: verdict([long_study])).each
    assert judgement.word == "reproduced"


def cpu_s(call: Callable[[], object]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


def test_reading_costs_little_more_than_the_digest_of_the_bytes(long_study: Path) -> None:
    """In the same rounds, since processors differ: no line of steps is parsed."""
    paths = sorted(long_study.glob("seed-*"))

    def digested() -> None:
        for path in paths:
            hashlib.sha256((path / FILE_NAME).read_bytes()).hexdigest()

    rounds = [
        (cpu_s(lambda: [read_summary(path) for path in paths]), cpu_s(digested)) for _ in range(7)
    ]
    read_s, digested_s = (min(times) for times in zip(*rounds, strict=True))
    assert read_s < 4 * digested_s, (read_s, digested_s)


@pytest.mark.slow
def test_reading_keeps_within_the_bound(long_study: Path) -> None:
    """The best of five, in CPU seconds, since other work on the machine slows the clock."""
    paths = sorted(long_study.glob("seed-*"))
    best = min(
        cpu_s(lambda: [read_summary(path) for path in paths]) for _ in itertools.repeat(None, 5)
    )
    assert best / (RUNS * STEPS) < ALLOWED_S_PER_STEP, best / (RUNS * STEPS)


def test_memory_does_not_grow_with_the_measurements(long_study: Path) -> None:
    tracemalloc.start()
    summaries = [read_summary(path) for path in sorted(long_study.glob("seed-*"))]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(summaries) == RUNS
    assert peak_bytes / (RUNS * STEPS) < 1e9 / (100 * 500_000)


def test_columns_of_a_long_run(benchmark: BenchmarkFixture, long_study: Path) -> None:
    found = benchmark(lambda: read_journal(long_study / "seed-1").column("loss"))
    assert len(found) == STEPS
