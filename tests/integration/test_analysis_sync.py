import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from harness.cli.judge.sync import command
from harness.errors import RecordError
from harness.record.journal import read_journal
from harness.record.run_folder import RunFolder, find_runs, locked
from harness.tracking.known_runs import KnownRun, known_at, known_beside
from harness.tracking.mirror import default_tracking_uri
from tests.record_samples import SampleRun, write_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # SQLAlchemy 2.1 under MLflow 3.17
)


def test_a_study_is_sent_to_the_store_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = tmp_path / "smoke-00000000"
    write_run(study / "seed-2", SampleRun(seed=2))
    running = write_run(study / "seed-10", SampleRun(seed=10, ends=False))
    with (running / "journal.jsonl").open("ab") as file:
        file.write(b'{"torn')
    with locked(RunFolder(running)):
        done = CliRunner().invoke(command, [str(study), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    documents = json.loads(done.stdout)
    assert [one["steps"] for one in documents] == [240, 240]
    assert "6 bytes of a torn last line left out" in done.stderr
    client = MlflowClient(default_tracking_uri(tmp_path))
    statuses = [client.get_run(one["mlflow_run_id"]).info.status for one in documents]
    assert statuses == ["FINISHED", "RUNNING"]


def test_the_verdict_of_an_ended_study_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = tmp_path / "smoke-00000000"
    runs = [write_run(study / f"seed-{n}", SampleRun(seed=n)) for n in (1, 2)]

    def send(*paths: Path) -> str:
        done = CliRunner().invoke(command, [str(path) for path in paths], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stderr

    assert "no verdict yet: seed-2 not ended or not named" in send(runs[0])
    assert "verdict" in send(study)
    client = MlflowClient(default_tracking_uri(tmp_path))
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = {run.info.run_name: run for run in client.search_runs(experiments)}
    assert set(found) == {
        "smoke-00000000 on digits",
        "smoke-00000000 seed 1",
        "smoke-00000000 seed 2",
    }
    assert len({run.data.tags["verdict"] for run in found.values()}) == 1
    parent = found["smoke-00000000 on digits"].info.run_id
    assert [f.path for f in client.list_artifacts(parent)] == ["smoke-00000000.html"]
    # What a verdict reads of the tracker without MLflow is what MLflow was told.
    client.delete_run(found["smoke-00000000 seed 2"].info.run_id)
    journals = {seed: read_journal(run) for seed, run in zip(("1", "2"), runs, strict=True)}
    known = known_beside(tmp_path)
    asked = known_at(default_tracking_uri(tmp_path), known.runs[0].recipe_digest)
    assert asked == known
    for one in known.runs:
        started = journals[one.seed].started
        assert one == KnownRun(
            run_id=started.run_id,
            seed=one.seed,
            recipe_digest=started.recipe_digest,
            data_root=started.data.root_digest,
            head=journals.pop(one.seed).head.text,
            ended=True,
            deleted=one.seed == "2",
            top1=196 / 200,
        )
    assert not journals


def test_runs_are_found_by_folder_journal_and_study_each_once(tmp_path: Path) -> None:
    study = tmp_path / "study"
    for seed in (2, 10):
        write_run(study / f"seed-{seed}", SampleRun(seed=seed, steps=5))
    first, second = study / "seed-2", study / "seed-10"
    assert find_runs([study]) == (first, second)
    assert find_runs([second / "journal.jsonl", study, first]) == (second, first)
    with pytest.raises(RecordError, match="this folder holds studies"):
        find_runs([tmp_path])
