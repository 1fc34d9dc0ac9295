"""What an audit by sample proves, against SciPy and against every possible draw."""

from fractions import Fraction
from itertools import combinations

import pytest
from scipy import stats

from harness.errors import StatisticsError
from harness.statistics.audit import chance_of_catching, fewest_segments


@pytest.mark.parametrize("segments", [1, 2, 5, 24, 600])
@pytest.mark.parametrize("drawn_share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("altered_share", [0.0, 0.01, 0.1, 1.0])
def test_is_hypergeometric(segments: int, drawn_share: float, altered_share: float) -> None:
    drawn, altered = round(segments * drawn_share), round(segments * altered_share)
    missed = stats.hypergeom(segments, altered, drawn).pmf(0)
    assert chance_of_catching(segments, drawn, altered) == pytest.approx(1 - missed, abs=1e-9)


def test_counts_every_draw() -> None:
    draws = list(combinations(range(7), 3))
    caught = Fraction(sum(1 for draw in draws if {5, 6} & set(draw)), len(draws))
    assert chance_of_catching(7, 3, 2) == pytest.approx(float(caught), abs=1e-12)


@pytest.mark.parametrize("numbers", [(0, 0, 0), (5, 6, 1), (5, 1, 6), (5, -1, 1)])
def test_impossible_numbers_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(StatisticsError):
        chance_of_catching(*numbers)


def least(lengths: list[int], steps: int) -> int:
    """By trying each place of the altered steps."""
    owner = [i for i, length in enumerate(lengths) for _ in range(length)]
    places = range(len(owner) - steps + 1)
    return min(len(set(owner[place : place + steps])) for place in places)


@pytest.mark.parametrize("lengths", [[5], [3, 3, 3], [1, 9, 2, 4], [10, 1, 1, 10], [2] * 9])
def test_fewest_segments_by_trying_each_place(lengths: list[int]) -> None:
    for steps in range(1, sum(lengths) + 1):
        assert fewest_segments(lengths, steps) == least(lengths, steps)


def test_more_altered_steps_than_there_are() -> None:
    with pytest.raises(StatisticsError, match="11 altered steps of 10"):
        fewest_segments([5, 5], 11)
