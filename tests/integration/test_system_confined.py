"""Paths from files of others stay inside; rights are the umask's, and never everybody's."""

import json
import os
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.manifest import MANIFEST
from harness.data.opening import load
from harness.data.prepare import prepare
from harness.errors import DataError, RecordError
from harness.record.journal import read_journal
from harness.system.folders import not_for_everybody
from tests.chained_journals import events_of, rewrite
from tests.generated_sources import write_folder
from tests.record_samples import SampleRun, write_run

OUTSIDE = ("/etc/passwd", "../../secret", "a/../../b", "..", ".hidden", "a\\..\\b", "")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    ("kind", "field"), [("evaluation", "predictions_file"), ("checkpoint", "file")]
)
def test_a_journal_names_files_of_its_run_alone(
    tmp_path: Path, name: str, kind: str, field: str
) -> None:
    folder = write_run(tmp_path / "seed-1", SampleRun())
    lines = events_of(folder / "journal.jsonl")
    place = next(i for i, line in enumerate(lines) if f'"event":"{kind}"' in line)
    lines[place] = json.dumps({**json.loads(lines[place]), field: name})
    rewrite(folder / "journal.jsonl", lines)
    with pytest.raises(RecordError, match="malformed") as told:
        read_journal(folder)
    assert field in str(told.value)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.jpg", "train/../../secret.jpg"])
def test_a_manifest_names_images_of_its_folder_alone(tmp_path: Path, name: str) -> None:
    prepare(write_folder(tmp_path / "in"), tmp_path / "out")
    file = tmp_path / "out" / MANIFEST
    rows = pq.read_table(file)
    paths = rows["path"].to_pylist()
    changed = pa.array([name, *paths[1:]], rows.schema.field("path").type)
    place = rows.schema.get_field_index("path")
    pq.write_table(rows.set_column(place, rows.schema.field("path"), changed), file)
    with pytest.raises(DataError, match="names a file outside") as told:
        load(tmp_path / "out")
    assert name in str(told.value)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_rights_are_those_of_the_umask_but_for_everybody(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with not_for_everybody():
            (tmp_path / "file").touch()
            (tmp_path / "folder").mkdir()
    finally:
        assert os.umask(before) == umask
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")]
    assert modes == [0o666 & ~umask & ~0o002, 0o777 & ~umask & ~0o002]
