"""Comparing two classifiers on the same images."""

import math
from dataclasses import dataclass

import scipy

from harness.errors import StatisticsError
from harness.statistics.intervals import Interval, check_confidence


@dataclass(frozen=True)
class PairedCounts:
    """Images by who classified them right.

    Attributes:
        both: Right in both.
        first_only: Right in the first alone.
        second_only: Right in the second alone.
        neither: Right in none.
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    def __post_init__(self) -> None:
        """Check that there is something to compare."""
        counts = (self.both, self.first_only, self.second_only, self.neither)
        if min(counts) < 0 or sum(counts) < 1:
            raise StatisticsError(
                f"paired counts {counts}", expected="counts from 0, at least one image"
            )

    @property
    def n(self) -> int:
        """Images."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first."""
        return (self.second_only - self.first_only) / self.n


def mcnemar_mid_p(counts: PairedCounts) -> float:
    """Two-sided p value that the discordant images fall on either side by a fair coin.

    Formula: 2 P(X < k) + P(X = k) with k = min(b, c) and X ~ Binomial(b + c, 1/2), at most 1;
    1 without discordant images. The exact test, which counts P(X = k) twice, has a size far
    below its level; the mid-p test stays close to it. Source: Fagerland, Lydersen, Laake
    (2013), BMC Medical Research Methodology 13:91.
    """
    b, c = counts.first_only, counts.second_only
    if b + c == 0:
        return 1.0
    least = scipy.stats.binom(b + c, 0.5)
    return min(1.0, 2 * float(least.cdf(min(b, c))) - float(least.pmf(min(b, c))))


def paired_difference_interval(counts: PairedCounts, confidence: float) -> Interval:
    """Interval for the difference of two accuracies on the same images, second minus first.

    Formula: Newcombe's square-and-add interval with the correlation of the two
    (method 10). Each accuracy has its Wilson interval [l_i, u_i]; with phi the
    correlation (its numerator reduced by n/2 when positive),
    low = d - sqrt(dl2^2 - 2 phi dl2 du1 + du1^2) and
    high = d + sqrt(du2^2 - 2 phi du2 dl1 + dl1^2).
    Assumes that the images are a random sample of those that the statement is about.
    Source: Newcombe (1998), Statistics in Medicine 17, 2635-2650.
    """
    check_confidence(confidence)
    n = counts.n
    first = counts.both + counts.first_only
    second = counts.both + counts.second_only
    low1, high1 = _wilson(first, n, confidence)
    low2, high2 = _wilson(second, n, confidence)
    p1, p2, phi = first / n, second / n, _correlation(counts)
    down2, up2, down1, up1 = p2 - low2, high2 - p2, p1 - low1, high1 - p1
    below = math.sqrt(max(0.0, down2**2 - 2 * phi * down2 * up1 + up1**2))
    above = math.sqrt(max(0.0, up2**2 - 2 * phi * up2 * down1 + down1**2))
    return Interval(counts.difference - below, counts.difference + above, confidence)


def _wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    z = float(scipy.stats.norm.isf((1 - confidence) / 2))
    p = successes / n
    center = p + z * z / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (center - reach) / (1 + z * z / n), (center + reach) / (1 + z * z / n)


def _correlation(counts: PairedCounts) -> float:
    a, b, c, d = counts.both, counts.first_only, counts.second_only, counts.neither
    product = math.prod((a + b, c + d, a + c, b + d))
    if product == 0:
        return 0.0
    numerator = float(a * d - b * c)
    if numerator > 0:
        numerator = max(numerator - counts.n / 2, 0.0)
    return numerator / math.sqrt(product)
