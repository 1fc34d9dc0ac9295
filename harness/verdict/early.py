"""The early-curve gate: is a young run on the way that accepted runs of its recipe took?

A run that is wrong should be known wrong after thousands of steps, not after
three days. At K = 20 fixed windows, log-spaced over the recipe's steps, three
measures of a window are held against Student prediction intervals from earlier
accepted runs. The level is shared out equally over windows and measures
(Bonferroni), so that a sound run is called unusual with probability at most 1 %
over its whole length, however its windows depend on each other. The normal
distribution between seeds is an assumption; `reports/early-gate.md` has the
measured rates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.errors import StatisticsError
from harness.frozen import Frozen
from harness.record.schema import Steps

WINDOWS = 20
MEASURES = ("log mean loss", "log mean gradient norm", "training accuracy")
LEVEL = 0.01
"""Probability of calling a sound run unusual, over all windows and measures."""
MIN_REFERENCES = 5
FIRST_LOSS_TOLERANCE = 0.10 * math.log(1000)
"""Nats around ln(classes): 10 % of it for 1,000 classes. The excess of a fresh network is half the
variance of its logits, which does not shrink with the number of classes: the nats stay, so for
fewer classes the share is larger (30 % for ten), and the check's text says so."""
FALLING_BY_STEP = 2000
_EDGE_STEPS = 100
"""Steps averaged at either end when asking whether the loss falls."""

Status = Literal["as_expected", "unusual"]


class Finding(Frozen):
    """One thing that is unusual.

    For windows: `value` outside [low, high]. `steps` are first and last step.
    """

    check: str
    steps: tuple[int, int]
    value: float
    low: float | None
    high: float | None


class GateAnswer(Frozen):
    """What the gate says after the steps it has seen.

    Attributes:
        status: `unusual` once anything was found; it stays so.
        compared_with: How many reference runs; 0 means that there is no
            reference and only absolute checks were made.
        windows: Windows that were complete and checked.
        findings: Everything unusual so far, in order of steps.
    """

    status: Status
    compared_with: int
    windows: int
    findings: tuple[Finding, ...]

    def text(self) -> str:
        """One line, and one for each finding."""
        basis = (
            f"{self.compared_with} earlier runs of the recipe"
            if self.compared_with
            else "no reference: absolute checks only"
        )
        word = self.status.replace("_", " ")
        lines = [f"early curve: {word} ({basis}, {self.windows} of {WINDOWS} windows)"]
        for f in self.findings:
            expected = "" if f.low is None else f", expected [{f.low:.4g}, {f.high:.4g}]"
            lines.append(f"  steps {f.steps[0]} to {f.steps[1]}: {f.check} {f.value:.4g}{expected}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Curve:
    """The recorded steps of a run from step 0: float64 arrays of equal length."""

    loss: np.ndarray
    gradient_norm: np.ndarray
    correct: np.ndarray
    images: np.ndarray

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.loss)


@dataclass(frozen=True)
class Reference:
    """The windows of accepted runs.

    Attributes:
        ends: Steps after which the windows end, ascending.
        values: float64 [runs, K, 3], measures as in `MEASURES`; accuracies on
            the scale of `_stabilised`.
        images: float64 [K], images of a window.
    """

    ends: tuple[int, ...]
    values: np.ndarray
    images: np.ndarray

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Low and high ends for the next run, float64 [K, 3] each."""
        return expected_limits(self.values, self.images)


def expected_limits(values: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Student's prediction intervals, `LEVEL` shared out over all windows of a whole run.

    It is shared out over all of them also when fewer are looked at: the level
    is that of the whole run. The spread of an accuracy is at least that of
    counting: on the stabilised scale 1 / (2 sqrt(images)).

    Args:
        values: float64 [runs, ..., k, 3], measures as in `MEASURES`.
        images: float64 [k], images of a window.

    Returns:
        Low and high ends, float64 [..., k, 3] each.
    """
    counting = np.zeros((len(images), len(MEASURES)))
    counting[:, 2] = 0.5 / np.sqrt(images)
    level = LEVEL / (WINDOWS * len(MEASURES))
    # Only here: SciPy's statistics take a second to import, and a run begins with this module.
    from harness.statistics.prediction import prediction_limits

    return prediction_limits(values, 1 - level, least_spread=counting)


def window_ends(steps_total: int) -> tuple[int, ...]:
    """The steps after which the windows end: log-spaced to `steps_total`, all different.

    The first ends after 100 steps, or after a fiftieth of a short recipe (at
    least 5 steps).

    Raises:
        StatisticsError: fewer steps than windows can be told apart in.
    """
    first = max(5, min(100, steps_total // 50))
    ends = np.unique(np.rint(np.geomspace(first, steps_total, WINDOWS)).astype(int))
    if len(ends) < WINDOWS or steps_total < first:
        raise StatisticsError(
            f"{steps_total} steps do not hold {WINDOWS} log-spaced windows",
            expected="a recipe of at least 100 steps",
        )
    return tuple(int(end) for end in ends)


def windows_of(curve: Curve, ends: Sequence[int]) -> np.ndarray:
    """Measures of the windows that a curve has whole: float64 [k, 3], k <= len(ends)."""
    whole = [end for end in ends if end <= len(curve)]
    starts = [0, *whole][: len(whole)]
    rows = [_measures(curve, first, end) for first, end in zip(starts, whole, strict=True)]
    return np.asarray(rows, np.float64).reshape(len(rows), len(MEASURES))


def reference_of(curves: Sequence[Curve], steps_total: int) -> Reference | None:
    """The reference from accepted runs; None when there are fewer than five.

    Args:
        curves: Of completed runs of one recipe.
        steps_total: The recipe's steps.
    """
    ends = window_ends(steps_total)
    whole = [curve for curve in curves if len(curve) >= ends[-1]]
    if len(whole) < MIN_REFERENCES:
        return None
    edges = [0, *ends]
    images = [whole[0].images[a:b].sum() for a, b in zip(edges, ends, strict=False)]
    values = np.stack([windows_of(curve, ends) for curve in whole])
    return Reference(ends, values, np.asarray(images, np.float64))


def check(curve: Curve, reference: Reference | None, *, classes: int, steps: int) -> GateAnswer:
    """Check what a run has recorded so far.

    Args:
        curve: From step 0.
        reference: Of the same recipe, or None.
        classes: Of the data set.
        steps: Of the whole recipe.
    """
    if reference is None:
        findings = _absolute(curve, classes, steps)
        done = sum(end <= len(curve) for end in window_ends(steps))
    else:
        values = windows_of(curve, reference.ends)
        findings = [*_not_finite(curve), *_outside(values, reference)]
        done = len(values)
    return GateAnswer(
        status="unusual" if findings else "as_expected",
        compared_with=0 if reference is None else len(reference.values),
        windows=done,
        findings=tuple(sorted(findings, key=lambda f: f.steps[1])),
    )


@dataclass
class EarlyGate:
    """A gate that is told of windows as they are recorded: `gate(new_windows)`.

    It warns; whether a run is stopped for it is for the caller to decide. Give
    it the windows recorded since the last call, after a resume those of the
    journal first.
    """

    reference: Reference | None
    classes: int
    steps_total: int
    _parts: list[np.ndarray] = field(default_factory=list)
    _checked: int = -1
    _answer: GateAnswer | None = None

    def __call__(self, windows: tuple[Steps, ...]) -> GateAnswer:
        """Take new windows; the answer is made anew when a gate window is complete."""
        self._parts += [_columns(window) for window in windows]
        seen = sum(part.shape[1] for part in self._parts)
        ends = window_ends(self.steps_total)
        complete = sum(end <= seen for end in ends)
        not_finite = any(not np.isfinite(part[:2]).all() for part in self._parts[-len(windows) :])
        if self._answer is None or complete > self._checked or not_finite:
            self._checked = complete
            table = np.concatenate(self._parts, axis=1) if self._parts else np.zeros((4, 0))
            self._answer = check(
                Curve(*table), self.reference, classes=self.classes, steps=self.steps_total
            )
        return self._answer


Gate = Callable[[tuple[Steps, ...]], GateAnswer]


def curve_of(windows: Sequence[Steps]) -> Curve:
    """The curve of recorded windows in order."""
    parts = [_columns(window) for window in windows]
    return Curve(*(np.concatenate(parts, axis=1) if parts else np.zeros((4, 0))))


def _columns(window: Steps) -> np.ndarray:
    return np.asarray(
        [window.loss, window.gradient_norm, window.correct, window.images], np.float64
    )


def _measures(curve: Curve, first: int, end: int) -> tuple[float, float, float]:
    part = slice(first, end)
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = float(np.log(curve.loss[part].mean()))
        norm = float(np.log(curve.gradient_norm[part].mean()))
    return loss, norm, _stabilised(curve.correct[part].sum(), curve.images[part].sum())


def _stabilised(correct: float, images: float) -> float:
    """Anscombe's arcsine transform of a proportion: its counting error is 1 / (2 sqrt(images))."""
    return math.asin(math.sqrt((correct + 0.375) / (images + 0.75)))


def _accuracy(stabilised: float) -> float:
    """The proportion back from `_stabilised`, for output; its scale ends at pi / 2."""
    return math.sin(min(max(stabilised, 0.0), math.pi / 2)) ** 2


def _outside(values: np.ndarray, reference: Reference) -> list[Finding]:
    low, high = (side[: len(values)] for side in reference.intervals())
    starts = (0, *reference.ends)
    findings = []
    for k, j in np.argwhere(~((values >= low) & (values <= high))):
        numbers = [float(side[k, j]) for side in (values, low, high)]
        shown = [_accuracy(x) if j == 2 else x for x in numbers]
        steps = (starts[k], reference.ends[k] - 1)
        findings.append(
            Finding(check=MEASURES[j], steps=steps, value=shown[0], low=shown[1], high=shown[2])
        )
    return findings


def _not_finite(curve: Curve) -> list[Finding]:
    bad = np.flatnonzero(~np.isfinite(curve.loss))
    if not len(bad):
        return []
    step = int(bad[0])
    return [
        Finding(check="loss is not finite", steps=(step, step), value=math.inf, low=None, high=None)
    ]


def _absolute(curve: Curve, classes: int, steps: int) -> list[Finding]:
    findings = _not_finite(curve)
    if len(curve):
        chance = math.log(classes)
        low, high = chance - FIRST_LOSS_TOLERANCE, chance + FIRST_LOSS_TOLERANCE
        if not low <= curve.loss[0] <= high:
            first = float(curve.loss[0])
            findings.append(
                Finding(
                    check=f"first loss (allowed: {FIRST_LOSS_TOLERANCE:.2f} nats from "
                    f"ln({classes:,}), {100 * FIRST_LOSS_TOLERANCE / chance:.0f} % of it)",
                    steps=(0, 0),
                    value=first,
                    low=low,
                    high=high,
                )
            )
    until = min(FALLING_BY_STEP, steps)
    edge = min(_EDGE_STEPS, until // 4)
    if len(curve) >= until and edge:
        begin = float(curve.loss[:edge].mean())
        end = float(curve.loss[until - edge : until].mean())
        if not end < begin:
            findings.append(
                Finding(
                    check="loss has not fallen: mean",
                    steps=(until - edge, until - 1),
                    value=end,
                    low=-math.inf,
                    high=begin,
                )
            )
    return findings
