"""A study's order of things: what a signal stops, and what stands in MLflow at its end."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.train.study import _job_options
from harness.errors import PreemptedError, UsageError
from harness.recipes.smoke import SMOKE
from harness.record.run_folder import run_folder
from harness.study import launch
from harness.study.launch import StudyRequest, run_study
from harness.tracking.client import default_tracking_uri, prepare_client
from tests.planted_journals import plant, smoke_runs


@dataclass
class Job:
    """A job that ends when it is asked to, or at once."""

    seed: int
    code: int | None
    output: Path = Path("nowhere")

    @property
    def job_id(self) -> str:
        return str(self.seed)

    def done(self) -> bool:
        return self.code is not None

    def ended(self) -> tuple[int, str]:
        assert self.code is not None
        return self.code, ""

    def stop(self) -> None:
        self.code = 75 if self.code is None else self.code


@dataclass
class Executor:
    """Starts nothing: `work` is called with the seed instead, and says how its job ended."""

    work: Callable[[int], int | None]
    submitted: list[int] = field(default_factory=list)

    def submit(self, seed: int, _arguments: tuple[str, ...]) -> Job:
        self.submitted.append(seed)
        return Job(seed, self.work(seed))


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database that tests copy: migrating takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    prepare_client(default_tracking_uri(folder)).search_experiments()
    return folder / "mlflow.db"


def study_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[int], int | None], **asked: Any
) -> tuple[StudyRequest, Executor]:
    executor = Executor(work)
    monkeypatch.setattr(launch, "open_executor", lambda *_: executor)
    monkeypatch.setattr(launch, "find_dataset", lambda _: None)
    request = StudyRequest(
        recipe=SMOKE, recipe_name="smoke", settings=(), data=folder / "data", seeds=(1, 2, 3),
        runs=folder / "runs", **asked,
    )  # fmt: skip
    return request, executor


def test_a_signal_while_a_seed_is_sent_to_the_tracker_starts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, executor = study_of(tmp_path, monkeypatch, lambda _: 0, at_once=1)
    monkeypatch.setattr(launch, "_send_to_tracker", lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(PreemptedError, match="SIGTERM: 1 of 3 seeds are done"):
        run_study(request, pause_s=0)
    assert executor.submitted == [1]


@pytest.mark.parametrize("at_once", [None, 1])
def test_a_signal_while_a_job_is_submitted_stops_that_job_and_starts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int | None
) -> None:
    request, executor = study_of(
        tmp_path, monkeypatch, lambda _: signal.raise_signal(signal.SIGTERM),
        at_once=at_once, tracking=False,
    )  # fmt: skip
    with pytest.raises(PreemptedError, match="SIGTERM: 0 of 3 seeds are done"):
        run_study(request, pause_s=0)
    assert executor.submitted == [1]


@pytest.mark.parametrize("seeds", [(1, 2), (1,)])
def test_the_answer_of_all_seeds_stands_in_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path, seeds: tuple[int, ...]
) -> None:
    planted = {run.seed: run for run in smoke_runs(350, 352)}

    def work(seed: int) -> int:
        plant(run_folder(request.runs, SMOKE, seed).path, planted[seed])
        return 0

    request, _ = study_of(tmp_path, monkeypatch, work, at_once=1)
    request = replace(request, seeds=seeds)
    request.runs.mkdir()
    (request.runs / "mlflow.db").write_bytes(empty_store.read_bytes())
    said: list[str] = []
    assert run_study(request, said.append, pause_s=0).exit_code == 0
    assert not [words for words in said if "not recorded" in words], said
    client = prepare_client(default_tracking_uri(request.runs))
    (experiment,) = client.search_experiments(filter_string="name != 'Default'")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.metrics["study/runs"] == len(seeds)
    wanted = "reproduced" if len(seeds) == 2 else "inconclusive"
    assert parent.data.tags["verdict"] == wanted


def test_a_failed_job_is_shown_with_the_end_of_its_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = tmp_path / "seed-1.err"
    messages.write_bytes(b"long ago\n" * 20 + b"harness: no such field \xff\n  what to do: this\n")

    class Failing(Executor):
        def submit(self, seed: int, _arguments: tuple[str, ...]) -> Job:
            return Job(seed, 2 if seed < 3 else 0, messages if seed == 1 else Path("nowhere"))

    request, _ = study_of(tmp_path, monkeypatch, lambda _: 0, tracking=False)
    monkeypatch.setattr(launch, "open_executor", lambda *_: Failing(lambda _: 0))
    said: list[str] = []
    assert run_study(request, said.append, pause_s=0).exit_code == 2
    first, second, third = [words for words in said if "ended" in words]
    assert first.startswith("seed 1: ended with exit code 2\n    long ago\n")
    assert first.endswith("    harness: no such field \ufffd\n      what to do: this")
    assert len(first.splitlines()) == 1 + launch.MESSAGE_LINES
    assert (second, third) == (
        "seed 2: ended with exit code 2", "seed 3: ended with exit code 0",
    )  # fmt: skip


def test_devices_that_no_job_could_take_start_none() -> None:
    with pytest.raises(UsageError, match="--devices foo is no number of devices"):
        _job_options(SMOKE, "foo", None, ())
    assert _job_options(SMOKE, "cpu:2", 5, ()) == ("--devices", "cpu:2", "--steps", "5")
