"""Agreement with SciPy, statsmodels and values printed in papers; and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from harness.errors import StatisticsError
from harness.statistics.difference import difference_from_published, welch_satterthwaite
from harness.statistics.equivalence import place_of
from harness.statistics.finite_population import (
    Stratum,
    detectable_difference,
    simple_draw_interval,
    stratified_estimate,
)
from harness.statistics.intervals import (
    Interval,
    mean_estimate,
    proportion_interval,
    proportion_lower_bound,
)
from harness.statistics.paired import PairedCounts, mcnemar_mid_p, paired_difference_interval
from harness.statistics.ratio import block_medians, paired_ratio_interval, ratio_interval

repeatable = settings(deadline=None, derandomize=True, max_examples=60)
values_of_runs = st.lists(st.floats(0.7, 0.8), min_size=2, max_size=12).filter(
    lambda v: np.std(v) > 1e-6
)


@repeatable
@given(values_of_runs)
def test_student_interval_is_that_of_statsmodels(values: list[float]) -> None:
    found = mean_estimate(values).interval(0.95)
    low, high = DescrStatsW(values).tconfint_mean(0.05)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


@repeatable
@given(st.integers(1, 60_000), st.data())
def test_exact_proportion_is_that_of_statsmodels(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = proportion_interval(k, n, 0.95)
    low, high = proportion_confint(k, n, 0.05, method="beta")
    assert found.low == pytest.approx(float(low) if k else 0.0, abs=1e-9)
    assert found.high == pytest.approx(float(high) if k < n else 1.0, abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(345, 355), (355, 355), (0, 10), (38_860, 50_000)])
def test_the_lower_bound_is_that_of_scipys_binomial_test(k: int, n: int) -> None:
    low = stats.binomtest(k, n, alternative="greater").proportion_ci(0.95, method="exact").low
    assert proportion_lower_bound(k, n, 0.95) == pytest.approx(low, abs=1e-9)


@repeatable
@given(values_of_runs, values_of_runs)
def test_the_difference_is_welchs_when_the_published_runs_are_known(
    ours: list[float], theirs: list[float]
) -> None:
    found = difference_from_published(
        mean_estimate(ours), float(np.mean(theirs)),
        published_runs=len(theirs), spread=float(np.std(theirs, ddof=1)), spread_df=len(theirs) - 1,
    )  # fmt: skip
    compared = CompareMeans(DescrStatsW(ours), DescrStatsW(theirs))
    low, high = compared.tconfint_diff(0.05, usevar="unequal")
    interval = found.interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


@repeatable
@given(st.floats(-0.02, 0.02), st.floats(1e-5, 0.01), st.floats(2, 50))
def test_the_interval_decides_as_two_one_sided_tests(d: float, error: float, df: float) -> None:
    margin, alpha = 0.005, 0.05
    reach = stats.t.isf(alpha, df) * error
    p_low = stats.t.sf((d + margin) / error, df)
    p_high = stats.t.cdf((d - margin) / error, df)
    equivalent = place_of(Interval(d - reach, d + reach, 0.9), margin) == "inside"
    if not math.isclose(max(p_low, p_high), alpha, rel_tol=1e-9):
        assert equivalent == (max(p_low, p_high) < alpha)


def test_places() -> None:
    cases = {(-3, -2): "below", (2, 3): "above", (-0.5, 0.9): "inside", (-2, 0): "across_lower",
             (0, 2): "across_upper", (-2, 2): "across_both", (-1, 0): "across_lower"}  # fmt: skip
    for (low, high), place in cases.items():
        assert place_of(Interval(low, high, 0.9), 1.0) == place


@repeatable
@given(*(st.integers(0, 400) for _ in range(4)))
def test_mcnemar_is_that_of_statsmodels(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    exact = mcnemar([[a, b], [c, d]], exact=True).pvalue if b + c else 1.0
    once = stats.binom.pmf(min(b, c), b + c, 0.5) if b != c else 0.0
    assert mcnemar_mid_p(PairedCounts(a, b, c, d)) == pytest.approx(exact - once, abs=1e-9)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 2635-2650, Table II, method 10.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((36, 14, 0, 0), 0.1528, 0.4167),
    ],
)
def test_the_paired_interval_is_newcombes(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    a, b, c, d = table
    found = paired_difference_interval(PairedCounts(a, c, b, d), 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@repeatable
@given(st.integers(2, 60), st.data())
def test_a_simple_draw_is_inverted_exactly(population: int, data: st.DataObject) -> None:
    drawn = data.draw(st.integers(1, population))
    correct = data.draw(st.integers(0, drawn))
    kept = [
        right
        for right in range(correct, population - drawn + correct + 1)
        if stats.hypergeom(population, right, drawn).cdf(correct) > 0.025
        and stats.hypergeom(population, right, drawn).sf(correct - 1) > 0.025
    ]
    found = simple_draw_interval(correct, drawn, population, 0.95)
    assert (found.low, found.high) == (kept[0] / population, kept[-1] / population)


def test_the_whole_set_has_no_sampling_error() -> None:
    found = simple_draw_interval(777, 1000, 1000, 0.95)
    assert found.low == found.high == 0.777
    assert stratified_estimate([Stratum(10, 10, 7), Stratum(30, 30, 15)]) == (22 / 40, 0.0)
    assert detectable_difference(1000, 1000, 0.77) == 0.0


def test_a_stratified_draw_is_weighted_by_size() -> None:
    mean, error = stratified_estimate([Stratum(100, 10, 5), Stratum(300, 20, 15)])
    assert mean == pytest.approx(0.25 * 0.5 + 0.75 * 0.75)
    variance = 0.25**2 * 0.9 * 0.25 / 9 + 0.75**2 * (1 - 20 / 300) * 0.1875 / 19
    assert error == pytest.approx(math.sqrt(variance))


def test_what_a_draw_could_have_detected() -> None:
    # (1.959964 + 0.841621) * sqrt(0.25 / 1000 * 49000 / 49999) + 0.0005, by hand
    assert detectable_difference(1000, 50_000, 0.5) == pytest.approx(0.0443527, abs=1e-6)


def test_satterthwaite_of_equal_parts_adds_degrees_of_freedom() -> None:
    error, df = welch_satterthwaite((2.0, 7.0), (2.0, 7.0))
    assert (error, df) == pytest.approx((2.0, 14.0))
    assert welch_satterthwaite((0.0, 3.0)) == (0.0, math.inf)


def test_ratio_intervals_are_welchs_and_paired_ones_turn() -> None:
    base, head = [1.0, 1.1, 0.9, 1.05, 0.95], [1.2, 1.3, 1.1, 1.25, 1.15]
    one = ratio_interval(base, head)
    theirs = stats.ttest_ind(np.log(head), np.log(base), equal_var=False).confidence_interval(0.95)
    assert np.log([one.low, one.high]) == pytest.approx([theirs.low, theirs.high], rel=1e-9)
    turned = paired_ratio_interval(head, base)
    assert turned.ratio == pytest.approx(1 / paired_ratio_interval(base, head).ratio)
    assert block_medians([1, 2, 9, 4, 5, 6, 7], 3) == (2.0, 5.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_estimate([0.77]),
        lambda: mean_estimate([0.77, math.nan]),
        lambda: mean_estimate([0.77, 0.78]).interval(95),
        lambda: proportion_interval(3, 2, 0.95),
        lambda: proportion_interval(0, 0, 0.95),
        lambda: place_of(Interval(0, 1, 0.9), 0.0),
        lambda: PairedCounts(0, 0, 0, 0),
        lambda: simple_draw_interval(1, 11, 10, 0.95),
        lambda: stratified_estimate([]),
        lambda: stratified_estimate([Stratum(10, 1, 1)]),
        lambda: ratio_interval([1, 2, 3], [1, 2, 3, 4, 5]),
        lambda: ratio_interval([1, 2, 3, 4, 0], [1, 2, 3, 4, 5]),
        lambda: paired_ratio_interval([1, 2], [1, 2, 3]),
        lambda: block_medians([1, 2], 3),
        lambda: difference_from_published(
            mean_estimate([0.7, 0.8]), 0.77, published_runs=0, spread=0.001, spread_df=24
        ),
    ],
)
def test_questions_that_numbers_cannot_answer_are_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(StatisticsError):
        call()
