import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from harness.analysis.report import report
from harness.analysis.thumbnails import PictureSources
from harness.cli.judge.report import command
from harness.errors import RecordError
from harness.recipes.catalogue import RECIPES
from harness.report.accuracy import Mistake, Mistakes, mistakes
from harness.report.rendering.content import Report
from harness.report.rendering.markdown import markdown
from harness.report.rendering.page import html
from tests.planted_journals import NUMERICS, imagenet_runs, plant
from tests.record_samples import SampleRun, certificate_of, write_run
from tests.rendered_reports import section_of

EVIL = '"><script>alert("x")</script>$x^2$'
VOID = {"meta", "link", "img", "br", "path", "use", "rect"}


class Reader(HTMLParser):
    """What a page consists of; fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "smoke-00000000"
    write_run(folder / "seed-1", SampleRun(seed=1))
    write_run(folder / "seed-2", SampleRun(seed=2, spike=(150, 77.0), top1_correct=190))
    return folder


@pytest.fixture(scope="module")
def content(study: Path) -> Report:
    return report((study,))


@pytest.fixture(scope="module")
def page(content: Report) -> str:
    return html(content)


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    reader = read(page)
    assert "script" not in reader.tags
    links = [v for name, v in reader.attributes if name in {"href", "src", "xlink:href"}]
    assert all(value.startswith(("#", "data:")) for value in links)
    assert "url(#" in page
    assert re.findall(r"url\((?!#)", page) == []
    assert "default-src 'none'" in page


def test_ids_are_unique_and_every_reference_has_its_target(page: str) -> None:
    reader = read(page)
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    targets = {v[1:] for n, v in reader.attributes if n in {"href", "xlink:href"} and v[0] == "#"}
    targets |= set(re.findall(r"url\(#([^)]+)\)", page))
    targets |= {value for name, value in reader.attributes if name == "aria-labelledby"}
    assert targets <= set(ids)


def test_every_figure_has_a_table_in_its_section(content: Report) -> None:
    drawn = [section for section in content.sections if section.drawings]
    assert {section.name for section in drawn} >= {"learning", "timing"}
    assert all(section.tables for section in drawn)


def test_the_first_screen_has_one_picture_and_the_numbers(content: Report, page: str) -> None:
    assert content.picture is not None
    assert content.picture.name == "accuracy"
    drawn = [one.name for section in content.sections for one in section.drawings]
    assert "accuracy" not in drawn
    assert page.index('class="opening"') < page.index("<nav")
    told = dict(content.facts)
    assert told["top-1"].startswith("mean 96.50 % over 2 seeds (ten_crop), spread 2.121 pp")
    assert "Optical Recognition" in told["data"]
    assert "commit cccccccccccc" in told["harness"]


def test_figures_follow_the_pages_colours(page: str) -> None:
    assert "#0a0b" not in page
    assert "#0a0c" not in page
    for variable in set(re.findall(r"var\((--[a-z0-9-]+)\)", page)):
        assert f"{variable}:" in page


def test_the_same_runs_give_the_same_bytes(study: Path, content: Report, page: str) -> None:
    again = report((study,))
    assert html(again) == page
    assert markdown(again) == markdown(content)


def test_a_spike_is_in_the_table_and_the_axis_reaches_it(content: Report) -> None:
    (learning,) = [section for section in content.sections if section.name == "learning"]
    greatest = [row[5] for row in learning.tables[0].rows]
    assert "77.00" in greatest
    assert re.search(r">[78]0</text>", learning.drawings[0].wide)


def test_a_checkpoint_and_an_evaluation_at_one_step_are_both_seen(content: Report) -> None:
    timeline = next(d for d in section_of(content, "timing").drawings if d.name == "timeline")
    marks = re.findall(r'<use xlink:href="#([^"]+)" x="([^"]+)" y="([^"]+)"', timeline.wide)
    last = max((x for _, x, _ in marks), key=float)  # further right than any tick of the axis
    heights: dict[str, set[str]] = {}
    for shape, x, y in marks:
        if x == last:
            heights.setdefault(shape, set()).add(y)
    checkpoints, evaluations = heights.values()
    assert not checkpoints & evaluations


def test_what_is_missing_is_said(content: Report) -> None:
    text = " ".join(p for section in content.sections for p in section.paragraphs)
    for words in (
        "No determinism certificate lies beside seed 1 and seed 2", "No contact sheet",
        "No pictures are shown",
    ):  # fmt: skip
        assert words in text


def test_the_numbers_of_a_run_are_those_of_its_journal(content: Report) -> None:
    (protocols,) = [section for section in content.sections if section.name == "protocols"]
    ten = {row[0]: row for row in protocols.tables[0].rows if row[1] == "ten_crop"}
    assert ten["seed 1"][4] == "98.00 %"
    assert ten["seed 2"][4] == "95.00 %"
    (timing,) = [section for section in content.sections if section.name == "timing"]
    speed = dict(zip(timing.tables[0].columns, timing.tables[0].rows[0], strict=True))
    assert speed["steps timed"] == "239"  # the step that holds compilation is left out
    assert speed["peak, GFLOP/s"] == "2.00"
    names = ("median", "90th percentile", "99th percentile", "longest")
    percentiles = [float(speed[name].split()[0]) for name in names]
    assert sorted(percentiles) == percentiles
    assert percentiles[1] == pytest.approx(109, abs=0.5)  # uniform from 100 to 110 ms
    share = float(speed["share of peak"].removesuffix(" %")) / 100
    assert share == pytest.approx(float(speed["images/s"]) * 1e6 / 2e9, abs=6e-4)


def test_the_odd_files_of_the_data_are_counted(content: Report) -> None:
    (data,) = [section for section in content.sections if section.name == "data"]
    assert data.tables[1].rows == (("digits", "1,635", "2", "3"),)


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    run = SampleRun(
        classes=(EVIL, *"123456789"), command=("harness", "run", EVIL), environment={EVIL: EVIL}
    )
    folder = write_run(tmp_path / "study" / "seed-1", run)
    evil = report((folder,))
    reader = read(html(evil))
    assert "script" not in reader.tags
    assert sum(EVIL in text for text in reader.text) >= 3
    assert "<script>" not in re.sub(r"```.*?```", "", markdown(evil), flags=re.DOTALL)


@pytest.mark.filterwarnings("error")
def test_a_run_without_evaluation_a_crashed_seed_and_a_torn_journal(tmp_path: Path) -> None:
    write_run(tmp_path / "s" / "seed-1", SampleRun(seed=1, evaluates=False, ends=False))
    torn = write_run(tmp_path / "s" / "seed-2", SampleRun(seed=2))
    with (torn / "journal.jsonl").open("ab") as file:
        file.write(b'{"schema_version":1,"ti')
    content = report((tmp_path / "s",))
    read(html(content))
    rows = next(s for s in content.sections if s.name == "runs").tables[0].rows
    assert [row[2] for row in rows] == ["no end in the journal", "completed"]
    assert "23 bytes left out" in str(next(s for s in content.sections if s.name == "files"))


def test_a_run_that_ended_before_its_first_step(tmp_path: Path) -> None:
    run = SampleRun(steps=0, evaluates=False, ends=False)
    folder = tmp_path / "s" / "seed-1"
    folder.mkdir(parents=True)
    lines = (write_run(tmp_path / "t", SampleRun()) / "journal.jsonl").read_text().splitlines()
    (folder / "journal.jsonl").write_text(lines[0] + "\n")
    content = report((folder,))
    read(html(content))
    assert run.steps == 0
    assert "No timed step is in the journals." in str(content.sections)


def test_runs_of_two_recipes_are_shown_but_not_judged(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "seed-1", SampleRun())
    write_run(tmp_path / "b" / "seed-1", SampleRun(recipe=RECIPES["apm5-resnet50"]))
    content = report((tmp_path / "a", tmp_path / "b"))
    assert content.headlines[0].word is None
    assert "not judged together" in content.headlines[0].sentence
    assert "must not be pooled" in str(content.sections)
    read(html(content))


def test_pictures_of_mistakes_come_from_the_data_folder_and_from_nowhere_else(
    study: Path, tmp_path: Path
) -> None:
    table = section_of(report((study,)), "mistakes").tables[0]
    names = [row[1] for row in table.rows]
    for name in names[:2]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (400, 300), (200, 30, 30)).save(tmp_path / name)
    content = report((study,), pictures=PictureSources(data=tmp_path))
    shown = next(s for s in content.sections if s.name == "mistakes")
    assert len(shown.pictures) == 2
    assert all(picture.data.startswith(b"\xff\xd8") for picture in shown.pictures)
    read(html(content))


def test_the_command_writes_page_and_markdown(study: Path, tmp_path: Path, page: str) -> None:
    out, text = tmp_path / "deep" / "page.html", tmp_path / "page.md"
    done = CliRunner().invoke(command, [str(study), "--out", str(out), "--markdown", str(text)])
    assert done.exit_code == 0
    assert done.stdout.strip() == str(out)
    assert out.read_text() == page
    assert text.read_text().startswith("# smoke on digits: seed 1 and seed 2")


def test_a_report_needs_no_tensorflow(study: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; "
        "sys.modules['mlflow'] = None; from harness.cli.main import main; main()"
    )
    words = ["report", str(study), "--out", str(tmp_path / "page.html")]
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
    assert (tmp_path / "page.html").exists()


def test_a_certificate_beside_a_run_is_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun())
    file = folder / "certificate.json"
    file.write_text(certificate_of(folder).model_dump_json())
    section = section_of(report((folder,)), "determinism")
    assert "seed 1: 240 steps replayed: every replayed step agrees." in section.paragraphs
    assert ("level", "step") in section.tables[1].rows
    file.write_text("{}")
    with pytest.raises(RecordError, match="certificate"):
        report((folder,))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"run_id": "another"}, "run id another"),
        ({"seed": 2}, "seed 2 instead of 1"),
        ({"recipe_digest": "a" * 64}, "recipe digest aaaaaaaaaaaa"),
        ({"data_root": "b" * 64}, "data root bbbbbbbbbbbb"),
        ({"journal_digest": "0" * 64}, "sha256 of the journal 000000000000"),
    ],
)
def test_a_certificate_of_another_journal_is_not_believed(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun())
    text = certificate_of(folder, **changes).model_dump_json()
    (folder / "certificate.json").write_text(text)
    section = section_of(report((folder,)), "determinism")
    words = " ".join(section.paragraphs)
    assert "every replayed step agrees" not in words
    assert "belongs to another journal" in words
    assert named in words
    assert len(section.tables) == 1


def test_a_mistake_that_two_seeds_share_shows_the_more_confident_one() -> None:
    def mistake(image: str, predicted: str, probability: float) -> Mistake:
        return Mistake(image, "pepper", predicted, probability)

    found = Mistakes(
        {
            "seed 1, ten_crop": (mistake("a", "satsumas", 0.918), mistake("b", "leek", 0.5)),
            "seed 2, ten_crop": (mistake("a", "melon", 0.6), mistake("c", "leek", 0.7)),
        }
    )
    section = mistakes(found, dict.fromkeys("abc", ("image/jpeg", b"")), "")
    assert [picture.caption for picture in section.pictures] == [
        "pepper taken for satsumas (91.8 %; seed 1, ten_crop), a",
        "pepper taken for leek (70.0 %; seed 2, ten_crop), c",
        "pepper taken for leek (50.0 %; seed 1, ten_crop), b",
    ]


def test_predictions_of_another_run_are_not_shown_as_this_ones(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path / "s" / f"seed-{seed}", SampleRun(seed=seed, top1_correct=190 + seed))
    (source,) = (tmp_path / "s" / "seed-1").glob("*ten_crop*.parquet")
    shutil.copyfile(source, tmp_path / "s" / "seed-2" / source.name)
    section = section_of(report((tmp_path / "s",)), "mistakes")
    assert "seed 2, ten_crop: the prediction file beside the run is not the one" in str(
        section.paragraphs
    )
    assert {row[0] for row in section.tables[0].rows} == {"seed 1, ten_crop"}


def test_a_seed_without_evaluation_is_named_in_the_answer(tmp_path: Path) -> None:
    write_run(tmp_path / "s" / "seed-1", SampleRun(seed=1))
    write_run(tmp_path / "s" / "seed-2", SampleRun(seed=2, evaluates=False))
    sentence = report((tmp_path / "s",)).headlines[0].sentence
    assert "top-1 98.00 %; seed 2 has no evaluation" in sentence


def test_no_place_on_this_machine_is_on_the_page(tmp_path: Path) -> None:
    torn = write_run(tmp_path / "s" / "seed-1", SampleRun())
    with (torn / "journal.jsonl").open("ab") as file:
        file.write(b'{"schema_version":1,"ti')
    page = html(report((torn,)))
    assert "s/seed-1: 23 bytes of a torn last line" in page
    assert str(tmp_path) not in page


def test_normalising_a_share_of_the_batch_is_a_deviation(tmp_path: Path) -> None:
    eight = NUMERICS.model_copy(update={"devices": NUMERICS.devices * 8})
    one, other = imagenet_runs(77.6, 77.7)
    plant(tmp_path / "s" / "seed-1", one)
    plant(tmp_path / "s" / "seed-2", replace(other, numerics=eight))
    section = section_of(report((tmp_path / "s",)), "deviations")
    (found,) = [text for text in section.paragraphs if "each of 8 devices" in text]
    assert found == (
        "seed 2: batch normalisation over 16 images on each of 8 devices, the recipe's batch is "
        "128."
    )
