"""Signals at random moments, readers and terminals that go away: the bits stay the same."""

import fcntl
import os
import pty
import random
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.faults.command import (
    STEPS,
    Command,
    bits_of,
    check_counted_once,
    ended_within,
    kill,
    wait_for_step,
)
from tests.faults.conftest import Reference, Row
from tests.faults.test_fault_processes import (
    check_preempted,
    goes_on_equal,
    second_is_refused_and_sigterm_stops,
)

SIGNALS = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU,
)  # fmt: skip


def stopped_by_each(
    command: Command,
    signals: Sequence[signal.Signals],
    draw: random.Random,
    table: list[Row],
    ahead: int = 8,
) -> None:
    """Send the signals to one run after the other, each at a random moment, and go on each time."""
    for number in signals:
        recorded = command.recorded_steps() or 0
        step = draw.randint(recorded + 1, min(recorded + ahead, STEPS - 3))
        process = command.start()
        assert wait_for_step(command, process, step)
        ended_within(process, draw.uniform(0, 0.05))
        stopped = check_preempted(command, kill(process, number), number.name)
        table.append(Row(number.name, f"step {stopped}", "checkpoint written", None, 75))


@pytest.mark.slow
@pytest.mark.parametrize("pair", range(3))
@pytest.mark.parametrize("seed", range(10))
def test_every_signal_at_ten_random_moments(
    seed: int,
    pair: int,
    digits: Path,
    tmp_path: Path,
    uninterrupted: Reference,
    table: list[Row],
) -> None:
    signals = random.Random(seed).sample(SIGNALS, len(SIGNALS))[2 * pair : 2 * pair + 2]
    command = Command(digits, tmp_path / "runs")
    stopped_by_each(command, signals, random.Random(f"{seed}-{pair}"), table)
    names = " and ".join(number.name for number in signals)
    goes_on_equal(command, uninterrupted, table, (names, f"draw {seed}", "went on"))


def own_terminal() -> None:
    """In the child: standard error is the terminal of a session of its own."""
    os.setsid()
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)


def nohup() -> None:
    own_terminal()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def start_at_terminal(
    command: Command, before: Callable[[], None]
) -> "tuple[subprocess.Popen[str], int]":
    """Start on a terminal; a thread reads what is shown. Returns the process and its reader."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command.words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=before,  # noqa: PLW1509 - the other thread only reads
        text=True,
    )
    os.close(theirs)

    def read() -> None:
        try:
            while os.read(ours, 4096):
                pass
        except OSError:
            return

    threading.Thread(target=read, daemon=True).start()
    return process, ours


def test_one_run_is_stopped_in_every_way_and_goes_on(
    digits: Path, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    """A second process, SIGTERM, SIGHUP, SIGUSR1, and a terminal that vanishes without nohup.

    Then the terminal vanishes under nohup: the training ends by itself, with the same bits.
    """
    command = Command(digits, tmp_path / "runs")
    second_is_refused_and_sigterm_stops(command, table)
    stopped_by_each(command, (signal.SIGHUP, signal.SIGUSR1), random.Random(0), table)
    assert without_terminal(command, own_terminal) == 75
    last = command.journal().events[-1]
    assert (last.event, last.detail) == ("interrupted", "received SIGHUP")
    table.append(Row("terminal gone", f"step {last.step}", "checkpoint written", None, 75))

    code = without_terminal(command, nohup)
    table.append(Row("terminal gone under nohup", "later", "training went on", True, code))
    assert code == 0
    check_counted_once(command.journal())
    assert bits_of(command.journal()) == uninterrupted.bits


def without_terminal(command: Command, before: Callable[[], None]) -> int:
    """Exit code of the command whose terminal vanishes once it has done a step more."""
    recorded = command.recorded_steps() or 0
    process, ours = start_at_terminal(command, before)
    assert wait_for_step(command, process, recorded + 1)
    os.close(ours)
    return process.wait(600)


@pytest.mark.slow
def test_no_worker_outlives_a_launcher_that_is_killed(digits: Path, tmp_path: Path) -> None:
    extra = ("--no-tracking", "--workers", "2")
    command = Command(digits, tmp_path / "runs", extra=extra)
    launcher = command.start()
    assert wait_for_step(command, launcher, 3)
    workers = psutil.Process(launcher.pid).children(recursive=True)
    assert len(workers) >= 2
    launcher.kill()
    gone, alive = psutil.wait_procs(workers, timeout=120)
    assert (len(gone), alive) == (len(workers), [])
    last = command.journal().events[-1]
    assert (last.event, last.reason) == ("interrupted", "signal")


@pytest.mark.slow
def test_a_study_stops_with_its_jobs(digits: Path, tmp_path: Path) -> None:
    """SIGTERM to the study alone: its jobs write checkpoints, all end, the study says 75."""
    command = Command(digits, tmp_path / "runs")
    words = command.words
    words[words.index("run")] = "study"
    place = words.index("--seed")
    words[place : place + 2] = ["--seeds", "1-2", "--at-once", "2"]
    for option in ("--checkpoint-every", "--max-hours"):
        place = words.index(option)
        del words[place : place + 2]
    study = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert wait_for_step(replace(command, seed=1), study, 2)
    jobs = psutil.Process(study.pid).children(recursive=True)
    ended = kill(study, signal.SIGTERM)
    assert ended.exit_code == 75, ended.stderr
    assert "the study was stopped by SIGTERM" in ended.stderr
    psutil.wait_procs(jobs, timeout=10)
    assert not any(job.is_running() for job in jobs)
    last = command.journal().events[-1]
    assert (last.event, last.detail) == ("interrupted", "received SIGTERM")
    assert time.time() - last.time_s < 600
