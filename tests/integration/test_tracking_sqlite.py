import json
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness.record.journal import JournalWriter, read_journal
from harness.record.schema import Interrupted, Resumed
from harness.tracking.client import CREATED_TAG
from harness.tracking.mirror import (
    EXPERIMENT,
    StudyResult,
    default_tracking_uri,
    open_mirror,
    record_study,
    sync_run,
)
from harness.tracking.nested import PARENT_TAG
from tests.record_samples import (
    SampleRun,
    checkpoint,
    events,
    started,
    windows,
    write_run,
    write_start_files,
)
from tests.sample_events import EPOCH_S, NUMERICS

pytestmark = pytest.mark.filterwarnings(
    # MLflow 3.17 maps one column with a loader that SQLAlchemy 2.1 deprecates; the mirror ignores
    # it too, but these tests also look into the store by themselves.
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)
RUN = SampleRun()
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database that tests copy: migrating takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(default_tracking_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def runs(tmp_path: Path, empty_store: Path) -> Path:
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return tmp_path


def run_dir(runs: Path, seed: int = 1) -> Path:
    return runs / "smoke-00000000" / f"seed-{seed}"


def all_runs(runs: Path) -> dict[str, Run]:
    client = MlflowClient(default_tracking_uri(runs))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def rows(runs: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(runs / "mlflow.db") as database:
        return sorted(
            database.execute(
                "select key, value, timestamp, step, run_uuid, is_nan from metrics "
                "where key not like 'system/%'"
            )
        )


def publish_whole(runs: Path, run: SampleRun, *, every_step: bool = False) -> None:
    """Write and publish a run event by event, as a training does."""
    folder = run_dir(runs, run.seed)
    write_start_files(folder, run)
    mirror = open_mirror(
        tracking_uri=default_tracking_uri(runs),
        run_dir=folder,
        study="a study",
        every_step=every_step,
    )
    with JournalWriter(folder / "journal.jsonl") as journal:
        for event in events(folder, run):
            journal.append(event)
            journal.sync()
            mirror.publish(event)
    outcome = mirror.close(LIMIT_S)
    assert outcome.complete, outcome.reason


def test_a_run_is_a_child_of_its_study_with_metrics_params_and_files(runs: Path) -> None:
    publish_whole(runs, RUN)
    found = all_runs(runs)
    child, parent = found["a study seed 1"], found["a study on digits"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.data.params["recipe.model.name"] == "apm5-resnet18-v2"
    assert child.data.metrics["ten_crop/top1_accuracy"] == 0.98
    assert child.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert child.inputs.dataset_inputs[0].dataset.digest == "d" * 36
    client = MlflowClient(default_tracking_uri(runs))
    top = {file.path for file in client.list_artifacts(child.info.run_id)}
    assert top == {"recipe.json", "environment.json", "journal.jsonl", "predictions"}
    assert len(client.list_artifacts(child.info.run_id, "predictions")) == 2
    assert (runs / "mlartifacts").is_dir()


def test_sending_again_changes_nothing(runs: Path) -> None:
    publish_whole(runs, RUN)
    before = rows(runs)
    for _ in range(2):
        sync_run(
            read_journal(run_dir(runs)), tracking_uri=default_tracking_uri(runs), study="a study"
        )
    assert rows(runs) == before
    assert len(all_runs(runs)) == 2


def test_sync_alone_gives_what_the_mirror_gave(
    runs: Path, empty_store: Path, tmp_path: Path
) -> None:
    publish_whole(runs, RUN, every_step=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mlflow.db").write_bytes(empty_store.read_bytes())
    sync_run(
        read_journal(run_dir(runs)),
        tracking_uri=default_tracking_uri(other),
        study="a study",
        every_step=True,
    )
    strip = [row[:4] for row in rows(runs)]
    assert strip == [row[:4] for row in rows(other)]
    assert len([row for row in strip if row[0] == "every_step/loss"]) == RUN.steps


@pytest.mark.parametrize("mirrored_before", [True, False])
def test_a_resumed_part_goes_on_in_the_same_child(runs: Path, *, mirrored_before: bool) -> None:
    folder = run_dir(runs)
    first = [started(RUN), *windows(RUN, 0, 100), checkpoint(RUN, 100)]
    stop = Interrupted(time_s=EPOCH_S + 20, step=100, reason="signal")
    again = Resumed(
        time_s=EPOCH_S + 30,
        step=100,
        file="checkpoints/step-0000000100",
        numerics=NUMERICS,
        numerics_digest=NUMERICS.digest,
    )
    second = [again, *windows(RUN, 100)]
    with JournalWriter(folder / "journal.jsonl") as journal:
        for part, live in (([*first, stop], mirrored_before), (second, True)):
            mirror = _open(runs, folder) if live else None
            for event in part:
                journal.append(event)
                if mirror:
                    mirror.publish(event)
            if mirror:
                assert mirror.close(LIMIT_S).complete
            if live and part is not second:
                assert all_runs(runs)["a study seed 1"].info.status == "KILLED"
    found = all_runs(runs)
    assert len(found) == 2
    child = found["a study seed 1"]
    facts = json.loads(child.data.tags["harness"])
    assert facts["resumed_at_steps"] == "100"
    assert "without writing why" in facts["end"]
    assert child.info.status == found["a study on digits"].info.status == "FAILED"
    assert sorted(row[3] for row in rows(runs) if row[0] == "loss") == [80, 160, 240]


def _open(runs: Path, folder: Path):  # noqa: ANN202 - the class is not part of the interface
    return open_mirror(
        tracking_uri=default_tracking_uri(runs),
        run_dir=folder,
        study="a study",
        system_every_s=None,
    )


def test_a_study_with_a_crashed_seed_is_not_finished(runs: Path) -> None:
    publish_whole(runs, RUN)
    folder = write_run(run_dir(runs, 2), SampleRun(seed=2, ends=False))
    outcome = sync_run(
        read_journal(folder), tracking_uri=default_tracking_uri(runs), study="a study"
    )
    assert outcome.complete
    found = all_runs(runs)
    assert found["a study seed 2"].info.status == "KILLED"
    assert "no end" in json.loads(found["a study seed 2"].data.tags["harness"])["end"]
    assert found["a study seed 1"].info.status == "FINISHED"
    assert found["a study on digits"].info.status == "KILLED"


@pytest.mark.parametrize("last", [2, 3, 4], ids="the seed that ends last is {}".format)
def test_whichever_seed_ends_last_leaves_one_parent(runs: Path, last: int) -> None:
    """Seeds 2 and 3 began below one parent, seed 4 below another that was made first."""
    uri = default_tracking_uri(runs)
    client = MlflowClient(uri)
    for seed in (2, 3, 4):
        folder = write_run(run_dir(runs, seed), SampleRun(seed=seed))
        sync_run(read_journal(folder), tracking_uri=uri, study="a study")
    found = all_runs(runs)
    second = found["a study on digits"]
    first = client.create_run(
        second.info.experiment_id,
        tags={**second.data.tags, CREATED_TAG: f"{int(second.data.tags[CREATED_TAG]) - 1:020}"},
    ).info.run_id
    client.set_tag(found["a study seed 4"].info.run_id, PARENT_TAG, first)

    sync_run(read_journal(run_dir(runs, last)), tracking_uri=uri, study="a study")
    found = all_runs(runs)
    assert second.info.run_id not in {run.info.run_id for run in found.values()}
    seeds = [run for run in found.values() if run.info.run_id != first]
    assert len(seeds) == 3
    assert {run.data.tags[PARENT_TAG] for run in seeds} == {first}


def test_a_verdict_reaches_the_parent_and_its_seeds(runs: Path, tmp_path: Path) -> None:
    publish_whole(runs, RUN)
    page = tmp_path / "report.html"
    page.write_text("<p>page</p>")
    result = StudyResult(
        data_root_digest="d" * 64,
        verdict="reproduced",
        status="1 of 1 seeds completed",
        reasons=("every seed reaches 97 %",),
        description="**reproduced**",
        metrics={"top1_accuracy": 0.98},
        seed_metrics={RUN.run_id: {"top1_accuracy": 0.97}},
        seed_steps={RUN.run_id: 240},
        steps=240,
        files=(page,),
        time_s=EPOCH_S + 1000,  # after the run's last event
    )
    for _ in range(2):
        record_study(result, tracking_uri=default_tracking_uri(runs), study="a study")
    found = all_runs(runs)
    assert {run.data.tags["verdict"] for run in found.values()} == {"reproduced"}
    assert found["a study on digits"].data.metrics == {"top1_accuracy": 0.98}
    assert found["a study on digits"].data.tags["mlflow.note.content"] == "**reproduced**"
    assert found["a study seed 1"].data.metrics["top1_accuracy"] == 0.97


def test_one_recipe_on_two_data_sets_is_two_studies(runs: Path, tmp_path: Path) -> None:
    uri = default_tracking_uri(runs)
    others = SampleRun(seed=2, data_name="others", data_root="e" * 64)
    for run in (SampleRun(seed=1), others):
        folder = write_run(tmp_path / run.data_name / "a study" / f"seed-{run.seed}", run)
        sync_run(read_journal(folder), tracking_uri=uri, study="a study")
    result = StudyResult(
        data_root_digest="d" * 64, verdict="reproduced", status="", reasons=(), description="",
        metrics={},
        seed_metrics={"no such run": {}, SampleRun(seed=1).run_id: {}},
        seed_steps={"no such run": 1, SampleRun(seed=1).run_id: 1}, steps=1, files=(),
        time_s=EPOCH_S,
    )  # fmt: skip
    record_study(result, tracking_uri=uri, study="a study")
    found = all_runs(runs)
    parents = {found[f"a study on {name}"].info.run_id for name in ("digits", "others")}
    assert len(parents) == 2
    assert {found[f"a study seed {n}"].data.tags["mlflow.parentRunId"] for n in (1, 2)} == parents
    judged = {name for name, run in found.items() if "verdict" in run.data.tags}
    assert judged == {"a study on digits", "a study seed 1"}


def test_system_metrics_come_along_with_the_windows(runs: Path) -> None:
    publish_whole(runs, RUN)
    child = all_runs(runs)["a study seed 1"]
    assert 0 <= child.data.metrics["system/system_memory_usage_percentage"] <= 100
