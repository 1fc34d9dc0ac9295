import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.rendering.reduction import reduce_curve

VALUES = st.lists(
    st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([math.nan, math.inf, -math.inf]),
    max_size=300,
)


@settings(deadline=None)
@given(VALUES, st.integers(1, 60))
def test_no_spike_is_lost_and_no_column_is_invented(values: list[float], columns: int) -> None:
    y = np.asarray(values, float)
    curve = reduce_curve(np.arange(y.size), y, columns)
    finite = y[np.isfinite(y)]
    assert curve.not_finite == y.size - finite.size
    assert len(curve.x) == min(columns, finite.size)
    if finite.size:
        assert curve.high.max() == finite.max()
        assert curve.low.min() == finite.min()
        assert (np.diff(curve.x) > 0).all()
        slack = 1e-9 * max(1, np.abs(finite).max())
        assert (curve.low <= curve.mean + slack).all()
        assert (curve.mean <= curve.high + slack).all()


def test_a_short_curve_is_kept_as_it_is() -> None:
    curve = reduce_curve(np.array([1, 2, 3]), np.array([5.0, 7.0, 6.0]), 700)
    assert curve.mean.tolist() == curve.low.tolist() == curve.high.tolist() == [5, 7, 6]
    assert not curve.is_reduced


def test_one_spike_in_half_a_million_steps_is_seen() -> None:
    y = np.ones(500_000)
    y[123_456] = 9.0
    curve = reduce_curve(np.arange(y.size), y, 700)
    column = int(curve.high.argmax())
    assert curve.high[column] == 9.0
    assert abs(curve.x[column] - 123_456) < 500_000 / 700
