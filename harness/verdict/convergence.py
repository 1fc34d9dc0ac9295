"""MLPerf Training's check of convergence for ResNet-50: were runs suspiciously fast?

Reference convergence points (RCPs) are lists of epochs that reference runs
needed to 75.9 % top-1, one list a batch size. A submission of five runs passes
unless its olympic mean (fastest and slowest dropped) is significantly below
that of the reference. The check guards only against too fast convergence; it
does not say that an accuracy was reached in good time.

The rules' text and the checker's code disagree about the spread: the text
(training_rules.adoc of mlcommons/training_policies at d73e20f) leaves the
fastest and slowest run out of it, the code (mlcommons/logging at 7bbf792,
rcp_checker.py) takes all runs. Both are here, by name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Literal

import numpy as np
from scipy import stats

from harness.baselines.schema import ConvergenceRow
from harness.errors import StatisticsError
from harness.frozen import Frozen
from harness.record.schema import Evaluation
from harness.record.summary import RunSummary

Variant = Literal["checker", "rules"]
SUBMISSION_RUNS = 5
QUALITY = 0.759
ALPHA = 0.05
MAX_FAILURES = 1
INTERPOLATED_RUNS = 2 * SUBMISSION_RUNS
"""Reference runs that the code assumes at an interpolated batch size."""


@dataclass(frozen=True)
class ReferencePoint:
    """One batch size of the reference.

    Attributes:
        batch: Global batch size.
        mean: Olympic mean of epochs.
        spread: Population standard deviation, of all or of the kept runs.
        runs: Runs that count in the test.
    """

    batch: int
    mean: float
    spread: float
    runs: int

    @property
    def minimum(self) -> float:
        """The lowest passing mean of a submission.

        Formula: mean - t(1 - ALPHA, df) spread sqrt(1/runs + 1/3), df = runs + 3 - 2:
        Student's two-sample test with pooled variance, one-sided, the
        submission's spread assumed to be the reference's.
        """
        kept = SUBMISSION_RUNS - 2
        reach = float(stats.t.isf(ALPHA, self.runs + kept - 2)) * self.spread
        return self.mean - reach * math.sqrt(1 / self.runs + 1 / kept)


class ConvergenceAnswer(Frozen):
    """`passed` with the reason in the checker's words; epochs throughout.

    `normalisation` is the factor by which a passing but faster score is made
    worse; 1 where the submission is not faster than the reference.
    """

    variant: Variant
    passed: bool
    reason: str
    batch: int
    mean: float | None
    reference_mean: float | None
    minimum: float | None
    normalisation: float


def reference_points(
    rows: Sequence[ConvergenceRow], variant: Variant, *, prune: bool = True
) -> tuple[ReferencePoint, ...]:
    """The reference by batch size; pruned as the checker does by default.

    Pruning drops batches below that with the fastest mean, then every middle
    point that is slower than the line through its neighbours.
    """
    points = sorted((_point(row, variant) for row in rows), key=lambda p: p.batch)
    if not prune:
        return tuple(points)
    fastest = min(points, key=lambda p: p.mean)
    kept = [p for p in points if p.batch >= fastest.batch]
    i = 1
    while i < len(kept) - 1:
        line = _interpolated(kept[i].batch, kept[i - 1], kept[i + 1])
        if kept[i].mean > line.mean:
            # As the code steps: points before the removed one are not looked at again.
            del kept[i]
        else:
            i += 1
    return tuple(kept)


def check_convergence(
    batch: int, epochs: Sequence[float | None], points: Sequence[ReferencePoint], variant: Variant
) -> ConvergenceAnswer:
    """Check a submission.

    Args:
        batch: Its global batch size.
        epochs: Epochs to the quality target of each run; None: not reached.
        points: From `reference_points`, of the same variant.
        variant: Named in the answer.

    Raises:
        StatisticsError: not five runs.
    """
    if len(epochs) != SUBMISSION_RUNS:
        raise StatisticsError(
            f"{len(epochs)} runs are no submission",
            expected=f"{SUBMISSION_RUNS} runs",
            remedy="train as many seeds as the rules ask for",
        )
    if sum(e is None for e in epochs) > MAX_FAILURES:
        return _answer(variant, batch, "Insufficient convergence")
    ordered = sorted(math.inf if e is None else e for e in epochs)
    mean = fmean(ordered[1:-1])
    below = [p for p in points if p.batch < batch]
    above = [p for p in points if p.batch > batch]
    equal = [p for p in points if p.batch == batch]
    if equal:
        return _held(variant, batch, mean, equal[0], "RCP found")
    if below and above:
        point = _interpolated(batch, below[-1], above[0])
        return _held(variant, batch, mean, point, "RCP Interpolation")
    missing = f"Missing RCP, please submit RCP with BS = {batch}"
    if not above:
        return _answer(variant, batch, missing if below else "Cannot find any RCPs", mean)
    found = _held(
        variant, batch, mean, above[0], "RCP not found but slower convergence on smaller batch size"
    )
    return found if found.passed else found.model_copy(update={"reason": missing})


def epochs_to_quality(run: RunSummary, quality: float = QUALITY) -> float | None:
    """The epoch of the first evaluation that counts with at least this top-1; None without one."""
    reached = [
        e.epoch for e in run.evaluations if counts_for_quality(e) and e.top1_accuracy >= quality
    ]
    return min(reached) if reached else None


def counts_for_quality(evaluation: Evaluation) -> bool:
    """Whether an evaluation is of all images by one center crop, as MLPerf's rules have it."""
    return evaluation.complete and evaluation.protocol.crops == "center"


def _point(row: ConvergenceRow, variant: Variant) -> ReferencePoint:
    kept = sorted(row.epochs)[1:-1]
    spread = pstdev(row.epochs if variant == "checker" else kept)
    return ReferencePoint(row.batch, fmean(kept), spread, len(kept))


def _interpolated(batch: int, low: ReferencePoint, high: ReferencePoint) -> ReferencePoint:
    batches = [low.batch, high.batch]
    return ReferencePoint(
        batch=batch,
        mean=float(np.interp(batch, batches, [low.mean, high.mean])),
        spread=float(np.interp(batch, batches, [low.spread, high.spread])),
        runs=INTERPOLATED_RUNS,
    )


def _held(
    variant: Variant, batch: int, mean: float, point: ReferencePoint, reason: str
) -> ConvergenceAnswer:
    return ConvergenceAnswer(
        variant=variant,
        passed=mean >= point.minimum,
        reason=reason,
        batch=batch,
        mean=mean,
        reference_mean=point.mean,
        minimum=point.minimum,
        normalisation=max(1.0, point.mean / mean),
    )


def _answer(
    variant: Variant, batch: int, reason: str, mean: float | None = None
) -> ConvergenceAnswer:
    return ConvergenceAnswer(
        variant=variant,
        passed=False,
        reason=reason,
        batch=batch,
        mean=mean,
        reference_mean=None,
        minimum=None,
        normalisation=1.0,
    )
