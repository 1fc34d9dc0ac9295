"""A command reads each journal once and the harness' own baselines once, and judges once."""

from collections import Counter
from pathlib import Path

import pytest

from harness.analysis import judged_study as judging
from harness.analysis.bundle import bundle
from harness.analysis.judged_study import judged_study, load_runs
from harness.analysis.publish import judge_study
from harness.analysis.verify import verify
from harness.baselines import loading
from harness.recipes.smoke import SMOKE
from harness.record import journal, summary
from harness.record.run_folder import find_runs
from tests.record_samples import SampleRun, write_run


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "smoke-00000000"
    for seed in (1, 2):
        write_run(folder / f"seed-{seed}", SampleRun(seed=seed))
    return folder


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the first line of each run's journal is parsed, by the run's folder."""
    counts: Counter[str] = Counter()
    parse = journal.parse_event

    def counted(line: bytes, path: Path, number: int) -> object:
        counts[path.parent.name] += number == 1
        return parse(line, path, number)

    for module in (journal, summary):
        monkeypatch.setattr(module, "parse_event", counted)
    return counts


def test_a_study_is_published_from_one_judgement_and_one_reading(
    study: Path, parsed: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    read: Counter[str] = Counter()
    judge, read_file = judging.judged, loading._read

    def counted(path: Path) -> object:
        read[path.name] += 1
        return read_file(path)

    monkeypatch.setattr(judging, "judged", lambda runs, **o: judged.append(1) or judge(runs, **o))
    monkeypatch.setattr(loading, "_read", counted)
    loading._own.cache_clear()
    judge_study(study, study.parent, study, None, pytest.fail, tracking=False)
    assert judged == [1]
    assert parsed == {"seed-1": 1, "seed-2": 1}
    assert set(read.values()) == {1}
    assert set(read) == {file.name for file in loading.baselines_folder().glob("*.toml")}


def test_a_bundle_and_its_verification_parse_each_journal_once(
    study: Path, parsed: Counter[str]
) -> None:
    bundle((study,), study.parent / "b.tar")
    assert parsed == {"seed-1": 1, "seed-2": 1}
    parsed.clear()
    verify(study.parent / "b.tar")
    assert parsed == {"seed-1": 1, "seed-2": 1}


def test_runs_that_cannot_be_judged_together_keep_the_reason(study: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs" / "other" / "seed-1"
    write_run(other, SampleRun(seed=3, recipe=SMOKE.model_copy(update={"batch": 16})))
    found = judged_study(load_runs(find_runs((study, other))))
    assert found.judgements is None
    assert found.portable is None
    assert found.why_not.startswith("These runs were not judged together: ")
    assert str(tmp_path) not in found.why_not
