"""Coverage of every interval over 10,000 simulated studies, and the size of the two tests."""

import numpy as np
import pytest
from scipy import stats

from harness.statistics.difference import difference_from_published
from harness.statistics.finite_population import (
    Stratum,
    simple_draw_interval,
    stratified_interval,
)
from harness.statistics.intervals import (
    Estimate,
    mean_estimate,
    proportion_interval,
    proportion_lower_bound,
)
from harness.statistics.paired import PairedCounts, mcnemar_mid_p, paired_difference_interval
from harness.statistics.ratio import paired_ratio_interval, ratio_interval
from tests.simulated_studies import (
    MARGIN,
    SIGMA,
    TARGET_DF,
    interval_of_difference,
    simulated_words,
)

STUDIES = 10_000
SPREADS = (0.0005, 0.00104, 0.002, 0.003)
RUNS = (3, 5, 10)


def studies(runs: int, spread: float, seed: int = 11) -> np.ndarray:
    return 0.77 + spread * np.random.default_rng(seed).standard_normal((STUDIES, runs))


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("spread", SPREADS)
def test_student_interval_of_a_mean_covers_95_percent(runs: int, spread: float) -> None:
    values = studies(runs, spread)
    hits = [0.77 in mean_estimate(row).interval(0.95) for row in values[:500].tolist()]
    low, high = _student(values)
    vectorised = (low <= 0.77) & (high >= 0.77)
    assert hits == vectorised[:500].tolist()
    assert 0.94 <= vectorised.mean() <= 0.96


def _student(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    runs = values.shape[1]
    reach = stats.t.ppf(0.975, runs - 1) * values.std(axis=1, ddof=1) / np.sqrt(runs)
    return values.mean(axis=1) - reach, values.mean(axis=1) + reach


def estimated_target_studies(
    runs: int, spread: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """d, s^2 and the estimate of sigma^2 (24 degrees of freedom) when nothing truly differs."""
    generator = np.random.default_rng(seed)
    values = spread * generator.standard_normal((STUDIES, runs))
    published = SIGMA * generator.standard_normal(STUDIES)
    sigma2 = SIGMA**2 * generator.chisquare(TARGET_DF, STUDIES) / TARGET_DF
    return values.mean(axis=1) - published, values.var(axis=1, ddof=1), sigma2


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("spread", SPREADS)
def test_the_interval_of_the_difference_covers(runs: int, spread: float) -> None:
    differences, variances, sigma2 = estimated_target_studies(runs, spread, seed=5)
    low, high = interval_of_difference(differences, variances, runs, 0.95, sigma2)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97
    for i in range(50):
        ours = Estimate(0.7772 + differences[i], np.sqrt(variances[i] / runs), runs - 1)
        estimate = difference_from_published(
            ours, 0.7772, published_runs=1, spread=float(np.sqrt(sigma2[i])), spread_df=TARGET_DF
        )
        found = estimate.interval(0.95)
        assert (found.low, found.high) == pytest.approx((low[i], high[i]), abs=1e-9)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("side", [-1, 1])
def test_the_size_of_the_two_tests_at_the_margin(runs: int, spread: float, side: int) -> None:
    words = simulated_words(runs, side * MARGIN, STUDIES, seed=3, spread=spread)
    assert np.mean(words == "reproduced") <= 0.06


@pytest.mark.parametrize("n", [20, 355, 50_000])
@pytest.mark.parametrize("p", [0.02, 0.5, 0.7772, 0.97, 0.999])
def test_exact_proportion_intervals_cover_at_least_95_percent(n: int, p: float) -> None:
    counts = np.arange(n + 1)
    weights = stats.binom.pmf(counts, n, p)
    likely = counts[weights > 1e-12]
    held = sum(weights[k] for k in likely if p in proportion_interval(int(k), n, 0.95))
    above = sum(weights[k] for k in likely if proportion_lower_bound(int(k), n, 0.95) <= p)
    assert held >= 0.95 - 1e-6
    assert above >= 0.95 - 1e-6


@pytest.mark.parametrize(
    ("population", "right", "drawn"), [(200, 150, 40), (1000, 777, 100), (500, 1, 50)]
)
def test_exact_interval_of_a_simple_draw_covers(population: int, right: int, drawn: int) -> None:
    counts = np.arange(max(0, drawn - population + right), min(drawn, right) + 1)
    weights = stats.hypergeom.pmf(counts, population, right, drawn)
    held = sum(
        weight
        for k, weight in zip(counts.tolist(), weights, strict=True)
        if right / population in simple_draw_interval(k, drawn, population, 0.95)
    )
    assert held >= 0.95 - 1e-9


def test_the_interval_of_a_stratified_draw_covers() -> None:
    sizes, shares = np.array([50] * 20), np.linspace(0.5, 0.95, 20)
    right = np.round(sizes * shares).astype(int)
    truth = right.sum() / sizes.sum()
    drawn = np.random.default_rng(2).hypergeometric(right, sizes - right, 15, (STUDIES, 20))
    hits = [
        truth
        in stratified_interval(
            [Stratum(50, 15, k) for k in row], 0.95
        )
        for row in drawn[:3000].tolist()
    ]  # fmt: skip
    assert 0.935 <= np.mean(hits) <= 0.965


@pytest.mark.parametrize("classes", [8, 17, 47])
def test_a_stratified_interval_of_all_right_is_no_wider_than_the_scale(classes: int) -> None:
    strata = [Stratum(size=5 + i % 3, drawn=3, correct=3) for i in range(classes)]
    found = stratified_interval(strata, 0.95)
    assert found.low <= found.high == 1.0


def test_mcnemar_keeps_its_size_and_the_paired_interval_covers() -> None:
    generator = np.random.default_rng(9)
    tables = generator.multinomial(2000, [0.72, 0.05, 0.05, 0.18], STUDIES)
    counts = [PairedCounts(*row) for row in tables[:3000].tolist()]
    assert 0.04 <= np.mean([mcnemar_mid_p(c) <= 0.05 for c in counts]) <= 0.06
    hits = [0.0 in paired_difference_interval(c, 0.95) for c in counts]
    assert 0.935 <= np.mean(hits) <= 0.97


@pytest.mark.parametrize("blocks", [5, 12])
def test_ratios_of_timings_cover(blocks: int) -> None:
    noise = np.exp(0.05 * np.random.default_rng(6).standard_normal((2000, 2, blocks)))
    pairs = [
        (
            ratio_interval(base, 1.1 * head),
            paired_ratio_interval(base, 1.1 * head),
        )
        for base, head in noise
    ]
    for kind in (0, 1):
        hits = [pair[kind].low <= 1.1 <= pair[kind].high for pair in pairs]
        assert 0.92 <= np.mean(hits) <= 0.98
