"""What an audit by sample proves: the chance of catching an alteration.

Segments are drawn without replacement and a drawn segment that was altered is
always found, so the number of altered ones among those drawn is
hypergeometric.
"""

import math
from collections.abc import Sequence

from harness.errors import StatisticsError


def chance_of_catching(segments: int, drawn: int, altered: int) -> float:
    """The chance that at least one of `altered` segments is among those drawn.

    `1 - C(segments - altered, drawn) / C(segments, drawn)`.

    Args:
        segments: In the run, at least 1.
        drawn: Without replacement, 0 to `segments`.
        altered: 0 to `segments`.

    Raises:
        StatisticsError: a number is out of range.
    """
    if not (segments >= 1 and 0 <= drawn <= segments and 0 <= altered <= segments):
        raise StatisticsError(
            f"{drawn} of {segments} segments drawn and {altered} altered",
            expected="neither more than there are",
            remedy="ask for at most as many segments as the run has",
        )
    return 1.0 - math.comb(segments - altered, drawn) / math.comb(segments, drawn)


def fewest_segments(lengths: Sequence[int], steps: int) -> int:
    """The fewest consecutive segments in which a number of contiguous steps can lie.

    The worst case for an auditor: altered steps that touch as few segments as
    possible.

    Args:
        lengths: Steps of each segment, in the run's order.
        steps: Altered steps, at most the sum of the lengths.
    """
    for count in range(1, len(lengths) + 1):
        sums = (sum(lengths[i : i + count]) for i in range(len(lengths) - count + 1))
        if max(sums) >= steps:
            return count
    raise StatisticsError(
        f"{steps} altered steps of {sum(lengths)}",
        expected="at most as many as the run has",
        remedy="ask for a smaller share",
    )
