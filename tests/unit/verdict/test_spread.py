"""Up to which spread of one published run an answer holds, by judging again with other spreads."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from harness.baselines import load_target
from harness.baselines.schema import PublishedTarget, TargetSpread
from harness.record.summary import RunSummary, read_summary
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgement, PublishedNumbers
from harness.verdict.published import decided_by_interval, reach_of_spread
from harness.verdict.text import judgement_text
from tests.planted_journals import imagenet_runs, plant

GOOD = (77.60, 77.70, 77.80)


def summaries(folder: Path, *top1_percent: float) -> list[RunSummary]:
    return [read_summary(plant(folder / str(r.seed), r)) for r in imagenet_runs(*top1_percent)]


def judged(runs: list[RunSummary], spread: float | None = None) -> Judgement:
    target = load_target("target")
    assert isinstance(target, PublishedTarget)
    assert isinstance(target.spread, TargetSpread)
    if spread is not None:
        other = target.spread.model_copy(update={"standard_deviation": spread})
        target = target.model_copy(update={"spread": other})
    return judge(runs, [target]).each[0]


@pytest.mark.parametrize("accuracies", [GOOD, (76.70, 76.80, 76.90), (78.70, 78.80, 78.90)])
def test_an_answer_holds_up_to_the_spread_and_no_further(
    tmp_path: Path, accuracies: tuple[float, ...]
) -> None:
    runs = summaries(tmp_path, *accuracies)
    first = judged(runs)
    assert isinstance(first.numbers, PublishedNumbers)
    found = reach_of_spread(first.numbers, first.word)
    assert found is not None
    assert judged(runs, 0.999 * found.largest).word == first.word
    assert judged(runs, 1.01 * found.largest).word == "inconclusive"
    assert (judged(runs, found.upper).word == first.word) == found.holds_at_upper


def test_the_limit_is_that_of_a_variance_of_24_degrees_of_freedom(tmp_path: Path) -> None:
    judgement = judged(summaries(tmp_path, *GOOD))
    assert isinstance(judgement.numbers, PublishedNumbers)
    found = reach_of_spread(judgement.numbers, judgement.word)
    assert found is not None
    # The chance that a sample of 25 runs shows so small a spread where the limit is true.
    assert stats.chi2.cdf(24 * (0.00104 / found.upper) ** 2, 24) == pytest.approx(0.05, abs=1e-6)


def test_the_text_says_it_only_where_something_was_decided(tmp_path: Path) -> None:
    target = load_target("target")
    decided = judgement_text(judge(summaries(tmp_path / "a", *GOOD), [target]))
    assert "the answer holds up to a spread of" in decided
    open_runs = summaries(tmp_path / "b", 77.10, 77.14, 77.18)
    assert "the answer holds up to" not in judgement_text(judge(open_runs, [target]))


def test_nothing_is_said_where_a_declared_seed_diverged(tmp_path: Path) -> None:
    """The two others alone would lie below as well; no spread changes that one diverged."""
    one, two, three = imagenet_runs(76.70, 76.75, 76.80)
    runs = [one, two, replace(three, status="diverged")]
    judgements = judge(
        [read_summary(plant(tmp_path / str(run.seed), run)) for run in runs],
        [load_target("target")],
    )
    (judgement,) = judgements.each
    assert judgement.word == "not_reproduced"
    assert not decided_by_interval(judgement)
    numbers = judgement.numbers
    assert isinstance(numbers, PublishedNumbers)
    assert numbers.equivalence_interval.high < -numbers.margin
    text = judgement_text(judgements)
    assert "robustness" not in text
    assert "margin +-0.50; another reason decides" in text


def test_nothing_is_said_where_another_reason_decided(tmp_path: Path) -> None:
    numbers = judged(summaries(tmp_path, *GOOD)).numbers
    assert isinstance(numbers, PublishedNumbers)
    assert reach_of_spread(numbers, "inconclusive") is None
    assert reach_of_spread(numbers, "not_reproduced") is None
