"""The chances that a plan prints, against simulation and the published plan."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from harness.analysis.plan import measured_rate, plan
from harness.baselines import load_target
from harness.baselines.loading import baselines_folder
from harness.baselines.schema import PublishedTarget
from harness.cli.judge.plan import command
from harness.errors import BaselineError, StatisticsError, UsageError
from harness.recipes.catalogue import find_recipe
from harness.statistics.power import (
    Design,
    chances,
    seeds_needed,
    simulated_chances,
    undecidable_band,
)
from harness.verdict.planned_variants import OFFERED
from harness.verdict.planning import SHARED_IMAGES, design_of, plan_study, plan_text
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
    sizes = [0.001, 0.002, 0.003, 0.005, 0.0057, 0.0075, 0.01]
    at = {c["true_difference"]: c for c in found["chances"]}
    assert list(at) == [*(-size for size in reversed(sizes)), 0, *sizes]
    for size in sizes:
        assert at[size]["exceeds"] == pytest.approx(at[-size]["not_reproduced"])
    assert at[-0.003]["seeds_80"] is at[0.003]["seeds_80"] is None
    variants = [(v["what"].split(":")[0], v["true_difference"]) for v in found["variants"]]
    assert variants == [
        ("offered extension", 0), ("offered extension", -0.005), ("offered extension", -0.0057),
        ("offered extension, our seeds' spread 0.208 points instead", -0.005),
        *[("published", 0)] * 3,
    ]  # fmt: skip
    at_margin = [v["reproduced"] for v in found["variants"] if v["true_difference"] == -0.005]
    assert at_margin[0] < 0.05 < at_margin[1], "a wider spread of our seeds errs more often"
    text = CliRunner().invoke(command, ["apm5-resnet50", "--seeds", "3"]).output
    assert "the best of all 51 epochs, taken as independent" in text
    assert "would move by 0.186 points (binomial)" in text
    titan = next(c for c in found["costs"] if "TITAN Xp" in c["origin"])
    assert titan["hours_per_seed"] == pytest.approx(51 * 10_009 * 128 / 256 / 3600)


def test_a_registered_extension_is_planned_with_the_alpha_of_its_first_look() -> None:
    target = load_target("target")
    assert isinstance(target, PublishedTarget)
    registered = target.model_copy(update={"extension": OFFERED})
    assert design_of(registered, 3) == replace(design_of(target, 3), alpha=OFFERED.alpha)


def test_a_recipe_with_two_targets_is_planned_against_both(tmp_path: Path) -> None:
    """Among the differences is that of the other figure: what if it is the right one?"""
    (run,) = fashion_runs((9500,))
    found = plan("zhong2020-fashion-resnet20", 3, measured=plant(tmp_path, run))
    assert [one.target for one in found] == [
        "zhong2020-fashion-resnet20", "chenbill-fashion-resnet20",
    ]  # fmt: skip
    for one in found:
        assert -0.00394 in [chance.true_difference for chance in one.chances]
        assert not [v.what for v in one.variants if v.what.startswith("published")]
    text = plan_text(found)
    assert text.count("target: ") == 2
    assert text.count("hours per seed") == 1
    (alone,) = plan("zhong2020-fashion-resnet20", 3, target="chenbill-fashion-resnet20")
    assert alone.chances == found[1].chances
    with pytest.raises(BaselineError, match="is about the recipe smoke"):
        plan("zhong2020-fashion-resnet20", 3, target="smoke")


def test_a_recipe_in_steps_costs_its_steps_on_any_data() -> None:
    recipe = find_recipe("he2015-cifar10-resnet20")
    for images in (45_000, 50_000):
        found = plan_study(recipe, None, seeds=1, train_images=images, rates=((100.0, "told"),))
        assert (found.steps_per_seed, found.images_per_seed) == (64_000, 64_000 * 128)
    assert found.costs[0].hours_per_seed == pytest.approx(64_000 * 128 / 100 / 3600)


def independently(looks: tuple[int, ...], alpha: float, true: float, *, estimated: bool) -> float:
    """`reproduced` over 100,000 studies with looks, written anew; the borrowed spread estimated."""
    generator = np.random.default_rng(23)
    runs = true + 0.00104 * generator.standard_normal((100_000, max(looks)))
    published = 0.00104 * generator.standard_normal(100_000)
    taken = 0.00104**2 * (generator.chisquare(24, 100_000) / 24 if estimated else 1.0)
    still, reproduced = np.ones(100_000, bool), np.zeros(100_000, bool)
    for n in looks:
        ours = runs[:, :n].var(axis=1, ddof=1) / n
        df = (ours + taken) ** 2 / (ours**2 / (n - 1) + taken**2 / 24)
        reach = stats.t.isf(alpha, df) * np.sqrt(ours + taken)
        d = runs[:, :n].mean(axis=1) - published
        inside = (d - reach > -0.005) & (d + reach < 0.005)
        reproduced |= still & inside
        still &= ~(inside | (d + reach < -0.005) | (d - reach > 0.005))
    return float(reproduced.mean())


@pytest.mark.parametrize("estimated", [False, True])
def test_extra_seeds_by_registered_looks_keep_the_size(estimated: bool) -> None:
    """At a true -0.5 `reproduced` is an error; looking at will, from 3 to 12, makes it 0.07."""
    at_will = independently(tuple(range(3, 13)), 0.05, -0.005, estimated=estimated)
    assert independently(OFFERED.looks, OFFERED.alpha, -0.005, estimated=estimated) < 0.048
    assert at_will > 0.06


def test_the_plans_simulation_agrees_with_another_one_and_with_the_formula() -> None:
    offered = replace(TARGET, alpha=OFFERED.alpha)
    for true in (0.0, -0.005):
        expected = independently(OFFERED.looks, OFFERED.alpha, true, estimated=False)
        found = simulated_chances(offered, true, looks=OFFERED.looks).reproduced
        assert found == pytest.approx(expected, abs=0.006)
    one, formula = simulated_chances(TARGET, -0.008), chances(TARGET, -0.008)
    assert one.not_reproduced == pytest.approx(formula.not_reproduced, abs=0.012)


def test_a_figure_chosen_from_several_runs_is_harder_to_reach() -> None:
    found = [simulated_chances(TARGET, 0.0, best_of=k).reproduced for k in (1, 3, 10, 51)]
    assert found == sorted(found, reverse=True)
    greatest = np.random.default_rng(4).standard_normal((100_000, 10)).max(axis=1).mean()
    assert greatest * TARGET.published_spread == pytest.approx(0.0016, abs=0.0001)


def test_the_borrowed_spread_is_that_of_the_committed_runs() -> None:
    lines = (baselines_folder() / "borrowed-spread.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(float(row["validation_top1"]))
    assert [len(values) for values in groups.values()] == [5] * 6
    pooled = np.sqrt(np.mean([np.var(values, ddof=1) for values in groups.values()]))
    target = load_target("target")
    assert isinstance(target, PublishedTarget)
    assert target.run_spread.standard_deviation == pytest.approx(pooled, abs=5e-6)
    assert target.run_spread.df == len(rows) - len(groups)


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
