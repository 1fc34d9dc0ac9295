"""A stop by the early gate, asked for, is journalled as such, and the run can go on."""

from pathlib import Path

import numpy as np
import pytest

from harness.record.schema import RunStarted
from harness.record.summary import summarise
from harness.verdict.checks import status_of
from tests.faults.command import Command
from tests.sample_events import finished, window_of, write_journal

SETTINGS = ("--no-tracking", "--set", "phases.1.epochs=8", "--steps", "8")
"""Long enough a recipe for twenty windows, of which the first ends after five steps."""


def plant_reference(folder: Path, started: RunStarted, seed: int) -> None:
    """A completed run whose losses lie far above those of a real one."""
    n = started.steps_total
    noise = np.random.default_rng(seed).uniform(0.99, 1.01, n)
    window = window_of(
        0,
        n,
        loss=200 * noise,
        gradient_norm=noise,
        correct=2,
        images=8,
        fingerprint=[f"{seed * 10_000 + step:016x}" for step in range(n)],
    )
    end = finished(n, weights_fingerprint=f"{seed:016x}")
    write_journal(folder, (started.model_copy(update={"seed": seed}), window, end))


@pytest.mark.slow
def test_an_unusual_curve_stops_on_request_only(digits: Path, tmp_path: Path) -> None:
    command = Command(digits, tmp_path / "runs", extra=SETTINGS)
    assert command.finish().exit_code == 0
    started = command.journal().started
    for seed in range(11, 16):
        plant_reference(command.folder.parent / f"seed-{seed}", started, seed)

    stopping = Command(digits, tmp_path / "runs", seed=2, extra=(*SETTINGS, "--stop-when-unusual"))
    ended = stopping.finish()
    assert ended.exit_code == 3, ended.stderr
    assert "log mean loss" in ended.stderr
    assert "Traceback" not in ended.stderr
    last = stopping.journal().interruptions[-1]
    assert (last.event, last.reason) == ("interrupted", "gate")
    assert status_of(summarise(stopping.journal())) == "stopped"

    going_on = Command(digits, tmp_path / "runs", seed=2, extra=SETTINGS)
    ended = going_on.finish()
    assert ended.exit_code == 0, ended.stderr
    assert going_on.recorded_steps() == 8
    assert status_of(summarise(going_on.journal())) == "unfinished"
