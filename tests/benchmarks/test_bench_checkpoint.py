"""What a checkpoint of ResNet-50 with slots costs training, and going on at a late step."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pytest_benchmark.fixture import BenchmarkFixture

from harness.models.build import build_model
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.record.journal import JournalWriter, read_journal
from harness.training.background import CheckpointWriter
from harness.training.checkpoint import Written, list_checkpoints, read_latest, write_checkpoint
from harness.training.state import create_state, to_arrays
from harness.training.step import build_step
from tests.record_samples import SampleRun, checkpoint, windows

MOST_STALL_S = 0.5
MOST_RESUME_S = 10.0
"""Beyond the start-up that a new run has as well."""

BATCH = 32
ROUNDS = 5
STEPS_PER_EPOCH = 5_000
LATE_STEP = 499_001
"""Within an epoch: no evaluation is due."""


@pytest.mark.slow
def test_a_checkpoint_stalls_training_by_under_half_a_second(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    """Between real steps, written to the folder of `--basetemp`: name one on a local disk."""
    recipe = APM5_RESNET50.model_copy(update={"batch": BATCH})
    state = create_state(build_model(recipe.model, classes=1000, seed=0), float16=False)
    step = build_step(state, recipe, tf.distribute.get_strategy())
    image = tf.random.stateless_normal((BATCH, 224, 224, 3), (0, 0))
    times: dict[str, list[float]] = {"step": [], "step_beside_writing": [], "stall": []}
    written: list[Written] = []

    def train(name: str) -> None:
        begun = time.perf_counter()
        step(image, tf.range(BATCH), tf.constant(1e-3)).loss.numpy()
        times[name].append(time.perf_counter() - begun)

    def report(one: Written, stall_s: float) -> None:
        written.append(one)
        times["stall"].append(stall_s)

    train("step")
    times["step"].clear()
    with CheckpointWriter(tmp_path, "0123456789abcdef", lambda: None, report) as checkpoints:

        def setup() -> None:
            checkpoints.wait()
            train("step")

        def save() -> None:
            checkpoints.write(len(written), lambda: to_arrays(state))

        for _ in range(ROUNDS):
            setup()
            save()
            train("step_beside_writing")
        benchmark.pedantic(save, setup=setup, rounds=1)
    assert len(written) == ROUNDS + 1
    assert written[0].bytes > 2 * 4 * 25_000_000, "slots are missing"
    benchmark.extra_info |= times | {"bytes": written[0].bytes}
    slower_s = statistics.median(times["step_beside_writing"]) - statistics.median(times["step"])
    benchmark.extra_info["step_slower_by_s"] = slower_s
    assert max(times["stall"]) < MOST_STALL_S, times


def few_digits(folder: Path) -> Path:
    from harness.sources.digits import digit_files

    seen: Counter[str] = Counter()
    for relative, jpeg in digit_files():
        parent = relative.rpartition("/")[0]
        seen[parent] += 1
        if seen[parent] <= 8:
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
    return folder


def command(data: Path, runs: Path, steps: int) -> list[str]:
    phases = [{"epochs": 100, "rate": {"kind": "constant", "rate": 0.001}}]
    return [
        sys.executable, "-m", "harness", "run", APM5_RESNET50.name, "--data", str(data),
        "--runs", str(runs), "--seed", "1", "--steps", str(steps), "--no-tracking",
        "--max-hours", "inf", "--set", "batch=8", "--set", f"steps_per_epoch={STEPS_PER_EPOCH}",
        "--set", f"phases={json.dumps(phases)}",
    ]  # fmt: skip


def seconds_of(words: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - begun


def make_late(folder: Path) -> None:
    """Turn a run of one step into one that recorded and saved `LATE_STEP` of them."""
    journal = read_journal(folder)
    run = SampleRun(steps=LATE_STEP)
    loaded, _ = read_latest(folder / "checkpoints", journal.started.run_id)
    assert loaded is not None
    for old in list_checkpoints(folder / "checkpoints"):
        old.rename(folder / f"moved-{old.name}")
    write_checkpoint(
        folder / "checkpoints", LATE_STEP, journal.started.run_id, loaded.arrays, lambda: None
    )
    journal.path.unlink()
    with JournalWriter(journal.path) as writer:
        writer.append(journal.started)
        for window in windows(run):
            writer.append(window)
        writer.append(checkpoint(run, LATE_STEP))


@pytest.mark.slow
def test_going_on_at_a_late_step_costs_under_ten_seconds(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    """One step of ResNet-50 from the beginning and one after half a million, whole commands."""
    data, runs = few_digits(tmp_path / "digits"), tmp_path / "runs"
    new_s = seconds_of(command(data, runs, 1))
    (folder,) = runs.glob("*/seed-1")
    make_late(folder)
    found: dict[str, Any] = {}

    def resume() -> None:
        found["late_s"] = seconds_of(command(data, runs, LATE_STEP + 1))

    benchmark.pedantic(resume, rounds=1)
    after = read_journal(folder)
    (resumed,) = [e for e in after.interruptions if e.event == "resumed"]
    assert (resumed.step, after.last_step) == (LATE_STEP, LATE_STEP + 1)
    found |= {"new_s": new_s, "journal_bytes": after.path.stat().st_size}
    benchmark.extra_info |= found
    assert found["late_s"] - new_s < MOST_RESUME_S, found
