"""What a planned comparison with a published accuracy can decide, before anything is run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy

from harness.errors import StatisticsError

_GRID = 4000
"""Midpoints over the distribution of the sample variance; the error is below 1e-5."""
MAX_RUNS = 1000


@dataclass(frozen=True)
class Design:
    """A comparison as it will be judged.

    Attributes:
        runs: Our runs, at least 2; `math.inf` for the limit.
        spread: Assumed standard deviation of one of our runs.
        published_runs: Runs of which the published figure is the mean.
        published_spread: Standard deviation of one published run.
        published_df: Degrees of freedom with which that was estimated.
        margin: Half-width of the zone of equivalence.
        alpha: Size of each one-sided test.
    """

    runs: float
    spread: float
    published_runs: int
    published_spread: float
    published_df: float
    margin: float
    alpha: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.runs < 2 or self.spread <= 0 or self.published_spread <= 0 or self.margin <= 0:
            raise StatisticsError(
                f"a plan of {self.runs:g} runs with spread {self.spread:g}",
                expected="at least 2 runs, positive spreads and a positive margin",
                remedy="plan with more seeds",
            )


@dataclass(frozen=True)
class Chances:
    """Probabilities of the four answers; they sum to 1."""

    reproduced: float
    not_reproduced: float
    exceeds: float
    inconclusive: float

    @property
    def conclusive(self) -> float:
        """Probability of any answer but inconclusive."""
        return 1 - self.inconclusive


@dataclass(frozen=True)
class SeedsNeeded:
    """Runs for a wanted chance of a conclusive answer.

    Attributes:
        runs: The smallest number, or None when none up to `MAX_RUNS` is enough.
        limit: The chance with endless runs.
    """

    runs: int | None
    limit: float


def chances(design: Design, true_difference: float) -> Chances:
    """Probability of each answer when the recipes truly differ by `true_difference`.

    Given our sample variance s^2 the half-width h of the 1 - 2 alpha interval
    is fixed, and d is normal with mean `true_difference` and variance
    spread^2 / n + published_spread^2 / n_published, independent of s^2. The
    normal probabilities are averaged over s^2 ~ spread^2 chi^2(n - 1) / (n - 1).
    Assumes that the true spreads are those of the design.
    """
    half_widths = _half_widths(design)
    ours = 0.0 if math.isinf(design.runs) else design.spread**2 / design.runs
    deviation = math.sqrt(ours + design.published_spread**2 / design.published_runs)

    def below(limit: np.ndarray) -> np.ndarray:
        values: np.ndarray = scipy.stats.norm.cdf((limit - true_difference) / deviation)
        return values

    inner = np.maximum(design.margin - half_widths, 0)
    reproduced = float((below(inner) - below(-inner)).mean())
    lower = float(below(-design.margin - half_widths).mean())
    upper = float((1 - below(design.margin + half_widths)).mean())
    return Chances(reproduced, lower, upper, max(0.0, 1 - reproduced - lower - upper))


def seeds_needed(design: Design, true_difference: float, wanted: float, least: int) -> SeedsNeeded:
    """The fewest runs, from `least`, whose chance of a conclusive answer is at least `wanted`.

    A published mean of few runs keeps its own uncertainty, so there may be no
    such number.
    """
    limit = chances(replace(design, runs=math.inf), true_difference).conclusive
    if limit < wanted:
        return SeedsNeeded(None, limit)
    tried = (*range(least, 30), *range(30, 100, 5), *range(100, MAX_RUNS + 1, 50))
    for runs in tried:
        if chances(replace(design, runs=runs), true_difference).conclusive >= wanted:
            return SeedsNeeded(runs, limit)
    return SeedsNeeded(None, limit)


def undecidable_band(design: Design, wanted: float, step: float = 0.0001) -> tuple[float, float]:
    """Sizes of true differences whose chance of a conclusive answer is below `wanted`.

    Returns:
        Smallest and largest such size, searched from 0 to four margins in
        steps of `step`; both are the margin where every size can be decided.
    """
    sizes = np.arange(0, 4 * design.margin + step, step)
    weak = [float(size) for size in sizes if chances(design, -float(size)).conclusive < wanted]
    return (weak[0], weak[-1]) if weak else (design.margin, design.margin)


def expected_half_width(design: Design) -> float:
    """The mean half-width of the 1 - 2 alpha interval."""
    return float(_half_widths(design).mean())


@lru_cache(maxsize=256)
def _half_widths(design: Design) -> np.ndarray:
    """Half-widths over equally likely sample variances; one value for endless runs."""
    theirs = design.published_spread**2 / design.published_runs
    if math.isinf(design.runs):
        df = design.published_df
        return np.asarray([scipy.stats.t.isf(design.alpha, df) * math.sqrt(theirs)])
    own_df = design.runs - 1
    quantiles = scipy.stats.chi2.ppf((np.arange(_GRID) + 0.5) / _GRID, own_df)
    return _half_width(design.spread**2 * quantiles / own_df, int(design.runs), design)


def _half_width(variances: np.ndarray, runs: int, design: Design) -> np.ndarray:
    """Half-widths of the 1 - 2 alpha interval for sample variances of so many runs."""
    theirs = design.published_spread**2 / design.published_runs
    ours = variances / runs
    total = ours + theirs
    df = total**2 / (ours**2 / (runs - 1) + theirs**2 / design.published_df)
    widths: np.ndarray = scipy.stats.t.isf(design.alpha, df) * np.sqrt(total)
    return widths


def simulated_chances(
    design: Design,
    true_difference: float,
    *,
    looks: Sequence[int] = (),
    best_of: int = 1,
    studies: int = 20_000,
    seed: int = 0,
) -> Chances:
    """As `chances`, by simulation, for what has no formula; the error is at most 0.004.

    Args:
        design: The comparison; its `alpha` is that of each look.
        true_difference: Ours minus the published recipe's, of true means.
        looks: Our runs at each look, ascending; the first conclusive look ends the study.
            None: one look at the design's runs.
        best_of: The one published figure is the greatest of so many runs, and is taken for one.
        studies: Simulated studies.
        seed: Of the simulation; the same seed gives the same chances.
    """
    counts = tuple(looks) or (int(design.runs),)
    generator = np.random.default_rng(seed)
    ours = true_difference + design.spread * generator.standard_normal((studies, max(counts)))
    shape = (studies, design.published_runs, best_of)
    theirs = design.published_spread * generator.standard_normal(shape).max(axis=2).mean(axis=1)
    words = np.zeros((3, studies), bool)
    for runs in counts:
        part = ours[:, :runs]
        half = _half_width(part.var(axis=1, ddof=1), runs, design)
        low, high = part.mean(axis=1) - theirs - half, part.mean(axis=1) - theirs + half
        margin, still = design.margin, ~words.any(axis=0)
        words |= still & np.stack([(low > -margin) & (high < margin), high < -margin, low > margin])
    reproduced, lower, upper = (float(word.mean()) for word in words)
    return Chances(reproduced, lower, upper, max(0.0, 1 - reproduced - lower - upper))
