"""The newest study of a database of MLflow's form."""

import sqlite3
from pathlib import Path
from urllib.parse import unquote

from harness.tracking.newest import newest_study


def database(folder: Path, *runs: tuple[str, int, str]) -> Path:
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as opened:
        opened.execute("CREATE TABLE runs (run_uuid, experiment_id, start_time, lifecycle_stage)")
        opened.execute("CREATE TABLE tags (run_uuid, key, value)")
        for number, (study, start, stage) in enumerate(runs):
            opened.execute("INSERT INTO runs VALUES (?, 7, ?, ?)", (number, start, stage))
            opened.execute("INSERT INTO tags VALUES (?, 'harness.study', ?)", (number, study))
    opened.close()
    return path


def test_the_newest_study_that_is_not_deleted(tmp_path: Path) -> None:
    runs = (("a-1", 1, "active"), ("b-2", 5, "active"), ("c-3", 9, "deleted"))
    found = newest_study(database(tmp_path, *runs))
    assert found is not None
    assert found[0] == "b-2"
    assert found[1].startswith("/#/experiments/7/runs?searchFilter=")
    assert unquote(found[1]).endswith('tags."harness.study" = "b-2"')


def test_no_study_or_another_file(tmp_path: Path) -> None:
    assert newest_study(database(tmp_path)) is None
    (tmp_path / "other.db").write_text("no database at all, but text of some length" * 50)
    assert newest_study(tmp_path / "other.db") is None
    assert newest_study(tmp_path / "nowhere.db") is None
