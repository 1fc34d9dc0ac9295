"""The verdict against a threshold: every declared seed must reach it on the bound data.

There is no t test: two small runs may tie, and the question is not about a
mean. The exact binomial bound is printed beside each seed for what its images
can tell about others; it decides nothing.
"""

from collections.abc import Sequence

from harness.baselines.schema import ThresholdTarget
from harness.record.schema import Evaluation
from harness.record.summary import RunSummary
from harness.statistics.intervals import proportion_lower_bound
from harness.statistics.rounding import decimals_apart, percent
from harness.verdict.checks import declared_of, obstacles, status_of
from harness.verdict.judgement import Answer, ThresholdNumbers
from harness.verdict.selection import counted


def judge_threshold(runs: Sequence[RunSummary], target: ThresholdTarget) -> Answer:
    """Judge runs of one recipe against a threshold; undeclared seeds are shown, not judged."""
    declared = declared_of(runs, target)
    found = obstacles(runs, target)
    if found:
        return Answer(word="inconclusive", reasons=found)
    diverged = [str(run.started.seed) for run in declared if status_of(run) == "diverged"]
    if diverged:
        reason = f"declared seed {', '.join(diverged)} diverged: loss not finite"
        return Answer(word="not_reproduced", reasons=(reason,))
    numbers = _numbers(declared, target)
    reaches = {s: e.top1_accuracy for s, e in _evaluations(declared, target).items()}
    digits = decimals_apart(reaches.values(), target.threshold)
    below = [
        f"seed {seed} reaches {percent(top1, digits)}, "
        f"the threshold is {percent(target.threshold, digits)}"
        for seed, top1 in reaches.items()
        if top1 < target.threshold
    ]
    if below:
        return Answer(word="not_reproduced", reasons=tuple(below), numbers=numbers)
    reached = (
        f"every declared seed reaches {percent(target.threshold, digits)}; "
        f"the lowest has {percent(numbers.lowest, digits)}"
    )
    return Answer(word="reproduced", reasons=(reached,), numbers=numbers)


def _evaluations(runs: Sequence[RunSummary], target: ThresholdTarget) -> dict[int, Evaluation]:
    """By seed, the evaluation that counts."""
    found = {run.started.seed: counted(run, target.protocol, target.selection) for run in runs}
    return {seed: one.evaluation for seed, one in found.items() if one is not None}


def _numbers(runs: Sequence[RunSummary], target: ThresholdTarget) -> ThresholdNumbers:
    lowest = min(_evaluations(runs, target).values(), key=lambda e: e.top1_accuracy)
    return ThresholdNumbers(
        threshold=target.threshold,
        confidence=target.confidence,
        lowest=lowest.top1_accuracy,
        lowest_bound=proportion_lower_bound(lowest.top1_correct, lowest.images, target.confidence),
    )
