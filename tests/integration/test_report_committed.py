"""Every committed result follows from the journals beside it."""

import base64
import lzma
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from harness.analysis.excerpt import write_excerpt
from harness.record.journal import EXCERPT_NAME, FILE_NAME
from harness.report.accuracy import MISTAKES_SHOWN
from tests import rendered_reports
from tests.chained_journals import change
from tests.record_samples import SampleRun, write_run
from tests.rendered_reports import REPORTS, drawn_with, render, studies, without_drawings

STUDIES = pytest.mark.parametrize("study", studies(), ids=lambda path: path.name)


@STUDIES
def test_a_committed_result_follows_from_its_journals(study: Path) -> None:
    again = render(study).files()
    for name in ("report.md", "judgement.json"):
        assert again[name] == (study / name).read_text(encoding="utf-8"), f"{study / name} is stale"
    page = (study / "report.html").read_text(encoding="utf-8")
    assert without_drawings(again["report.html"]) == without_drawings(page)


@STUDIES
def test_a_committed_page_is_drawn_again_to_the_byte(study: Path) -> None:
    recorded, here = drawn_with(study), version("matplotlib")
    if recorded != here:
        pytest.skip(
            f"the drawings of {study.name} were not compared: they are by matplotlib "
            f"{recorded}, this is {here}; every number, word and table was"
        )
    page = (study / "report.html").read_text(encoding="utf-8")
    assert render(study).page == page, f"{study / 'report.html'} is stale"


@STUDIES
def test_a_committed_page_shows_mistakes_with_pictures(study: Path) -> None:
    kept = sorted((study / "mistakes").rglob("*.jpg"))
    assert 0 < len(kept) <= MISTAKES_SHOWN
    page = (study / "report.html").read_text(encoding="utf-8")
    for file in kept:
        assert base64.b64encode(file.read_bytes()).decode() in page, f"{file} is not on the page"


@pytest.mark.parametrize("excerpt", [False, True], ids=["whole", "excerpt"])
def test_a_study_is_added_and_an_edited_number_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, excerpt: bool
) -> None:
    monkeypatch.setattr(rendered_reports, "REPORTS", tmp_path / "reports")
    run = write_run(tmp_path / "runs" / "smoke-00000000" / "seed-1", SampleRun())
    if excerpt:
        write_excerpt(run, tmp_path / "published" / "smoke-00000000" / "seed-1", 3)
        run = tmp_path / "published" / "smoke-00000000" / "seed-1"
    data = tmp_path / "data"
    for number in (196, 197):
        image = data / "val" / f"{number % 10}" / f"{number:04d}.jpg"
        image.parent.mkdir(parents=True)
        Image.new("RGB", (400, 300), (200, 30, 30)).save(image)
    rendered_reports.main(["add", "sample", str(data), str(run)])
    study = tmp_path / "reports" / "sample"
    assert len(list((study / "mistakes").rglob("*.jpg"))) == 2
    for source in ("runs", "data"):
        shutil.rmtree(tmp_path / source)
    again = render(study).files()
    assert {name: (study / name).read_text() for name in again} == again
    assert again["report.html"].count("data:image/jpeg") == 2
    assert str(tmp_path) not in "".join(again.values())
    folder = study / "runs" / "smoke-00000000" / "seed-1"
    journal = folder / FILE_NAME
    if excerpt:
        journal = tmp_path / FILE_NAME
        journal.write_bytes(lzma.decompress((folder / EXCERPT_NAME).read_bytes()))
    change(journal, '"top1_correct":196', '"top1_correct":197')
    if excerpt:
        (folder / EXCERPT_NAME).write_bytes(lzma.compress(journal.read_bytes()))
    assert render(study).text != (study / "report.md").read_text()


def test_the_folder_says_what_it_holds() -> None:
    assert (REPORTS / "README.md").is_file()
