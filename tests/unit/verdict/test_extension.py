"""A registered extension: looks at more seeds, of which the first conclusive one decides."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.baselines import load_target
from harness.baselines.extension import Extension
from harness.baselines.schema import PublishedTarget
from harness.record.summary import read_summary
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgement
from harness.verdict.planned_variants import OFFERED
from tests.planted_journals import imagenet_runs, study

CLOSE = (77.60, 77.70, 77.80)
OPEN = (77.20, 77.26, 77.32)
"""Three seeds whose interval crosses the lower limit."""


def extended(extension: Extension = OFFERED) -> PublishedTarget:
    target = load_target("target")
    assert isinstance(target, PublishedTarget)
    return PublishedTarget.model_validate(
        {**target.model_dump(), "extension": extension.model_dump()}
    )


def judged(folder: Path, *top1_percent: float) -> Judgement:
    runs = study(folder, imagenet_runs(*top1_percent))
    summaries = [read_summary(run) for run in sorted(runs.iterdir())]
    (judgement,) = judge(summaries, [extended()]).each
    return judgement


def test_a_conclusive_first_look_decides_whatever_comes_after(tmp_path: Path) -> None:
    alone = judged(tmp_path / "alone", *CLOSE)
    assert alone.word == "reproduced"
    assert alone.numbers is not None
    assert alone.numbers.alpha == OFFERED.alpha
    assert alone.reasons[-1].startswith("look at 3 of at most 9 registered seeds")
    more = judged(tmp_path / "more", *CLOSE, *(70.0,) * 6)
    assert (more.word, more.numbers) == (alone.word, alone.numbers)
    assert [seed.declared for seed in more.seeds] == [True] * 3 + [False] * 6


def test_an_open_look_goes_on_only_with_every_seed_of_the_next(tmp_path: Path) -> None:
    three = judged(tmp_path / "three", *OPEN)
    assert three.word == "inconclusive"
    assert "the next look takes seeds 4, 5, 6 as well" in three.reasons[-1]
    five = judged(tmp_path / "five", *OPEN, *CLOSE[:2])
    assert (five.word, five.numbers) == ("inconclusive", three.numbers)
    six = judged(tmp_path / "six", *OPEN, *CLOSE)
    assert six.reasons[-1].startswith("look at 6 of at most 9")
    assert six.numbers is not None
    assert six.numbers.runs == 6
    assert [seed.declared for seed in six.seeds] == [True] * 6


def test_without_an_extension_extra_seeds_change_nothing(tmp_path: Path) -> None:
    runs = study(tmp_path, imagenet_runs(*OPEN, *CLOSE, *CLOSE))
    summaries = [read_summary(run) for run in sorted(runs.iterdir())]
    (judgement,) = judge(summaries, [load_target("target")]).each
    assert (judgement.word, judgement.numbers and judgement.numbers.runs) == ("inconclusive", 3)


def test_the_file_offers_what_the_plan_shows_and_an_extension_is_another_demand() -> None:
    text = (Path(__file__).parents[3] / "baselines" / "target.toml").read_text()
    offer = text[text.index("# [extension]") :].split("\n\n")[0].replace("# ", "")
    assert offer.split("\n")[1:4] == [
        f"seeds = {list(OFFERED.seeds)}", f"looks = {list(OFFERED.looks)}", "alpha = 0.03",
    ]  # fmt: skip
    assert extended().digest != load_target("target").digest


@pytest.mark.parametrize(
    "change",
    [{"looks": (3, 9, 6)}, {"looks": (4, 6, 9)}, {"looks": (3, 6)}, {"seeds": (3, 5, 6, 7, 8, 9)}],
)
def test_looks_that_do_not_fit_the_seeds_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        extended(OFFERED.model_copy(update=change))
