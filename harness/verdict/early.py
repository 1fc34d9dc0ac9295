"""Is a young run wrong? Checks that need no earlier run, and a comparison with a single one.

Prediction intervals need five earlier runs, and a study declares three seeds. The
absolute checks hold for any recipe: the first loss, the gradient's norm, the pixels of
the first batch, and from the first evaluation dead predictions and the order of labels.
Where one earlier run of the recipe is there, log mean loss, log mean gradient norm and
training accuracy of log-spaced windows are held against it. Its spread is borrowed: that
of eight small sound runs, pooled over their windows (`reports/early-gate.md`, which has
what is found and what is not).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import StatisticsError
from harness.frozen import Frozen
from harness.record.schema import Steps

WINDOWS = 20
MEASURES = ("log mean loss", "log mean gradient norm", "training accuracy")
SPREAD = (0.086, 0.095, 0.061)
"""Standard deviations between seeds, pooled over 11 windows of 8 runs (77 degrees of freedom);
the accuracy's on the scale of `_stabilised`."""
REACH = 3.95
"""Student's quantile that shares 1 % out over all windows and measures of a whole run."""
FIRST_LOSS_TOLERANCE = 1.5
"""Nats around ln(classes). The excess of a fresh network is half the variance of its logits, which
does not shrink with the number of classes; sound runs of ten classes reached 0.94."""
LARGEST_GROWTH = 10.0
"""Of the gradient's norm over the median of the first five; sound runs reached 1.3."""
FALLING_BY_STEP = 2000
_EDGE_STEPS = 100
LARGEST_PIXEL_MEAN, PIXEL_STD = 3.0, (0.1, 5.0)
"""Of a normalised batch; a recipe that keeps 0 to 255 on purpose is warned about once."""
CONSTANT_SHARE = 0.9
PERMUTED_SHARE, CLEARLY = 0.5, 5.0


def _steps(steps: tuple[int, int]) -> str:
    first, last = steps
    return f"step {first}" if first == last else f"steps {first} to {last}"


class EarlyFinding(Frozen):
    """One thing that is unusual: `value` is outside [low, high]. `steps` are first and last."""

    check: str
    steps: tuple[int, int]
    value: float
    low: float | None = None
    high: float | None = None

    def text(self) -> str:
        """In words."""
        low, high = ("none" if x is None else f"{x:.4g}" for x in (self.low, self.high))
        return f"{_steps(self.steps)}: {self.check} {self.value:.4g}, expected {low} to {high}"


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


def columns_of(window: Steps) -> np.ndarray:
    """What a `Curve` has of a window: float64 [4, steps]."""
    rows = (window.loss, window.gradient_norm, window.correct, window.images)
    return np.asarray(rows, np.float64)


def curve_of(columns: Sequence[np.ndarray]) -> Curve:
    """The curve of windows in order, each as `columns_of` has it."""
    return Curve(*(np.concatenate(columns, axis=1) if columns else np.zeros((4, 0))))


def check_steps(
    curve: Curve, *, classes: int, steps_total: int, earlier: Curve | None = None
) -> tuple[EarlyFinding, ...]:
    """Everything unusual in what a run has recorded so far, in order of steps.

    Args:
        curve: From step 0.
        classes: Of the data set.
        steps_total: Of the whole recipe.
        earlier: A completed run of the same recipe and data.
    """
    found = [*_first_loss(curve, classes), *_gradient(curve), *_not_falling(curve, steps_total)]
    if earlier is not None:
        found += _unlike(curve, earlier, steps_total)
    return tuple(sorted(found, key=lambda finding: finding.steps[1]))


def check_pixels(images: np.ndarray) -> tuple[EarlyFinding, ...]:
    """Mean and standard deviation of a normalised batch, float32 [n, size, size, C]."""
    mean, std = float(images.mean()), float(images.std())
    low, high = PIXEL_STD
    if abs(mean) <= LARGEST_PIXEL_MEAN and low <= std <= high:
        return ()
    check = f"pixels of the first batch, normalised, have mean {mean:.3g} and standard deviation"
    return (EarlyFinding(check=check, steps=(0, 0), value=std, low=low, high=high),)


def check_predictions(
    labels: np.ndarray, predicted: np.ndarray, classes: int, step: int
) -> tuple[EarlyFinding, ...]:
    """Dead or constant predictions and permuted labels, from a first evaluation.

    Args:
        labels: int [n], the true classes.
        predicted: int [n], the most probable ones.
        classes: Of the data set.
        step: Of the evaluation.
    """
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    found = []
    share = float(confusion.sum(axis=0).max() / max(1, len(labels)))
    true_share = float(confusion.sum(axis=1).max() / max(1, len(labels)))
    if classes > 2 and share > max(CONSTANT_SHARE, true_share + (1 - true_share) / 2):
        check = "predictions are constant: share of the most frequent class"
        found.append(
            EarlyFinding(check=check, steps=(step, step), value=share, low=0.0, high=CONSTANT_SHARE)
        )
    # Each class is called by one other name far more often than by chance, hardly two by the same.
    sizes = np.maximum(confusion.sum(axis=1), 1)
    named = confusion.argmax(axis=1)
    by_chance = 1 / classes + CLEARLY * np.sqrt((1 - 1 / classes) / classes / sizes)
    clear = (named != np.arange(classes)) & (confusion.max(axis=1) / sizes > by_chance)
    permuted = len(np.unique(named[clear])) / classes
    if classes > 2 and permuted > PERMUTED_SHARE:
        first = int(np.flatnonzero(clear)[0])
        check = (
            f"labels are in another order than in training, such as class {first} called "
            f"{int(named[first])}: share of classes with another one's name"
        )
        found.append(
            EarlyFinding(check=check, steps=(step, step), value=permuted, low=0.0, high=0.5)
        )
    return tuple(found)


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


def _unlike(curve: Curve, earlier: Curve, steps_total: int) -> list[EarlyFinding]:
    """Windows in which two runs are further apart than two sound ones would be."""
    ends = window_ends(steps_total)
    theirs = windows_of(earlier, ends)
    ours = windows_of(curve, ends)[: len(theirs)]
    reach = REACH * math.sqrt(2) * np.asarray(SPREAD)
    starts = (0, *ends)
    found = []
    for k, j in np.argwhere(~(np.abs(ours - theirs[: len(ours)]) <= reach)):
        center, width = float(theirs[k, j]), float(reach[j])
        numbers = [float(ours[k, j]), center - width, center + width]
        value, low, high = (_accuracy(x) for x in numbers) if j == 2 else numbers
        check = f"{MEASURES[j]} (one earlier run, spread borrowed)"
        steps = (starts[k], ends[k] - 1)
        found.append(EarlyFinding(check=check, steps=steps, value=value, low=low, high=high))
    return found


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


def _first_loss(curve: Curve, classes: int) -> list[EarlyFinding]:
    if not len(curve):
        return []
    chance, first = math.log(classes), float(curve.loss[0])
    low, high = chance - FIRST_LOSS_TOLERANCE, chance + FIRST_LOSS_TOLERANCE
    check = f"first loss (ln({classes:,}) and {FIRST_LOSS_TOLERANCE:g} nats to each side)"
    finding = EarlyFinding(check=check, steps=(0, 0), value=first, low=low, high=high)
    return [] if low <= first <= high else [finding]


def _gradient(curve: Curve) -> list[EarlyFinding]:
    """A norm of 0, where nothing learns, or one that grows beyond all bounds in the first steps."""
    norms = curve.gradient_norm[:_EDGE_STEPS]
    if len(norms) < 5:
        return []
    high = LARGEST_GROWTH * float(np.median(norms[:5]))
    bad = np.flatnonzero((norms <= 0) | (norms > high))
    if not len(bad):
        return []
    step = int(bad[0])
    value = float(norms[step])
    return [
        EarlyFinding(check="gradient norm", steps=(step, step), value=value, low=0.0, high=high)
    ]


def _not_falling(curve: Curve, steps_total: int) -> list[EarlyFinding]:
    until = min(FALLING_BY_STEP, steps_total)
    edge = min(_EDGE_STEPS, until // 4)
    if len(curve) < until or not edge:
        return []
    begin, end = float(curve.loss[:edge].mean()), float(curve.loss[until - edge : until].mean())
    steps = (until - edge, until - 1)
    finding = EarlyFinding(check="loss has not fallen: mean", steps=steps, value=end, high=begin)
    return [] if end < begin else [finding]
