"""The difference between the mean of our runs and a published mean whose spread is borrowed."""

import math

from harness.errors import StatisticsError
from harness.statistics.intervals import Estimate


def welch_satterthwaite(*parts: tuple[float, float]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of independent estimates.

    Formula: se^2 = sum v_i and df = se^4 / sum (v_i^2 / df_i), where v_i is the
    variance of part i, estimated with df_i degrees of freedom. Parts with
    variance 0 drop out; df is infinite when all do. Sources: Satterthwaite
    (1946), Biometrics Bulletin 2; Welch (1947), Biometrika 34.

    Args:
        parts: Pairs (variance of the part's estimate, its degrees of freedom).
    """
    variance = math.fsum(v for v, _ in parts)
    weight = math.fsum(v**2 / df for v, df in parts)
    return math.sqrt(variance), variance**2 / weight if weight > 0 else math.inf


def difference_from_published(
    ours: Estimate,
    published: float,
    *,
    published_runs: int,
    spread: float,
    spread_df: float,
) -> Estimate:
    """Our mean minus a published one: d = ours - published.

    Formula: Var(d) = s^2 / n + sigma^2 / published_runs, degrees of freedom by
    `welch_satterthwaite`. Assumes that both are means of independent normal
    runs, and that `spread`, which may come from other recipes, is the
    published recipe's seed-to-seed standard deviation.

    Args:
        ours: Our mean with its standard error.
        published: The published mean.
        published_runs: Runs of which it is the mean.
        spread: Standard deviation sigma of one published run.
        spread_df: Degrees of freedom with which sigma was estimated.

    Raises:
        StatisticsError: `published_runs` below 1, or a spread that is not
            positive.
    """
    if published_runs < 1 or spread <= 0 or spread_df <= 0:
        raise StatisticsError(
            f"a published mean of {published_runs} runs with spread {spread:g} "
            f"({spread_df:g} degrees of freedom)",
            expected="at least one run and a positive spread with its degrees of freedom",
        )
    error, df = welch_satterthwaite(
        (ours.standard_error**2, ours.df), (spread**2 / published_runs, spread_df)
    )
    return Estimate(ours.value - published, error, df)
