"""Studies drawn at random and judged by the rule as the issue words it, written anew in NumPy."""

import numpy as np
from scipy import stats

SIGMA = 0.00104
TARGET_DF = 24
MARGIN = 0.005


def draw(
    runs: int, true_difference: float, spread: float, studies: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Differences from a single published run and our sample variances, [studies] each."""
    generator = np.random.default_rng(seed)
    values = true_difference + spread * generator.standard_normal((studies, runs))
    published = SIGMA * generator.standard_normal(studies)
    return values.mean(axis=1) - published, values.var(axis=1, ddof=1)


def interval_of_difference(
    differences: np.ndarray, variances: np.ndarray, runs: int, confidence: float, sigma2: float
) -> tuple[np.ndarray, np.ndarray]:
    """The Welch-Satterthwaite interval of each study."""
    ours = variances / runs
    total = ours + sigma2
    df = total**2 / (ours**2 / (runs - 1) + sigma2**2 / TARGET_DF)
    reach = stats.t.ppf(0.5 + confidence / 2, df) * np.sqrt(total)
    return differences - reach, differences + reach


def simulated_words(
    runs: int, true_difference: float, studies: int, seed: int, spread: float = SIGMA
) -> np.ndarray:
    """The word of each study when our spread is `spread`, in fractions."""
    differences, variances = draw(runs, true_difference, spread, studies, seed)
    low, high = interval_of_difference(differences, variances, runs, 0.90, SIGMA**2)
    words = np.full(studies, "inconclusive", dtype=object)
    words[(low > -MARGIN) & (high < MARGIN)] = "reproduced"
    words[low > MARGIN] = "exceeds"
    words[high < -MARGIN] = "not_reproduced"
    return words
