"""Which runs a path means, and what is said of a folder that holds studies."""

from pathlib import Path

import pytest

from harness.errors import RecordError
from harness.record.run_folder import find_runs
from tests.planted_journals import plant, smoke_runs


def test_a_folder_of_studies_lists_them(tmp_path: Path) -> None:
    (run,) = smoke_runs(349)
    for name in ("b-study", "a-study"):
        plant(tmp_path / name / "seed-1", run)
    with pytest.raises(RecordError, match="holds studies") as caught:
        find_runs([tmp_path])
    assert "one of its studies: a-study, b-study" in str(caught.value)
    assert str(tmp_path / "a-study") in str(caught.value)
    assert find_runs([tmp_path / "a-study"]) == (tmp_path / "a-study" / "seed-1",)


def test_ten_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    (run,) = smoke_runs(349)
    for number in range(13):
        plant(tmp_path / f"study-{number:02}" / "seed-1", run)
    with pytest.raises(RecordError, match="study-09 and 3 more"):
        find_runs([tmp_path])


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no run here"):
        find_runs([tmp_path])
