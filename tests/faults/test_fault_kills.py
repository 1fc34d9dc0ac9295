"""SIGKILL at random moments: the run ends as if nothing had happened."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.faults.command import (
    CHECKPOINT_EVERY,
    STEPS,
    Command,
    bits_of,
    check_counted_once,
    ended_within,
    kill,
    wait_for_step,
)
from tests.faults.conftest import Reference, Row

KILLS_OF_A_RUN = 5
START_UP_S = 6.0


@dataclass(frozen=True)
class Moment:
    """When a process is killed: so long after the journal holds so many steps.

    Without a step, so long after the process began.
    """

    step: int | None
    delay_s: float

    def __str__(self) -> str:
        begin = "the start" if self.step is None else f"step {self.step}"
        return f"{self.delay_s:.2f} s after {begin}"


def draw(seed: int, kills: int) -> list[Moment]:
    """Moments over the whole run in order; about one in eight is in the start-up."""
    generator = np.random.default_rng([20_26, seed])
    steps = np.sort(generator.integers(0, STEPS, kills))
    moments = []
    for step in steps.tolist():
        if generator.random() < 1 / 8:
            moments.append(Moment(None, START_UP_S * float(generator.random())))
        else:
            moments.append(Moment(step, 0.8 * float(generator.random())))
    return moments


def kill_at(command: Command, moment: Moment) -> str | None:
    """Kill a run at a moment; what it was doing, or None when it had ended before."""
    left_behind = unfinished(command)
    process = command.start()
    reached = moment.step is None or wait_for_step(command, process, moment.step)
    if not reached or ended_within(process, moment.delay_s):
        command.finish(process)
        return None
    ended = kill(process)
    assert ended.exit_code == -9
    return doing(command, left_behind)


def unfinished(command: Command) -> frozenset[tuple[str, int]]:
    """Checkpoints being written, by name and inode: a later one may have an earlier one's name."""
    found = command.runs.glob(f"smoke-*/seed-{command.seed}/checkpoints/.step-*.tmp")
    return frozenset((path.name, path.stat().st_ino) for path in found)


def doing(command: Command, left_behind: frozenset[tuple[str, int]]) -> str:
    """What the killed process was at, leaving out what an earlier one left behind."""
    steps = command.recorded_steps()
    if steps is None:
        return "killed before the journal"
    if unfinished(command) - left_behind:
        return f"killed writing a checkpoint, {steps} steps recorded"
    return f"killed with {steps} steps recorded"


def check_no_step_lost(command: Command) -> None:
    """Every resume began at the last checkpoint of the journal, or a newer one.

    One checkpoint may still be in writing while the next steps are recorded, so
    at most two intervals are computed again, and no more than was recorded.
    """
    saved, recorded, due, replayed = 0, 0, 0, 0
    for event in command.journal().events:
        if event.event == "checkpoint":
            saved = max(saved, event.step)
        if event.event == "steps":
            recorded = event.step[-1] + 1
        if event.event == "resumed":
            assert event.skipped == ()
            assert event.step >= saved
            due, replayed = recorded - event.step, 0
            assert due <= 2 * CHECKPOINT_EVERY
        if event.event == "replayed":
            replayed += len(event.step)
            assert replayed <= due


def code_without_readers(command: Command) -> int:
    """Exit code of a run to its end; who read its streams goes away while it lasts."""
    recorded = command.recorded_steps() or 0
    process = command.start()
    assert process.stdout is not None
    assert process.stderr is not None
    assert wait_for_step(command, process, min(recorded + 1, STEPS))
    process.stdout.close()
    process.stderr.close()
    return process.wait(600)


def kill_and_compare(
    seed: int, kills: int, digits: Path, runs: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    command = Command(digits, runs)
    told = []
    for moment in draw(seed, kills):
        outcome = kill_at(command, moment)
        if outcome is not None:
            told.append((moment, outcome))
    code = code_without_readers(command)
    equal = code == 0 and bits_of(command.journal()) == uninterrupted.bits
    table += [Row("SIGKILL", str(m), outcome, equal, code) for m, outcome in told]
    assert code == 0
    check_counted_once(command.journal())
    check_no_step_lost(command)
    assert bits_of(command.journal()) == uninterrupted.bits
    assert len(told) == kills


def test_a_few_and_readers_that_go_away(
    digits: Path, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    kill_and_compare(0, 2, digits, tmp_path / "runs", uninterrupted, table)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_fifty(
    seed: int, digits: Path, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    kill_and_compare(seed, KILLS_OF_A_RUN, digits, tmp_path / "runs", uninterrupted, table)
