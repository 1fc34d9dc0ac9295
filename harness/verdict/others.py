"""Our mean minus other published accuracies of the same protocol: intervals, no verdict words.

Both sides are always of one selection: a row that states which epoch counts is held
against that epoch of ours. One that does not is compared only where our last epoch
counts, and what it leaves unsaid is listed.
"""

from collections.abc import Sequence
from statistics import fmean, stdev

from harness.baselines.schema import AccuracyRow, TargetSpread, sample_deviation
from harness.record.summary import RunSummary
from harness.statistics.difference import difference_from_published
from harness.statistics.intervals import mean_estimate
from harness.verdict.checks import is_whole
from harness.verdict.judgement import BaselineDifference, Bounds
from harness.verdict.selection import counted, gaps

CONFIDENCE = 0.95


def differences_from(
    runs: Sequence[RunSummary], rows: Sequence[AccuracyRow], borrowed: TargetSpread
) -> tuple[BaselineDifference, ...]:
    """Differences from each row whose network and stated protocol are those of the runs.

    Args:
        runs: Of one recipe. Only completed ones count, and only on all images
            of the data that a row is about.
        rows: Published accuracies; goals that nobody measured are passed over.
        borrowed: Spread for rows that state none.

    Returns:
        One difference a row, in the order of the rows; empty without runs.
    """
    found = []
    for row in rows:
        done = [run for run in runs if run.completed and is_whole(run.started.data, row.data)]
        if not row.measured or not done:
            continue
        values = [_accuracy(run, row) for run in done]
        if row.network in done[0].started.recipe.model.name and None not in values:
            found.append(_difference([v for v in values if v is not None], row, borrowed))
    return tuple(found)


def _accuracy(run: RunSummary, row: AccuracyRow) -> float | None:
    """Ours by the row's protocol and selection, None where there is none."""
    recipe = run.started.recipe
    if row.selection == "best_epoch":
        return None if row.protocol.differences(recipe.epoch_protocol) else _best(run)
    if row.selection is None and recipe.selection != "last":
        return None
    fitting = [
        e
        for e in run.evaluations
        if e.final and e.complete and not row.protocol.differences(e.protocol)
    ]
    return fitting[-1].top1_accuracy if fitting else None


def _best(run: RunSummary) -> float | None:
    protocol = run.started.recipe.epoch_protocol
    one = counted(run, protocol, "best_epoch")
    if one is None or not one.last.complete or any(gaps(run, protocol)):
        return None
    return one.evaluation.top1_accuracy


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
        unstated=(*row.protocol.unstated(), *(() if row.selection else ("selection",))),
        selection=row.selection,
        lineage=row.lineage,
    )


def _spread_of(row: AccuracyRow, borrowed: TargetSpread) -> tuple[float, float, str]:
    """Standard deviation of one published run, its degrees of freedom, and where they are from."""
    if row.n is not None and row.n >= 2 and row.spread is not None:
        spread = sample_deviation(row.spread.value, row.n, row.spread.divisor)
        wider = ", its divisor taken as n" if row.spread.divisor == "unstated" else ""
        return spread, row.n - 1, f"spread as published{wider}"
    if row.values is not None and len(row.values) >= 2 and len(set(row.values)) > 1:
        return stdev(row.values), len(row.values) - 1, "spread of the published runs"
    runs = "" if row.n else "; n is not stated and taken as 1"
    return borrowed.standard_deviation, borrowed.df, f"spread borrowed: {borrowed.origin}{runs}"
