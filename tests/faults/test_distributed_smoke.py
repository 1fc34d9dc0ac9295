"""The smoke's whole training by two workers: one is killed in the middle, and nothing shows it."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.baselines.loading import baselines_folder, load_target
from harness.sources.digits import write_digits
from tests.faults.command import Command, ended_within, wait_for_step
from tests.faults.conftest import Row
from tests.faults.workers import LONGEST_END_S, WORKERS, start

pytestmark = pytest.mark.slow

STEPS = 405
KILLED_AFTER = 210
"""In the middle of a pass of 45 steps, ten after a checkpoint."""
LONGEST_START_S = 60.0


@dataclass(frozen=True)
class Smoke(Command):
    """`harness run smoke` as it is shipped, by two workers."""

    @property
    def words(self) -> list[str]:
        return [
            sys.executable, "-m", "harness", "run", "smoke", "--data", str(self.data),
            "--runs", str(self.runs), "--seed", str(self.seed), "--checkpoint-every", "10",
            *WORKERS, *self.extra,
        ]  # fmt: skip

    @property
    def top1_accuracy(self) -> float:
        """With ten crops, after the last step."""
        (last,) = (e for e in self.journal().evaluations if e.protocol.name == "ten_crop")
        assert (last.step, last.complete) == (STEPS, True)
        return last.top1_accuracy


@pytest.fixture(scope="module")
def all_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "digits"
    write_digits(folder)
    return folder


def test_a_job_of_two_makes_its_first_step_within_a_minute(
    all_digits: Path, tmp_path: Path, table: list[Row]
) -> None:
    command = Smoke(all_digits, tmp_path / "runs", extra=("--steps", "1"))
    begin = time.monotonic()
    process = command.start()
    assert wait_for_step(command, process, 1)
    first_step_s = time.monotonic() - begin
    assert command.finish(process).exit_code == 0
    assert first_step_s < LONGEST_START_S
    table.append(Row("none, two workers", "-", f"first step after {first_step_s:.1f} s", None, 0))


def test_a_worker_killed_in_the_middle_of_the_smoke_leaves_no_difference(
    all_digits: Path, tmp_path: Path, table: list[Row]
) -> None:
    target = load_target(baselines_folder() / "smoke.toml").threshold
    assert target is not None
    undisturbed = Smoke(all_digits, tmp_path / "undisturbed", extra=())
    begin = time.monotonic()
    ended = undisturbed.finish()
    took_s = time.monotonic() - begin
    assert ended.exit_code == 0, ended.stderr
    assert undisturbed.top1_accuracy >= target

    killed = Smoke(all_digits, tmp_path / "killed", extra=())
    job = start(killed)
    assert wait_for_step(killed, job.launcher, KILLED_AFTER)
    job.workers[1].kill()
    assert ended_within(job.launcher, LONGEST_END_S)
    assert job.launcher.returncode == 75
    assert KILLED_AFTER <= killed.journal().last_step < STEPS
    job.launcher.communicate()
    again = killed.finish()
    assert again.exit_code == 0, again.stderr
    assert killed.top1_accuracy == undisturbed.top1_accuracy

    words = [sys.executable, "-m", "harness", "diff", str(undisturbed.folder), str(killed.folder)]
    diff = subprocess.run(words, capture_output=True, text=True, check=False)
    assert diff.returncode == 0, diff.stdout
    assert re.search(rf"All {STEPS} common steps are equal to the bit", diff.stdout)
    outcome = f"{100 * killed.top1_accuracy:.2f} %, undisturbed in {took_s:.0f} s"
    table.append(Row("worker 1 of 2 killed", f"step {KILLED_AFTER}", outcome, True, 75))
