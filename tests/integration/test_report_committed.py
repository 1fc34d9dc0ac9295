"""Every committed result follows from the journals beside it."""

import shutil
from pathlib import Path

import pytest

from tests import rendered_reports
from tests.record_samples import SampleRun, write_run
from tests.rendered_reports import REPORTS, render, studies, without_drawings


@pytest.mark.parametrize("study", studies(), ids=lambda path: path.name)
def test_a_committed_result_follows_from_its_journals(study: Path) -> None:
    again = render(study).files()
    for name in ("report.md", "judgement.json"):
        assert again[name] == (study / name).read_text(encoding="utf-8"), f"{study / name} is stale"
    page = (study / "report.html").read_text(encoding="utf-8")
    assert without_drawings(again["report.html"]) == without_drawings(page)


def test_a_study_is_added_and_an_edited_number_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendered_reports, "REPORTS", tmp_path / "reports")
    run = write_run(tmp_path / "runs" / "smoke-00000000" / "seed-1", SampleRun())
    rendered_reports.main(["add", "sample", str(run)])
    study = tmp_path / "reports" / "sample"
    shutil.rmtree(tmp_path / "runs")
    again = render(study).files()
    assert {name: (study / name).read_text() for name in again} == again
    assert str(tmp_path) not in "".join(again.values())
    journal = study / "runs" / "smoke-00000000" / "seed-1" / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"top1_correct":196', '"top1_correct":197'))
    assert render(study).text != (study / "report.md").read_text()


def test_the_folder_says_what_it_holds() -> None:
    assert (REPORTS / "README.md").is_file()
