"""An excerpt says what its run says, over fewer steps, and is taken for nothing else."""

import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.bundle import bundle, texts_of
from harness.analysis.excerpt import write_excerpt
from harness.analysis.judged_study import judged_study, load_runs
from harness.analysis.report import report
from harness.analysis.sync import sync
from harness.analysis.verdict import verdict
from harness.analysis.verify import verify
from harness.api import read_steps
from harness.errors import RecordError
from harness.record.journal import EXCERPT_NAME, FILE_NAME, read_journal
from harness.record.quantities import StepSeries
from harness.record.run_folder import RunFolder, existing_journal, find_runs
from harness.record.schema import STEP_COLUMNS
from harness.record.summary import read_summary, summarise
from harness.replay.setup import trained
from tests.rendered_reports import section_of

STUDY = Path(__file__).parents[3] / "reports/smoke-digits/runs/smoke-95a37860"
KEPT = 3


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("published") / STUDY.name
    for run in find_runs([STUDY]):
        write_excerpt(run, out / run.name, KEPT)
    return out


def test_it_keeps_the_last_read_steps_each_window_as_they_are(excerpts: Path) -> None:
    for run in find_runs([STUDY]):
        whole, part = read_journal(run), read_journal(excerpts / run.name)
        steps = part.column("step").astype(int)
        ends = [window.end_step for window in whole.steps]
        assert steps.tolist() == [step for end in ends for step in range(end - KEPT, end)]
        for name in STEP_COLUMNS:
            np.testing.assert_array_equal(part.column(name), whole.column(name)[steps])
        marks = whole.fingerprints()
        assert part.fingerprints() == {step: marks[step] for step in steps.tolist()}
        assert part.evaluations == whole.evaluations
        assert (part.last_step, part.finished) == (whole.last_step, whole.finished)
        assert part.excerpt is not None
        assert part.excerpt.journal_sha256 == whole.head.digest
        assert part.head.linked_from == 1
        assert summarise(part).mark_steps.tolist() == read_summary(part.path).mark_steps.tolist()


def test_it_keeps_what_every_epoch_s_steps_give_together(excerpts: Path) -> None:
    for run in find_runs([STUDY]):
        whole, part = (load_runs([one])[0].record for one in (run, excerpts / run.name))
        assert len(whole.epochs) == 9
        assert part.epochs == whole.epochs
        series = StepSeries.of(read_journal(run).steps)
        for epoch, sums in enumerate(whole.epochs):
            own = slice(45 * epoch, 45 * (epoch + 1))
            assert (sums.steps, sums.images) == (45, 45 * 32)
            assert sums.correct == series["correct"][own].sum()
            assert sums.loss == pytest.approx(series["loss"][own].mean(), rel=1e-12)
        kept = series["correct"][42:45].sum() / series["images"][42:45].sum()
        first = whole.epochs[0]
        assert first.correct / first.images != pytest.approx(kept, abs=1e-6)


def test_its_page_says_which_steps_are_drawn_and_sums_all(excerpts: Path) -> None:
    whole, part = (section_of(report((one,)), "learning") for one in (STUDY, excerpts))
    by_epoch = [
        next(t for t in s.tables if t.caption == "Training by epoch") for s in (whole, part)
    ]
    assert by_epoch[0].rows == by_epoch[1].rows
    captions = [next(d for d in s.drawings if d.name == "loss").caption for s in (whole, part)]
    assert captions == ["Training loss of every step.", "Training loss of every kept step."]
    assert "the kept steps alone are drawn" in part.paragraphs[0]
    assert "kept" not in whole.paragraphs[0]


def test_it_is_much_smaller(excerpts: Path) -> None:
    for run in find_runs([STUDY]):
        packed = (excerpts / run.name / EXCERPT_NAME).stat().st_size
        assert packed < (run / "journal.jsonl").stat().st_size / 8


def test_it_gets_the_judgement_of_the_whole_runs(excerpts: Path) -> None:
    whole, part = (judged_study(load_runs(find_runs([one]))) for one in (STUDY, excerpts))
    assert whole.portable is not None
    assert part.portable is not None
    for a, b in zip(whole.portable.each, part.portable.each, strict=True):
        assert (a.word, a.numbers) == (b.word, b.numbers)
    told = " ".join(verdict([excerpts]).notes)
    assert told.count("this is an excerpt, the last 3 steps of each window of up to 100") == 3


def test_a_table_of_its_steps_names_them(excerpts: Path) -> None:
    table = read_steps(excerpts / "seed-1")
    assert table.index.tolist()[:4] == [42, 43, 44, 87]
    assert table["epoch"].iloc[0] == pytest.approx(42 / 45)


def test_its_bundle_is_verified(excerpts: Path, tmp_path: Path) -> None:
    bundle([excerpts], tmp_path / "excerpt.tar")
    verified = verify(tmp_path / "excerpt.tar")
    assert verified.runs == 3
    assert verified.recounted > 0


@pytest.mark.parametrize(
    "take",
    [
        trained,
        lambda run: existing_journal(RunFolder(run)),
        lambda run: sync((run,), tracking_uri=f"sqlite:///{run.parent}/mlflow.db"),
        lambda run: write_excerpt(run, run.parent / "again", KEPT),
    ],
    ids=["replay", "going on", "sync", "excerpt"],
)
def test_what_needs_the_whole_run_refuses_it(excerpts: Path, take: object) -> None:
    with pytest.raises(RecordError, match="excerpt"):
        take(excerpts / "seed-1")  # type: ignore[operator]


def test_own_files_go_with_it(tmp_path: Path) -> None:
    run = shutil.copytree(STUDY / "seed-1", tmp_path / "whole/seed-1")
    (run / "target-mine.toml").write_text("name = 'mine'")
    kept = {file.name for file in write_excerpt(run, tmp_path / "out", KEPT).parent.iterdir()}
    assert {file.name for file in texts_of(run)} - {FILE_NAME} < kept
    assert "target-mine.toml" in kept


def test_a_password_is_not_published(tmp_path: Path) -> None:
    run = shutil.copytree(STUDY / "seed-1", tmp_path / "whole/seed-1")
    (run / "environment.json").write_text('{"uri": "http://me:long-enough@host"}')
    with pytest.raises(RecordError, match="password"):
        write_excerpt(run, tmp_path / "out", KEPT)
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(excerpts: Path) -> None:
    with pytest.raises(RecordError, match="there is a journal"):
        write_excerpt(STUDY / "seed-1", excerpts / "seed-1", KEPT)


@pytest.mark.parametrize("content", [b"", b"no xz", lzma.compress(b"x" * 1000)[:-9]])
def test_a_damaged_one_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / EXCERPT_NAME).write_bytes(content)
    with pytest.raises(RecordError, match="cannot read the journal"):
        read_journal(tmp_path)


def test_steps_may_be_left_out_of_an_excerpt_only(tmp_path: Path) -> None:
    lines = (STUDY / "seed-1/journal.jsonl").read_bytes().splitlines(keepends=True)
    windows = [i for i, line in enumerate(lines) if b'"event":"steps"' in line]
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[: windows[1]] + lines[windows[2] :]))
    for read in (read_journal, read_summary):
        with pytest.raises(RecordError):
            read(tmp_path)
