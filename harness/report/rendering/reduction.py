"""Long curves reduced to what a picture can show, so that no spike is lost."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReducedCurve:
    """A curve in columns.

    Attributes:
        x: float64 [n], the middle of each column.
        mean: float64 [n].
        low: float64 [n], least value of the column.
        high: float64 [n], greatest value of the column.
        not_finite: Values left out because they are NaN or infinite.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    not_finite: int

    @property
    def is_reduced(self) -> bool:
        """Whether a column holds more than one value."""
        return bool((self.low < self.high).any())


def reduce_curve(x: np.ndarray, y: np.ndarray, columns: int) -> ReducedCurve:
    """Reduce to at most `columns` columns of nearly equal numbers of points.

    The least and the greatest finite value of `y` are always among `low` and `high`.

    Args:
        x: [n], ascending.
        y: [n], may hold values that are not finite.
        columns: At least 1.
    """
    finite = np.isfinite(y)
    dropped = int(y.size - finite.sum())
    x, y = np.asarray(x, np.float64)[finite], np.asarray(y, np.float64)[finite]
    if y.size == 0:
        empty = np.empty(0)
        return ReducedCurve(empty, empty, empty, empty, dropped)
    starts = np.unique(np.linspace(0, y.size, min(columns, y.size), endpoint=False).astype(int))
    sizes = np.diff(np.append(starts, y.size))
    return ReducedCurve(
        x=np.add.reduceat(x, starts) / sizes,
        mean=np.add.reduceat(y, starts) / sizes,
        low=np.minimum.reduceat(y, starts),
        high=np.maximum.reduceat(y, starts),
        not_finite=dropped,
    )
