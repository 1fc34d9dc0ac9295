"""`harness compare`: two runs or two prediction files, image by image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.judged_study import LoadedRun, load_runs, portable_text
from harness.analysis.stored import sha256_of
from harness.errors import RecordError, UsageError
from harness.record.predictions import read_predictions
from harness.record.schema import Evaluation
from harness.record.summary import RunSummary, read_summary
from harness.report.comparison import Comparable, build_comparison
from harness.report.rendering.content import Report
from harness.sources.class_order import readable
from harness.verdict.paired import PairedComparison, compare_predictions, comparison_text


def compare(first: Path, second: Path, *, protocol: str | None = None) -> PairedComparison:
    """Compare two prediction files, or those of two runs' last step.

    Args:
        first: A prediction file or a run.
        second: The same.
        protocol: Of the runs' evaluations to take; default the last one that
            both have.

    Raises:
        RecordError: files that cannot be read, were altered, or are of
            different images.
        UsageError: the runs have no evaluation in common, or a prediction file
            stands beside a run.
    """
    if first.suffix == second.suffix == ".parquet":
        files = (first, second)
    else:
        _refuse_file_beside_run(first, second)
        files = _common_files(read_summary(first), read_summary(second), protocol)
    return _compared(files)


def _common_files(first: RunSummary, second: RunSummary, protocol: str | None) -> tuple[Path, Path]:
    name = protocol or _common_protocol(first, second)
    return _predictions_of(first, name), _predictions_of(second, name)


def _compared(files: tuple[Path, Path]) -> PairedComparison:
    tables = [read_predictions(file) for file in files]
    return compare_predictions(tables[0], tables[1], names=(str(files[0]), str(files[1])))


def class_names(path: Path) -> tuple[str, ...]:
    """A run's classes in label order, for a person; nothing for a prediction file."""
    return () if path.suffix == ".parquet" else readable(read_summary(path).started.data.classes)


@dataclass(frozen=True)
class Differences:
    """A page of differences, and what it rests on.

    Attributes:
        page: With the reason where the networks could not be compared.
        paired: The comparison; None where there is none.
        classes: Names in label order; nothing where prediction files were given.
    """

    page: Report
    paired: PairedComparison | None
    classes: tuple[str, ...] = ()

    def text(self) -> str:
        """For a person."""
        if self.paired is None:
            return self.page.headlines[0].sentence
        return comparison_text(self.paired, self.classes)

    def document(self) -> dict[str, Any]:
        """The comparison as plain JSON values, or why there is none."""
        if self.paired is None:
            return {"not_compared": self.page.headlines[0].sentence}
        return self.paired.model_dump(mode="json")


def differences(first: Path, second: Path, *, protocol: str | None = None) -> Differences:
    """The comparison with its page; of two runs also recipe, curves, speed, data, environment.

    Runs without a common evaluation, and runs on different data, are shown all
    the same, with the reason.

    Raises:
        RecordError: files that cannot be read or were altered.
        UsageError: a prediction file stands beside a run.
    """
    if first.suffix == second.suffix == ".parquet":
        paired = compare(first, second)
        return Differences(build_comparison(Comparable(paired)), paired)
    _refuse_file_beside_run(first, second)
    runs = load_runs((first, second))
    found, why_not = _compared_or_not(runs, protocol)
    why_not = portable_text(why_not, [run.folder for run in runs])
    records = tuple(run.record for run in runs)
    classes = readable(records[0].started.data.classes)
    page = build_comparison(Comparable(found, why_not, records, classes))
    return Differences(page, found, classes)


def _compared_or_not(
    runs: Sequence[LoadedRun], protocol: str | None
) -> tuple[PairedComparison | None, str]:
    """The comparison, or why there is none."""
    try:
        return _compared(_common_files(runs[0].summary, runs[1].summary, protocol)), ""
    except UsageError as error:
        return None, f"Not compared: {error.found}."
    except RecordError as error:
        data_sets = [run.summary.started.data for run in runs]
        names = {one.root_digest: one.name for one in data_sets}
        if len(names) == 1:
            raise
        data = " and ".join(f"{name} ({root[:12]})" for root, name in names.items())
        return None, f"Not compared: the runs are on different data, {data}: {error.found}."


def _refuse_file_beside_run(first: Path, second: Path) -> None:
    files = [path for path in (first, second) if path.suffix == ".parquet"]
    if files:
        raise UsageError(
            "a prediction file stands beside a run",
            where=f"{first} and {second}",
            expected="two prediction files or two runs",
            remedy="name the run's own prediction file, predictions-<protocol>-step-<n>.parquet",
        )


def _common_protocol(first: RunSummary, second: RunSummary) -> str:
    names = [[e.protocol.name for e in _with_predictions(run)] for run in (first, second)]
    common = [name for name in names[0] if name in names[1]]
    if not common:
        raise UsageError(
            "the runs have no evaluation in common",
            where=f"{first.folder} has {', '.join(names[0]) or 'none'}; "
            f"{second.folder} has {', '.join(names[1]) or 'none'}",
            expected="a protocol under which both were evaluated at their last step",
            remedy="evaluate both with `harness evaluate` and name the prediction files",
        )
    return common[-1]


def _with_predictions(run: RunSummary) -> list[Evaluation]:
    return [e for e in run.evaluations if e.final and e.predictions_file]


def _predictions_of(run: RunSummary, protocol: str) -> Path:
    candidates = _with_predictions(run)
    found = [e for e in candidates if e.protocol.name == protocol]
    if not found or found[-1].predictions_file is None:
        raise UsageError(
            f"the run was not evaluated under {protocol!r} at its last step",
            where=str(run.folder),
            expected=f"one of {', '.join(e.protocol.name for e in candidates) or 'none'}",
            remedy="name one of these, or none to take one that both have",
        )
    path = run.folder / found[-1].predictions_file
    digest = found[-1].predictions_digest
    if digest is not None and path.exists() and sha256_of(path) != digest:
        raise RecordError(
            "the predictions are not those that the run wrote",
            where=str(path),
            expected=f"sha256 {digest}",
            remedy="restore the file from a copy, or name it itself to compare it as it is",
        )
    return path
