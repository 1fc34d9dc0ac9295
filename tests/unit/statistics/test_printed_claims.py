"""Simulations of what commands print, each with parameters of its own: see `docs/claims.md`."""

import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from harness.analysis.plan import plan
from harness.baselines import load_target
from harness.baselines.loading import load_baselines
from harness.baselines.schema import PublishedTarget
from harness.replay.comparison import audit_chances, drawn_segments
from harness.report.published_curve import landmarks
from harness.statistics.finite_population import (
    Stratum,
    detectable_difference,
    simple_draw_interval,
    stratified_interval,
)
from harness.statistics.intervals import mean_estimate
from harness.statistics.paired import PairedCounts, mcnemar_mid_p, paired_difference_interval
from harness.statistics.power import (
    Design,
    chances,
    expected_half_width,
    seeds_needed,
    simulated_chances,
    undecidable_band,
)
from harness.statistics.ratio import paired_ratio_interval, ratio_interval
from harness.verdict.early import check_predictions
from harness.verdict.judgement import Judgement, PublishedNumbers
from harness.verdict.planned_variants import OFFERED
from harness.verdict.planning import design_of
from harness.verdict.published import reach_of_spread
from harness.verdict.text import conditional
from harness.verdict.throughput import MIN_EFFECT, _word

STUDIES = 40_000
OTHER = Design(
    runs=4, spread=0.0015, published_runs=2, published_spread=0.001, published_df=9,
    margin=0.004, alpha=0.05,
)  # fmt: skip
"""A comparison that no target asks for."""


def half_width(design: Design, variances: np.ndarray, theirs: np.ndarray | float) -> np.ndarray:
    """Half-widths of the deciding interval for our sample variances and the published spread."""
    ours, published = variances / design.runs, np.square(theirs) / design.published_runs
    df = (ours + published) ** 2 / (
        ours**2 / (design.runs - 1) + published**2 / design.published_df
    )
    found: np.ndarray = stats.t.isf(design.alpha, df) * np.sqrt(ours + published)
    return found


def rates(
    design: Design, true: float, *, estimated: bool = False, best_of: int = 1, seed: int = 1
) -> dict[str, float]:
    """How often studies end in each word: the rule written anew, in NumPy."""
    generator = np.random.default_rng(seed)
    runs = true + design.spread * generator.standard_normal((STUDIES, int(design.runs)))
    shape = (STUDIES, design.published_runs, best_of)
    published = design.published_spread * generator.standard_normal(shape).max(axis=2).mean(axis=1)
    scale = generator.chisquare(design.published_df, STUDIES) / design.published_df
    taken = design.published_spread * (np.sqrt(scale) if estimated else 1.0)
    half = half_width(design, runs.var(axis=1, ddof=1), taken)
    d, margin = runs.mean(axis=1) - published, design.margin
    inside = (d - half > -margin) & (d + half < margin)
    below, above = d + half < -margin, d - half > margin
    found = {"reproduced": inside, "not_reproduced": below, "exceeds": above}
    return {word: float(where.mean()) for word, where in found.items()} | {
        "conclusive": float((inside | below | above).mean())
    }


def target_of(name: str) -> PublishedTarget:
    target = load_target(name)
    assert isinstance(target, PublishedTarget)
    return target


def near(expected: float) -> float:
    """Four standard errors of a rate."""
    return float(4 * np.sqrt(max(expected * (1 - expected), 1e-5) / STUDIES) + 1e-4)


@pytest.mark.parametrize("name", ["zhong2020-fashion-resnet20", "chenbill-fashion-resnet20"])
@pytest.mark.parametrize("true", [0.0, -0.00394, 0.00394])
def test_the_chances_of_every_target(name: str, true: float) -> None:
    design = design_of(target_of(name), 3)
    found, simulated = chances(design, true), rates(design, true)
    for word in ("reproduced", "not_reproduced", "exceeds"):
        assert simulated[word] == pytest.approx(getattr(found, word), abs=near(simulated[word]))


@pytest.mark.parametrize(
    ("name", "true"),
    [("zhong2020-fashion-resnet20", -0.00394), ("chenbill-fashion-resnet20", 0.00394)],
)
def test_what_the_reasons_of_a_target_state(name: str, true: float) -> None:
    target = target_of(name)
    three, two = design_of(target, 3), design_of(target, 2)
    no_difference = re.search(r"at no difference with chance ([0-9.]+)", target.reasons.margin)
    other_figure = re.search(r"figure with ([0-9.]+), which is never", target.reasons.margin)
    both = re.search(r"is ([0-9.]+) with two and ([0-9.]+) with three", target.reasons.min_seeds)
    assert no_difference
    assert other_figure
    assert both
    at_zero, beyond = rates(three, 0.0), rates(three, true)
    for stated, simulated in (
        (no_difference[1], at_zero), (other_figure[1], beyond), (both[2], at_zero),
        (both[1], rates(two, 0.0)),
    ):  # fmt: skip
        assert float(stated) == pytest.approx(simulated["conclusive"], abs=0.01)
    assert beyond["reproduced"] < 0.001


@pytest.mark.parametrize("true", [-0.005, -0.0065])
def test_a_comparison_of_other_sizes(true: float) -> None:
    found, simulated = chances(OTHER, true), rates(OTHER, true)
    assert simulated["not_reproduced"] == pytest.approx(
        found.not_reproduced, abs=near(found.not_reproduced)
    )
    assert simulated["conclusive"] == pytest.approx(found.conclusive, abs=near(found.conclusive))


@pytest.mark.parametrize(("true", "wanted"), [(0.0, 0.95), (-0.0065, 0.80)])
def test_the_fewest_seeds_reach_the_chance_and_one_fewer_does_not(
    true: float, wanted: float
) -> None:
    runs = seeds_needed(OTHER, true, wanted, 3).runs
    assert runs is not None
    assert runs > 3
    enough, fewer = (rates(replace(OTHER, runs=n), true)["conclusive"] for n in (runs, runs - 1))
    assert fewer - near(fewer) < wanted < enough + near(enough)


def test_the_chance_with_endless_seeds_is_that_of_very_many() -> None:
    limit = seeds_needed(OTHER, -0.004, 0.8, 3).limit
    assert rates(replace(OTHER, runs=400), -0.004)["conclusive"] == pytest.approx(limit, abs=0.012)


def test_the_mean_reach_of_the_deciding_interval() -> None:
    variances = OTHER.spread**2 * np.random.default_rng(2).chisquare(3, STUDIES) / 3
    simulated = half_width(OTHER, variances, OTHER.published_spread).mean()
    assert expected_half_width(OTHER) == pytest.approx(simulated, rel=0.01)


def test_the_band_of_true_differences_that_stay_open() -> None:
    design = replace(OTHER, spread=0.0008, published_runs=4)
    low, high = undecidable_band(design, 0.8)
    step = 0.0003
    outside = [rates(design, -size)["conclusive"] for size in (low - step, high + step)]
    within = [rates(design, -size)["conclusive"] for size in (low + step, high - step)]
    assert max(within) < 0.8 < min(outside)


@pytest.mark.parametrize("best_of", [3, 10, 51])
@pytest.mark.parametrize("name", ["target", "chenbill-fashion-resnet20"])
def test_a_published_figure_that_was_the_best_of_several(name: str, best_of: int) -> None:
    """Of five published runs each may be the best of several; their mean is published."""
    design = design_of(target_of(name), 3)
    found = simulated_chances(design, 0.0, best_of=best_of).reproduced
    assert rates(design, 0.0, best_of=best_of)["reproduced"] == pytest.approx(found, abs=0.017)


def test_every_seed_reaches_a_threshold() -> None:
    (found,) = plan("smoke", 2)
    generator = np.random.default_rng(3)
    for chance in found.pass_chances:
        right = generator.binomial(355, chance.true_accuracy, (STUDIES, 2))
        passed = float((right >= math.ceil(Fraction(97, 100) * 355)).all(axis=1).mean())
        assert passed == pytest.approx(chance.passes, abs=near(passed))


@pytest.mark.parametrize("name", ["zhong2020-fashion-resnet20", "chenbill-fashion-resnet20"])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_size_where_the_source_states_its_own_spread(name: str, side: int) -> None:
    """The published spread is that of five runs, so that it is itself an estimate."""
    design = design_of(target_of(name), 3)
    at_margin = rates(design, side * design.margin, estimated=True)
    assert at_margin["reproduced"] <= 0.06


@pytest.mark.parametrize(
    ("spread", "three", "looks"),
    [(0.0005, 0.053, 0.040), (0.00104, 0.053, 0.048), (0.003, 0.061, 0.070)],
)
def test_reproduced_at_the_margin_by_the_spread_of_our_own_seeds(
    spread: float, three: float, looks: float
) -> None:
    """Below 0.05 with looks where ours is the borrowed spread, up to 0.07 at three times that."""
    assert rates(replace(design_of(target_of("target"), 3), spread=spread), -0.005, estimated=True)[
        "reproduced"
    ] <= three  # fmt: skip
    generator = np.random.default_rng(7)
    runs = -0.005 + spread * generator.standard_normal((100_000, 9))
    d = np.cumsum(runs, axis=1) / np.arange(1, 10) - 0.00104 * generator.standard_normal(
        (100_000, 1)
    )
    taken = 0.00104 * np.sqrt(generator.chisquare(24, 100_000) / 24)
    still, reproduced = np.ones(100_000, bool), np.zeros(100_000, bool)
    for n in OFFERED.looks:
        design = replace(design_of(target_of("target"), n), alpha=OFFERED.alpha)
        half = half_width(design, runs[:, :n].var(axis=1, ddof=1), taken)
        low, high = d[:, n - 1] - half, d[:, n - 1] + half
        inside = (low > -0.005) & (high < 0.005)
        reproduced |= still & inside
        still &= ~(inside | (high < -0.005) | (low > 0.005))
    assert reproduced.mean() <= looks


@pytest.mark.parametrize("runs", [3, 6])
def test_the_interval_beside_a_row_of_five_runs_with_its_own_spread_covers(runs: int) -> None:
    generator = np.random.default_rng(4)
    ours = 0.0008 * generator.standard_normal((STUDIES, runs))
    theirs = 0.0006 * generator.standard_normal((STUDIES, 5))
    d = ours.mean(axis=1) - theirs.mean(axis=1)
    design = replace(OTHER, runs=runs, published_runs=5, published_df=4, alpha=0.025)
    half = half_width(design, ours.var(axis=1, ddof=1), theirs.std(axis=1, ddof=1))
    assert 0.945 <= np.mean(np.abs(d) <= half) <= 0.975


def numbers(mean: float = 0.95, spread: float = 0.002, taken: float = 0.001) -> PublishedNumbers:
    """Computed from three runs against one published run of a spread with 12 df."""
    ours = spread**2 / 3
    total = ours + taken**2
    df = total**2 / (ours**2 / 2 + taken**4 / 12)
    bounds = {"low": 0.0, "high": 0.0, "confidence": 0.9}
    return PublishedNumbers.model_validate(
        {
            "runs": 3, "mean": mean, "spread": spread, "published": mean, "published_runs": 1,
            "published_spread": taken, "difference": 0.0, "standard_error": total**0.5, "df": df,
            "margin": 0.02, "alpha": 0.05, "equivalence_interval": bounds,
            "difference_interval": bounds, "difference_excludes_zero": False,
            "mean_interval": bounds, "mean_excludes_published": False,
        }
    )  # fmt: skip


def test_the_upper_limit_of_a_spread_covers() -> None:
    """The limit is proportional to the spread taken, which is estimated with 12 df here."""
    limits = [reach_of_spread(numbers(taken=taken), "reproduced") for taken in (0.001, 0.002)]
    assert limits[0] is not None
    assert limits[1] is not None
    assert limits[1].upper == pytest.approx(2 * limits[0].upper)
    taken = 0.001 * np.sqrt(np.random.default_rng(5).chisquare(12, STUDIES) / 12)
    covered = float(np.mean(taken * limits[0].upper / 0.001 >= 0.001))
    assert covered == pytest.approx(0.95, abs=near(0.95))


def test_another_draw_of_images_and_other_seeds_move_a_mean_as_stated() -> None:
    seeds = [{"seed": 1, "run": "r", "status": "completed", "declared": True, "protocol": "p",
              "images": 10_000, "top1_correct": 9500, "top1_accuracy": 0.95,
              "top5_accuracy": 0.99}]  # fmt: skip
    unsaid = ("target", "target_text", "protocol", "protocol_digest")
    judgement = Judgement.model_validate(
        {"word": "reproduced", "reasons": [], "recipe": "r", "recipe_digest": "0" * 64,
         "data": "d", "seeds": seeds, **dict.fromkeys(unsaid)}, strict=False
    )  # fmt: skip
    words = conditional(judgement, numbers())
    images, moved = re.findall(r"(?:by|mean by) ([0-9.]+)", words)
    generator = np.random.default_rng(6)
    drawn = generator.binomial(10_000, 0.95, STUDIES) / 10_000
    means = 0.002 * generator.standard_normal((STUDIES, 3)).mean(axis=1)
    assert float(images) == pytest.approx(100 * drawn.std(), abs=0.003)
    assert float(moved) == pytest.approx(100 * means.std(), abs=0.002)


@pytest.mark.parametrize("accuracy", [0.6, 0.777, 0.9])
def test_what_a_draw_detects_with_80_percent(accuracy: float) -> None:
    drawn, population = 1000, 20_000
    found = detectable_difference(drawn, population, accuracy)
    right = round(population * (accuracy - found))
    counts, times = np.unique(
        np.random.default_rng(8).hypergeometric(right, population - right, drawn, 20_000),
        return_counts=True,
    )
    outside = [
        accuracy not in simple_draw_interval(k, drawn, population, 0.95) for k in counts.tolist()
    ]
    assert np.average(outside, weights=times) == pytest.approx(0.80, abs=0.02)


def test_what_a_stratified_draw_detects_is_at_least_that() -> None:
    """Classes of unequal difficulty: a draw within each of them varies less."""
    sizes, easy = 500, np.linspace(0.4, 1.0, 40)
    found = detectable_difference(40 * 20, 40 * sizes, float(easy.mean()))
    right = np.round(sizes * (easy - found)).astype(int)
    drawn = np.random.default_rng(9).hypergeometric(right, sizes - right, 20, (1000, 40))
    outside = [
        easy.mean() not in stratified_interval([Stratum(sizes, 20, k) for k in row], 0.95)
        for row in drawn.tolist()
    ]
    assert np.mean(outside) >= 0.80


@pytest.mark.parametrize(
    "shares", [(0.90, 0.04, 0.02, 0.04), (0.60, 0.02, 0.08, 0.30), (0.95, 0.004, 0.001, 0.045)]
)
def test_the_paired_interval_covers_a_true_difference(shares: tuple[float, ...]) -> None:
    tables = np.random.default_rng(10).multinomial(1500, shares, 1500)
    true = shares[2] - shares[1]
    hits = [true in paired_difference_interval(PairedCounts(*row), 0.95) for row in tables.tolist()]
    assert 0.935 <= np.mean(hits) <= 0.985


def test_mcnemar_keeps_its_size_where_few_images_differ() -> None:
    drawn = np.random.default_rng(11).binomial(30, 0.5, STUDIES)
    values, times = np.unique(drawn, return_counts=True)
    found = [mcnemar_mid_p(PairedCounts(900, k, 30 - k, 70)) <= 0.05 for k in values.tolist()]
    assert np.average(found, weights=times) <= 0.06


@pytest.mark.parametrize("rounds", [2, 3, 6])
def test_the_ratio_of_a_few_rounds_covers(rounds: int) -> None:
    """What a round shares cancels: the machine is up to twice as slow in some of them."""
    generator = np.random.default_rng(12)
    shared = np.exp(0.3 * generator.standard_normal((2000, 1, rounds)))
    times = shared * np.exp(0.03 * generator.standard_normal((2000, 2, rounds)))
    found = [paired_ratio_interval(base, 1.4 * head) for base, head in times]
    assert np.mean([one.low <= 1.4 <= one.high for one in found]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("ratio", "word", "most"),
    [
        (1.0, "slower", 0.03),
        (1 + MIN_EFFECT, "as_fast", 0.03),
        (1 / (1 + MIN_EFFECT), "as_fast", 0.03),
    ],
)
def test_the_words_about_two_speeds_are_seldom_wrong(ratio: float, word: str, most: float) -> None:
    blocks = np.exp(0.02 * np.random.default_rng(13).standard_normal((2000, 2, 12)))
    words = [_word(ratio_interval(base, ratio * head)) for base, head in blocks]
    assert words.count(word) / len(words) <= most  # type: ignore[arg-type]


def test_a_run_of_the_same_kind_lies_outside_a_published_range_as_often_as_stated() -> None:
    (curve, *_) = load_baselines().curves
    n = len(curve.points[0].validation)
    stated = float(re.search(r"at ([0-9.]+) % of the epochs", landmarks([], curve).caption)[1])  # type: ignore[index]
    runs = np.random.default_rng(14).gamma(3.0, size=(STUDIES, n + 1))
    outside = (runs[:, 0] < runs[:, 1:].min(axis=1)) | (runs[:, 0] > runs[:, 1:].max(axis=1))
    assert 100 * outside.mean() == pytest.approx(stated, abs=0.8)


def test_an_audit_by_nonce_catches_an_alteration_as_often_as_the_certificate_states() -> None:
    segments = [(100 * i, 100 * (i + 1)) for i in range(30)]
    one, ten = audit_chances(segments, 4)
    for chance in (one, ten):
        altered = set(segments[7 : 7 + chance.altered_segments])
        caught = [
            bool(altered & set(drawn_segments("d" * 64, f"nonce {i}", 4, segments)))  # type: ignore[type-var]
            for i in range(4000)
        ]
        assert np.mean(caught) == pytest.approx(chance.chance, abs=0.03)


def test_untrained_and_sound_predictions_seldom_raise_the_early_check() -> None:
    generator = np.random.default_rng(15)
    labels = np.repeat(np.arange(10), 36)
    found = 0
    for sound in generator.random(2000) < 0.5:
        guess = generator.integers(0, 10, len(labels))
        predicted = np.where(generator.random(len(labels)) < 0.3, labels, guess) if sound else guess
        found += len(check_predictions(labels, predicted, 10, 5))
    assert found == 0


def test_mean_and_standard_error_of_the_seeds() -> None:
    """What MLflow and the page state as the spread is the sample's, unbiased as a variance."""
    values = 0.9 + 0.004 * np.random.default_rng(16).standard_normal((2000, 4))
    errors = [mean_estimate(row).standard_error for row in values.tolist()]
    assert np.mean(np.square(errors)) == pytest.approx(0.004**2 / 4, rel=0.06)
