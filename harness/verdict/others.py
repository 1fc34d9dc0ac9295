"""Our mean minus other published accuracies of the same protocol: intervals, no verdict words."""

from collections.abc import Sequence
from statistics import fmean, stdev

from harness.baselines.schema import AccuracyRow, TargetSpread
from harness.record.summary import RunSummary
from harness.statistics.difference import difference_from_published
from harness.statistics.intervals import mean_estimate
from harness.verdict.checks import full_imagenet
from harness.verdict.judgement import BaselineDifference, Bounds

CONFIDENCE = 0.95


def differences_from(
    runs: Sequence[RunSummary], rows: Sequence[AccuracyRow], borrowed: TargetSpread
) -> tuple[BaselineDifference, ...]:
    """Differences from each row whose network and stated protocol are those of the runs.

    Args:
        runs: Of one recipe. Only completed ones count, and only on the full
            ImageNet, which the rows are about.
        rows: Published accuracies; goals that nobody measured are passed over.
        borrowed: Spread for rows that state none.

    Returns:
        One difference a row, in the order of the rows; empty without runs.
    """
    done = [run for run in runs if run.completed and full_imagenet(run.started.data)]
    found = []
    for row in rows:
        if not row.measured:
            continue
        values = [_accuracy(run, row) for run in done]
        if done and row.network in done[0].started.recipe.model.name and None not in values:
            found.append(_difference([v for v in values if v is not None], row, borrowed))
    return tuple(found)


def _accuracy(run: RunSummary, row: AccuracyRow) -> float | None:
    fitting = [
        e
        for e in run.evaluations
        if e.final and e.complete and not row.protocol.differences(e.protocol)
    ]
    return fitting[-1].top1_accuracy if fitting else None


def _difference(
    values: Sequence[float], row: AccuracyRow, borrowed: TargetSpread
) -> BaselineDifference:
    spread, df, assumption = _spread_of(row, borrowed)
    interval = None
    if len(values) >= 2:
        estimate = difference_from_published(
            mean_estimate(values), row.top1, published_runs=row.n or 1, spread=spread, spread_df=df
        )
        found = estimate.interval(CONFIDENCE)
        interval = Bounds(low=found.low, high=found.high, confidence=CONFIDENCE)
    return BaselineDifference(
        name=row.name,
        model=row.model,
        protocol=row.protocol.name,
        published=row.top1,
        published_runs=row.n,
        difference=fmean(values) - row.top1,
        interval=interval,
        assumption=assumption,
        source=f"{row.source.title}, {row.source.table or row.source.commit}",
        unstated=row.protocol.unstated(),
    )


def _spread_of(row: AccuracyRow, borrowed: TargetSpread) -> tuple[float, float, str]:
    """Standard deviation of one published run, its degrees of freedom, and where they are from."""
    if row.n is not None and row.n >= 2 and row.spread is not None:
        return row.spread.value, row.n - 1, "spread as published"
    if row.values is not None and len(row.values) >= 2 and len(set(row.values)) > 1:
        return stdev(row.values), len(row.values) - 1, "spread of the published runs"
    runs = "" if row.n else "; n is not stated and taken as 1"
    return borrowed.standard_deviation, borrowed.df, f"spread borrowed: {borrowed.origin}{runs}"
