"""Fractions as a judgement prints them, rounded so that no decision is hidden."""

from collections.abc import Iterable
from typing import Protocol

USUAL = 2
FINEST = 6


def percent(fraction: float | None, digits: int = USUAL) -> str:
    """A fraction as percent, a dash for None."""
    return "-" if fraction is None else f"{100 * fraction:.{digits}f} %"


def exact_percent(fraction: float) -> str:
    """A published fraction as percent: two decimals, or the third where a mean of runs has one."""
    return f"{f'{100 * fraction:.3f}'.removesuffix('0')} %"


def points(fraction: float, digits: int = USUAL) -> str:
    """A difference of fractions as signed points."""
    return f"{100 * fraction:+.{digits}f}"


class Ends(Protocol):
    """An interval, of whatever kind."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


def span(bounds: Ends, digits: int = USUAL) -> str:
    """An interval of a difference, in points."""
    return f"[{points(bounds.low, digits)}, {points(bounds.high, digits)}]"


def decimals_apart(values: Iterable[float], limit: float) -> int:
    """Decimals of percent with which no value looks equal to a limit that it is not equal to.

    Two, as everywhere, unless a value lies so near that the printed figures would not
    show on which side. Signs do not matter: a margin is a limit on both sides.
    """
    sizes = [abs(value) for value in values if abs(value) != limit]
    for digits in range(USUAL, FINEST):
        if all(percent(size, digits) != percent(limit, digits) for size in sizes):
            return digits
    return FINEST


def decisive_decimals(interval: Ends, margin: float) -> int:
    """Decimals for the interval that decides, beside its margin."""
    return decimals_apart((interval.low, interval.high), margin)
