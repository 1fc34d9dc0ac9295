"""The first screen of a page: what it states, and what a repetition beside the runs adds to it."""

from pathlib import Path

import pytest

from harness.analysis.report import report
from harness.recipes.catalogue import find_recipe
from harness.report.rendering.markdown import markdown
from harness.report.rendering.page import html
from tests.chained_journals import change
from tests.record_samples import SampleRun, write_run
from tests.rendered_reports import section_of


def test_an_unknown_commit_is_a_warning_and_other_data_are_not_the_digits(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun())
    file = folder / "journal.jsonl"
    change(file, '"git_commit":"' + "c" * 40 + '"', '"git_commit":null')
    change(file, '"kind":"digits"', '"kind":"other"')
    content = report((folder,))
    told = dict(content.facts)
    assert "warning: the commit is unknown" in told["harness"]
    assert "a folder of the user's own" in told["data"]
    assert "scikit-learn" not in html(content)


@pytest.mark.parametrize(
    "others",
    [
        (SampleRun(seed=2, data_root="e" * 64),),
        (SampleRun(seed=2, recipe=find_recipe("apm5-resnet18")),),
        (SampleRun(seed=1),),
    ],
    ids=["other data", "another recipe", "the seed once more"],
)
def test_no_mean_is_shown_over_what_must_not_be_pooled(
    tmp_path: Path, others: tuple[SampleRun, ...]
) -> None:
    runs = (SampleRun(seed=1), *others)
    folders = [write_run(tmp_path / str(n) / "seed", run) for n, run in enumerate(runs)]
    assert "top-1" not in dict(report(tuple(folders)).facts)


def test_a_mean_is_shown_over_seeds(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / f"seed-{n}", SampleRun(seed=n)) for n in (1, 2)]
    assert dict(report(tuple(folders)).facts)["top-1"].startswith("mean 98.00 % over 2 seeds")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ("harness", "run", "smoke", "--runs", "runs", "--seed", "1"),
            "--runs runs-again --seed 1",
        ),
        (("harness", "run", "smoke", "--runs=runs"), "smoke --runs runs-again"),
        (("harness", "run", "smoke"), "smoke --runs runs-again"),
    ],
)
def test_the_command_repeats_in_a_fresh_folder(
    command: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun(command=command))
    (shown,) = section_of(report((folder,)), "repeat").commands
    assert shown.endswith(expected)


@pytest.mark.parametrize(
    ("changed", "words"), [(False, "240 steps repeated"), (True, "difference")]
)
def test_a_repetition_beside_the_study_is_compared_again(
    tmp_path: Path, *, changed: bool, words: str
) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun())
    other = write_run(tmp_path / "repeat" / "s" / "seed-1", SampleRun())
    if changed:
        change(other / "journal.jsonl", f"{200:016x}", "f" * 16)
    content = report((folder,))
    assert words in dict(content.facts)["repeated"]
    assert any(words in text for text in section_of(content, "determinism").paragraphs)


def test_top5_is_hidden_where_it_says_nothing(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun(classes=tuple("abcde")))
    content = report((folder,))
    assert "top-5" not in markdown(content).split("## Evidence")[-1].split("## Speed")[0]
    assert "top-5" in section_of(content, "protocols").tables[0].columns  # as bundles have it
