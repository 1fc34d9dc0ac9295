"""The newest study of a database of MLflow's form."""

import json
import sqlite3
from pathlib import Path

from harness.tracking.rows import TAG_CHARACTERS
from harness.tracking.view import NewestStudy, newest_study, view_state


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
    assert newest_study(database(tmp_path, *runs)) == NewestStudy("b-2", "7")


def test_a_view_fits_into_a_tag_and_its_charts_stand_in_its_sections() -> None:
    state = view_state(NewestStudy("b-2", "7"))
    assert state["searchFilter"] == 'tags."harness.study" = "b-2"'
    assert len(json.dumps(state, separators=(",", ":"))) <= TAG_CHARACTERS
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections


def test_no_study_or_another_file(tmp_path: Path) -> None:
    assert newest_study(database(tmp_path)) is None
    (tmp_path / "other.db").write_text("no database at all, but text of some length" * 50)
    assert newest_study(tmp_path / "other.db") is None
    assert newest_study(tmp_path / "nowhere.db") is None
