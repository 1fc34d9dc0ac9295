"""Real workers on loopback, killed and stopped at random: the run ends as if nothing had been."""

import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from harness.distributed.cluster import TF_CONFIG, Cluster
from harness.distributed.launcher import free_addresses
from tests.faults.command import (
    STEPS,
    Command,
    bits_of,
    check_counted_once,
    ended_within,
    wait_for_step,
)
from tests.faults.workers import LONGEST_END_S, WORKERS, start

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(digits, tmp_path_factory.mktemp("workers") / "runs", extra=WORKERS)
    ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    return command


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("draw", range(2))
def test_a_killed_worker_ends_the_job_and_the_same_command_continues_exactly(
    undisturbed: Command, tmp_path: Path, victim: int, draw: int
) -> None:
    generator = np.random.default_rng([9, victim, draw])
    command = Command(undisturbed.data, tmp_path / "runs", extra=WORKERS)
    job = start(command)
    assert wait_for_step(command, job.launcher, int(generator.integers(3, STEPS - 10)))
    time.sleep(0.5 * float(generator.random()))
    job.workers[victim].kill()
    begin = time.monotonic()
    stdout, stderr = job.launcher.communicate(timeout=600)
    assert time.monotonic() - begin < LONGEST_END_S, stdout
    assert job.launcher.returncode == 75
    assert f"worker {victim} at" in stderr
    assert f"worker {victim} was killed by SIGKILL" in stderr
    if victim == 1:
        assert command.journal().interruptions[-1].reason == "worker_lost"  # type: ignore[union-attr]
    ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    assert bits_of(command.journal()) == bits_of(undisturbed.journal())


@pytest.mark.parametrize("asked", [0, 1])
def test_a_notice_at_any_worker_makes_a_common_checkpoint(
    undisturbed: Command, tmp_path: Path, asked: int
) -> None:
    command = Command(undisturbed.data, tmp_path / "runs", extra=WORKERS)
    job = start(command)
    assert wait_for_step(command, job.launcher, 7)
    job.workers[asked].send_signal(signal.SIGTERM)
    _, stderr = job.launcher.communicate(timeout=600)
    assert job.launcher.returncode == 75, stderr
    stopped = command.journal().interruptions[-1]
    assert stopped.event == "interrupted"
    assert stopped.reason == "signal"
    assert f"SIGTERM at worker {asked}" in stopped.detail
    assert command.journal().checkpoints[-1].step == stopped.step
    ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
    assert bits_of(command.journal()) == bits_of(undisturbed.journal())


def test_another_number_of_workers_is_a_change_of_numerics(
    undisturbed: Command, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    two = Command(undisturbed.data, runs, extra=(*WORKERS, "--steps", "15"))
    assert two.finish().exit_code == 0
    one = Command(undisturbed.data, runs)
    refused = one.finish()
    assert refused.exit_code == 2
    assert "workers" in refused.stderr
    accepted = Command(undisturbed.data, runs, extra=("--no-tracking", "--accept-numerics"))
    ended = accepted.finish()
    assert ended.exit_code == 0, ended.stderr
    journal = accepted.journal()
    check_counted_once(journal)
    resumed = journal.interruptions[-1]
    assert resumed.event == "resumed"
    assert (journal.started.numerics.workers, resumed.numerics.workers) == (2, 1)
    assert resumed.accepted_numerics
    assert resumed.step == 15


def test_a_worker_that_hangs_is_lost(undisturbed: Command, tmp_path: Path) -> None:
    command = Command(undisturbed.data, tmp_path / "runs", extra=WORKERS)
    job = start(command)
    assert wait_for_step(command, job.launcher, 4)
    job.workers[1].suspend()
    begin = time.monotonic()
    while job.workers[0].is_running() and not ended_within(job.launcher, 0.2):
        if not job.workers[0].is_running() or job.workers[0].status() == psutil.STATUS_ZOMBIE:
            break
        assert time.monotonic() - begin < LONGEST_END_S
    assert time.monotonic() - begin < LONGEST_END_S
    job.workers[1].kill()
    job.launcher.communicate(timeout=60)
    assert job.launcher.returncode == 75


@pytest.mark.parametrize("late", [0, 1])
def test_a_worker_that_starts_late_is_waited_for(digits: Path, tmp_path: Path, late: int) -> None:
    addresses = free_addresses(2)
    processes = []
    for worker in range(2):
        command = Command(
            digits,
            tmp_path / "runs",
            extra=("--no-tracking", "--steps", "4"),
            fault="late_import" if worker == late else None,
            environment=((TF_CONFIG, Cluster(addresses, worker).tf_config()),),
        )
        processes.append((command, command.start()))
    ended = [command.finish(process) for command, process in processes]
    assert [one.exit_code for one in ended] == [0, 0], [one.stderr for one in ended]
