"""The early-curve gate's answer for runs on a page, each held against the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import StatisticsError
from harness.report.rendering.content import Table
from harness.report.rendering.wording import MISSING, count, number, plural
from harness.report.run_record import RunRecord
from harness.verdict.early import MIN_REFERENCES, Curve, Finding, Reference, check, reference_of


@dataclass(frozen=True)
class Band:
    """Where a next run's mean loss is expected.

    Attributes:
        label: What the band rests on.
        step: [n], the last step of each window.
        low: [n], mean loss.
        high: [n], mean loss.
    """

    label: str
    step: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def early_band(runs: Sequence[RunRecord]) -> Band | str:
    """The band from the completed runs of the page, or why there is none."""
    try:
        reference = _reference(runs)
    except StatisticsError as error:
        return f"No early-curve band is drawn: {error.found}."
    if reference is None:
        accepted = plural(len(_accepted(runs)), "completed run")
        return (
            f"No early-curve band is drawn: it takes {MIN_REFERENCES} completed runs of one "
            f"recipe and data set, and there {'is' if accepted.startswith('1 ') else 'are'} "
            f"{accepted} here."
        )
    low, high = reference.intervals()
    return Band(
        label=f"expected of a next run, from {plural(len(reference.values), 'run')}",
        step=reference.ends,
        low=tuple(math.exp(value) for value in low[:, 0]),
        high=tuple(math.exp(value) for value in high[:, 0]),
    )


def early_checks(runs: Sequence[RunRecord]) -> Table:
    """Each run held against the other completed runs, or against absolute limits."""
    columns = ("run", "early curve", "compared with", "windows", "what is unusual")
    return Table("The early-curve check", columns, tuple(_row(run, runs) for run in runs))


def _row(run: RunRecord, runs: Sequence[RunRecord]) -> tuple[str, ...]:
    others = [other for other in runs if other is not run]
    started = run.started
    try:
        answer = check(
            _curve(run),
            _reference(others, like=run),
            classes=len(started.data.classes),
            steps=started.steps_total,
        )
    except StatisticsError as error:
        return (run.name, "not checked", MISSING, MISSING, error.found)
    basis = plural(answer.compared_with, "run") if answer.compared_with else "absolute limits"
    found = "; ".join(_words(finding) for finding in answer.findings) or MISSING
    return (run.name, answer.status.replace("_", " "), basis, count(answer.windows), found)


def _words(finding: Finding) -> str:
    first, last = finding.steps
    words = f"steps {count(first)} to {count(last)}: {finding.check} {number(finding.value)}"
    if finding.low is None or finding.high is None:
        return words
    return f"{words}, expected {number(finding.low)} to {number(finding.high)}"


def _reference(runs: Sequence[RunRecord], like: RunRecord | None = None) -> Reference | None:
    accepted = _accepted(runs)
    everything = [*accepted, *([like] if like else [])]
    identities = {(r.started.recipe_digest, r.started.data.root_digest) for r in everything}
    if not accepted or len(identities) != 1:
        return None
    return reference_of([_curve(run) for run in accepted], accepted[0].started.steps_total)


def _accepted(runs: Sequence[RunRecord]) -> list[RunRecord]:
    return [run for run in runs if run.finished and run.finished.status == "completed"]


def _curve(run: RunRecord) -> Curve:
    series = run.series
    return Curve(series["loss"], series["gradient_norm"], series["correct"], series["images"])
