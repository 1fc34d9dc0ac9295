"""A study through submitit's local executor: real jobs, one of them preempted."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.record.journal import read_journal
from harness.record.run_folder import run_folder
from harness.study.launch import StudyReport, StudyRequest, run_study
from harness.study.status import study_status
from tests.few_digits import every_nth_digit

SETTINGS = (
    "model.name=he2015-cifar-resnet20-a",
    "batch=8",
    "model.image_size=16",
    "epoch_protocol.crop_size=16",
)
STEPS = 12
LONGEST_S = 400


@pytest.fixture
def request_(tmp_path: Path) -> StudyRequest:
    data = every_nth_digit(tmp_path / "digits", 12)
    return StudyRequest(
        recipe=with_settings(SMOKE, SETTINGS),
        recipe_name="smoke",
        settings=SETTINGS,
        data=data,
        seeds=(1, 2),
        runs=tmp_path / "runs",
        options=("--steps", str(STEPS), "--checkpoint-every", "6"),
        at_once=2,
    )


def train_of(runs: Path, seed: int) -> psutil.Process | None:
    """The process that trains a seed, found by its own command line."""
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if str(runs) in words and words[words.index("--seed") + 1] == str(seed):
            return process
    return None


def test_a_study_ends_although_a_job_is_preempted(request_: StudyRequest) -> None:
    reports: list[StudyReport] = []
    study = threading.Thread(
        target=lambda: reports.append(run_study(request_, pause_s=0.1)), daemon=True
    )
    study.start()
    journal = run_folder(request_.runs, request_.recipe, 1).journal
    give_up = time.monotonic() + LONGEST_S
    while not (journal.exists() and b"run_started" in journal.read_bytes()):
        assert time.monotonic() < give_up
        study.join(0.05)
    victim = train_of(request_.runs.resolve(), 1)
    assert victim is not None
    victim.terminate()
    states = {s.state for s in study_status(request_.folder).seeds}
    assert states <= {"running", "waiting", "unfinished"}
    study.join(LONGEST_S)
    assert not study.is_alive()

    (report,) = reports
    assert report.exit_codes == {1: 0, 2: 0}
    assert report.requeued == {1: 1}
    for seed in request_.seeds:
        run = read_journal(run_folder(request_.runs, request_.recipe, seed).path)
        assert run.last_step == STEPS
        assert run.started.seed == seed
    assert (request_.runs / "mlflow.db").exists()
    status = study_status(request_.folder)
    assert [s.step for s in status.seeds] == [STEPS, STEPS]
