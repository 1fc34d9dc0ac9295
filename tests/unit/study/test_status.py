"""Seeds as text, and the state of a study as its journals tell it."""

import statistics
from pathlib import Path

import pytest

from harness.errors import DataError, MachineError, RecordError, UsageError
from harness.recipes.smoke import SMOKE
from harness.record.journal import JournalWriter
from harness.record.run_folder import RunFolder, locked, write_json
from harness.record.schema import Interrupted, RunFinished
from harness.study.jobs import Resources, check_slurm, open_executor
from harness.study.launch import StudyRequest, parse_seeds, run_study
from harness.study.status import study_status
from tests.record_samples import SampleRun, started, windows, write_run
from tests.sample_events import EPOCH_S


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", (3,)), ("0-2", (0, 1, 2)), ("1,5-6, 9", (1, 5, 6, 9)), ("4-4", (4,))],
)
def test_seeds_are_read(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", "a", "3-1", "-1", "1-", "1,,2", "1.5", "0-9999999999", "2147483648", "²", "9" * 5000],
)
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no list of seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("0-2147483647", "2,147,483,648 seeds"), ("0-9999,20000", "10,001 seeds")],
)
def test_more_seeds_than_any_study_has_are_refused_before_they_are_listed(
    text: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        parse_seeds(text)
    assert len(parse_seeds("0-9999")) == 10_000


@pytest.mark.parametrize("text", ["1,1", "0-3,2"])
def test_a_seed_twice_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_seeds(text)


def test_a_study_without_data_starts_no_job(tmp_path: Path) -> None:
    request = StudyRequest(SMOKE, "smoke", (), tmp_path / "none", (1, 2), tmp_path / "runs")
    with pytest.raises(DataError):
        run_study(request)
    assert not request.runs.exists()


def test_slurm_is_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no sbatch"):
        check_slurm({"PATH": str(tmp_path)})
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    check_slurm({"PATH": str(tmp_path)})


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # submitit leaves its own files open
def test_a_slurm_that_takes_no_job_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sbatch", "srun"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho no controller answers >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    executor = open_executor("slurm", tmp_path / "jobs", Resources())
    with pytest.raises(MachineError, match=r"did not take a job: .*no controller answers") as told:
        executor.submit(1, ("run",))
    assert told.value.exit_code == 2


def test_each_state_of_a_seed_is_told(tmp_path: Path) -> None:
    study = tmp_path / "smoke-12345678"
    write_json(study_file(study), {"seeds": [0, 1, 2, 3, 4], "jobs": {"4": "77"}})
    endings = {
        0: [RunFinished(time_s=EPOCH_S, step=20, status="completed", weights_fingerprint="0" * 16)],
        1: [],
        2: [Interrupted(time_s=EPOCH_S, step=20, reason="worker_lost", detail="worker 1 was lost")],
        3: [],
    }
    for seed, ending in endings.items():
        with JournalWriter(study / f"seed-{seed}" / "journal.jsonl") as writer:
            run = SampleRun(seed=seed)
            for event in (started(run), *windows(run, 0, 20), *ending):
                writer.append(event)
    with locked(RunFolder(study / "seed-1")):
        status = study_status(study)
    states = {s.seed: s.state for s in status.seeds}
    assert states == {
        0: "done", 1: "running", 2: "unfinished", 3: "unfinished", 4: "waiting",
    }  # fmt: skip
    by_seed = {s.seed: s for s in status.seeds}
    assert by_seed[2].detail == "worker 1 was lost"
    assert by_seed[3].detail == "its process is gone"
    assert by_seed[4].detail == "job 77"
    assert by_seed[1].step == 20
    assert by_seed[1].images_per_s is not None
    assert "1 of 5 seeds done" in status.text()


def study_file(study: Path) -> Path:
    study.mkdir(parents=True)
    return study / "study.json"


def test_time_left_is_the_median_step_times_the_steps_to_come(tmp_path: Path) -> None:
    study = tmp_path / "s"
    with JournalWriter(study / "seed-0" / "journal.jsonl") as writer:
        run = SampleRun(seed=0)
        writer.append(started(run))
        (window,) = windows(run, 0, 11)
        writer.append(window)
    (seed,) = study_status(study, is_running=lambda _folder: True).seeds
    middle = statistics.median(window.step_time_s[1:])  # the first holds compilation
    assert seed.seconds_left == pytest.approx((240 - 11) * middle)
    assert seed.images_per_s == pytest.approx(32 / middle)


def test_a_folder_of_another_name_is_no_seed(tmp_path: Path) -> None:
    write_run(tmp_path / "seed-1", SampleRun())
    (tmp_path / "seed-1-copy").mkdir()
    assert [seed.seed for seed in study_status(tmp_path).seeds] == [1]


@pytest.mark.parametrize("text", ["{", "[]", '{"seeds": 1, "jobs": {}}', '{"seeds": ["x"]}'])
def test_a_damaged_description_is_named(tmp_path: Path, text: str) -> None:
    study_file(tmp_path / "s").write_text(text)
    with pytest.raises(RecordError, match=r"description cannot be read"):
        study_status(tmp_path / "s")


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no study here"):
        study_status(tmp_path)
