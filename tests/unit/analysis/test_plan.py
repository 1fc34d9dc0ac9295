"""The chances that a plan prints, against simulation and the published plan."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.analysis.plan import measured_rate, plan
from harness.baselines import load_target
from harness.baselines.schema import PublishedTarget
from harness.cli.judge.plan import command
from harness.errors import StatisticsError, UsageError
from harness.recipes.catalogue import find_recipe
from harness.statistics.power import Design, chances, seeds_needed, undecidable_band
from harness.verdict.planning import SHARED_IMAGES, plan_study, plan_text
from tests.planted_journals import Planted, fashion_runs, imagenet_runs, plant, smoke_runs
from tests.simulated_studies import simulated_words

TARGET = Design(
    runs=3, spread=0.00104, published_runs=1, published_spread=0.00104, published_df=24,
    margin=0.005, alpha=0.05,
)  # fmt: skip


def with_batch(batch: int) -> Planted:
    (run,) = imagenet_runs(77.0)
    return replace(run, recipe=run.recipe.model_copy(update={"batch": batch}))


def design(runs: float) -> Design:
    return Design(
        runs, TARGET.spread, 1, TARGET.published_spread, TARGET.published_df, TARGET.margin, 0.05
    )


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("true_difference", [0.0, -0.002, -0.005, -0.008, 0.007])
def test_chances_agree_with_simulated_studies(runs: int, true_difference: float) -> None:
    words = simulated_words(runs=runs, true_difference=true_difference, studies=40_000, seed=7)
    found = chances(design(runs), true_difference)
    for word in ("reproduced", "not_reproduced", "exceeds", "inconclusive"):
        expected = getattr(found, word)
        error = np.sqrt(max(expected * (1 - expected), 1e-5) / 40_000)
        assert np.mean(words == word) == pytest.approx(expected, abs=4.5 * error + 1e-4), word


@pytest.mark.parametrize(("runs", "at_zero"), [(3, 0.98), (5, 0.99), (10, 1.00)])
def test_chances_are_those_of_the_registered_plan(runs: int, at_zero: float) -> None:
    plan = design(runs)
    assert chances(plan, 0.0).reproduced == pytest.approx(at_zero, abs=0.005)
    assert chances(plan, -0.005).reproduced == pytest.approx(0.046, abs=0.002)
    assert chances(plan, -0.0057).reproduced <= chances(design(3), -0.0057).reproduced
    assert chances(design(3), -0.0057).reproduced == pytest.approx(0.012, abs=0.0005)


def test_the_targets_reason_states_the_chances_that_the_plan_has() -> None:
    target = load_target("target")
    assert isinstance(target, PublishedTarget)
    found = chances(design(3), -0.0057)
    for chance, word in (
        (found.reproduced, "reproduced with chance"),
        (found.inconclusive, "inconclusive with"),
        (found.not_reproduced, "not reproduced with"),
    ):
        assert f"{word} {chance:.2f}" in target.reasons.margin


def test_three_seeds_find_a_large_loss() -> None:
    assert chances(design(3), -0.008).not_reproduced == pytest.approx(0.77, abs=0.005)
    assert chances(design(3), -0.010).not_reproduced == pytest.approx(0.99, abs=0.005)


def test_chances_mirror() -> None:
    below, above = chances(design(3), -0.004), chances(design(3), 0.004)
    assert below.reproduced == pytest.approx(above.reproduced)
    assert below.not_reproduced == pytest.approx(above.exceeds)


def test_no_number_of_seeds_is_said() -> None:
    assert seeds_needed(design(3), 0.0, 0.8, 3).runs == 3
    at_margin = seeds_needed(design(3), -0.005, 0.8, 3)
    assert at_margin.runs is None
    assert at_margin.limit < 0.1


def test_more_seeds_narrow_the_undecidable_band() -> None:
    low3, high3 = undecidable_band(design(3), 0.8)
    low10, high10 = undecidable_band(design(10), 0.8)
    assert low3 < low10 < 0.005 < high10 < high3


def test_a_plan_of_one_run_is_refused() -> None:
    with pytest.raises(StatisticsError, match="1 runs"):
        design(1)


def test_the_plan_of_the_target() -> None:
    target = load_target("target")
    assert isinstance(target, PublishedTarget)
    output = CliRunner().invoke(command, ["apm5-resnet50", "--seeds", "3", "--json"]).output
    found = json.loads(output)
    assert found["steps_per_seed"] == 51 * 10_009
    assert [c["true_difference"] for c in found["chances"]] == [
        0, -0.001, -0.002, -0.003, -0.005, -0.0057, -0.0075, -0.01,
    ]  # fmt: skip
    assert found["chances"][3]["seeds_80"] is None
    titan = next(c for c in found["costs"] if "TITAN Xp" in c["origin"])
    assert titan["hours_per_seed"] == pytest.approx(51 * 10_009 * 128 / 256 / 3600)


def test_a_recipe_with_two_targets_is_planned_against_both(tmp_path: Path) -> None:
    """Among the differences is that of the other figure: what if it is the right one?"""
    (run,) = fashion_runs((9500,))
    found = plan("zhong2020-fashion-resnet20", 3, measured=plant(tmp_path, run))
    assert [one.target for one in found] == [
        "zhong2020-fashion-resnet20", "chenbill-fashion-resnet20",
    ]  # fmt: skip
    for one in found:
        assert -0.00394 in [chance.true_difference for chance in one.chances]
    text = plan_text(found)
    assert text.count("target: ") == 2
    assert text.count("hours per seed") == 1
    (alone,) = plan("zhong2020-fashion-resnet20", 3, target="chenbill-fashion-resnet20")
    assert alone.chances == found[1].chances
    with pytest.raises(UsageError, match="is about the recipe smoke"):
        plan("zhong2020-fashion-resnet20", 3, target="smoke")


def test_a_recipe_in_steps_costs_its_steps_on_any_data() -> None:
    recipe = find_recipe("he2015-cifar10-resnet20")
    for images in (45_000, 50_000):
        found = plan_study(recipe, None, seeds=1, train_images=images, rates=((100.0, "told"),))
        assert (found.steps_per_seed, found.images_per_seed) == (64_000, 64_000 * 128)
    assert found.costs[0].hours_per_seed == pytest.approx(64_000 * 128 / 100 / 3600)


def test_seeds_that_share_images_pass_between_independent_ones_and_one() -> None:
    """355 images of unequal difficulty, drawn once for both seeds; 345 must be right."""
    generator = np.random.default_rng(5)
    ease = generator.beta(2.0, 0.05, size=(20_000, 355))
    right = [(generator.random(ease.shape) < ease).sum(axis=1) >= 345 for _ in range(2)]
    one, both = float(np.mean(right)), float(np.mean(right[0] & right[1]))
    assert one**2 + 0.02 < both < one - 0.05
    assert SHARED_IMAGES in CliRunner().invoke(command, ["smoke", "--seeds", "2"]).output


def test_too_few_seeds_are_inconclusive_before_they_run() -> None:
    result = CliRunner().invoke(command, ["apm5-resnet50", "--seeds", "2"])
    assert result.exit_code == 0
    assert "would be inconclusive" in result.output


def test_the_rate_of_a_run_is_images_over_a_median_step(tmp_path: Path) -> None:
    run = Planted(1, recipe=imagenet_runs(77.0)[0].recipe, step_time_s=0.25)
    assert measured_rate(plant(tmp_path, run)) == pytest.approx(128 / 0.25)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (smoke_runs(350)[0], "network is apm5-resnet18-v2"),
        (with_batch(64), "batch is 64, not 128"),
    ],
)
def test_the_rate_of_other_work_is_refused(tmp_path: Path, run: Planted, said: str) -> None:
    with pytest.raises(UsageError, match="other work") as caught:
        plan("apm5-resnet50", 3, measured=plant(tmp_path, run))
    assert said in str(caught.value)


def test_the_rate_of_the_same_work_gives_hours(tmp_path: Path) -> None:
    (run,) = imagenet_runs(77.0)
    (found,) = plan("apm5-resnet50", 3, measured=plant(tmp_path, run))
    assert [cost.images_per_s for cost in found.costs] == [pytest.approx(256.0)]
