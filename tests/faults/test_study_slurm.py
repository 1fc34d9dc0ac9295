"""A study and a job of two workers through a real Slurm of one node, started by the test."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.record.journal import read_journal
from harness.record.run_folder import run_folder
from harness.study.jobs import Resources
from harness.study.launch import StudyRequest, run_study
from tests.faults.command import SETTINGS, Command

pytestmark = pytest.mark.slow

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo")
CONFIGURATION = """
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"Slurm is not installed (slurm-wlm, munge): no {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started by root alone")
    if subprocess.run(["sinfo", "-h"], capture_output=True, check=False).returncode == 0:
        pytest.skip("a Slurm runs here already; the test starts its own")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = os.uname().nodename.partition(".")[0]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder))
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge")
    munged = subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "munged"], check=False)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        for daemon in ("slurmctld", "slurmd"):
            subprocess.run([daemon], check=True)
        wait_for_node()
        yield folder
        for daemon in ("slurmd", "slurmctld"):
            os.kill(int((folder / f"{daemon}.pid").read_text()), 15)
    if munged.returncode == 0:  # it did not run before
        os.kill(int(Path("/run/munge/munged.pid").read_text()), 15)


def wait_for_node() -> None:
    for _ in range(100):
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, check=False)
        if done.stdout.strip() == b"idle":
            return
        time.sleep(0.2)
    pytest.skip("Slurm's node did not become idle here")


def told_by_jobs(study: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((study / "jobs").glob("*.err")))


@pytest.mark.usefixtures("slurm")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # submitit leaves its own files open
def test_a_study_runs_through_slurm(digits: Path, tmp_path: Path) -> None:
    request = StudyRequest(
        recipe=with_settings(SMOKE, SETTINGS),
        recipe_name="smoke",
        settings=SETTINGS,
        data=digits,
        seeds=(1, 2),
        runs=tmp_path / "runs",
        options=("--steps", "4"),
        executor="slurm",
        resources=Resources(hours=0.5, cores=1),
        tracking=False,
    )
    report = run_study(request)
    assert report.exit_codes == {1: 0, 2: 0}, told_by_jobs(request.folder)
    for seed in (1, 2):
        folder = run_folder(request.runs, request.recipe, seed).path
        assert read_journal(folder).last_step == 4


@pytest.mark.usefixtures("slurm")
def test_two_tasks_of_a_step_are_two_workers(digits: Path, tmp_path: Path) -> None:
    command = Command(
        digits, tmp_path / "runs", extra=("--no-tracking", "--workers", "2", "--steps", "4")
    )
    words = ["srun", "--ntasks=2", *command.words]
    assert command.words[0] == sys.executable
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert command.journal().started.numerics.workers == 2
