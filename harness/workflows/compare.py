"""`harness compare`: two runs or two prediction files, image by image."""

import hashlib
from pathlib import Path

from harness.errors import RecordError, UsageError
from harness.record.predictions import read_predictions
from harness.record.schema import Evaluation
from harness.record.summary import RunSummary, read_summary
from harness.report.comparison import Comparable, build_comparison
from harness.report.content import Report
from harness.verdict.paired import PairedComparison, compare_predictions
from harness.workflows.report import run_records


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
        runs = tuple(read_summary(path) for path in (first, second))
        name = protocol or _common_protocol(runs[0], runs[1])
        files = (_predictions_of(runs[0], name), _predictions_of(runs[1], name))
    tables = [read_predictions(file) for file in files]
    return compare_predictions(tables[0], tables[1], names=(str(files[0]), str(files[1])))


def difference_page(first: Path, second: Path, *, protocol: str | None = None) -> Report:
    """The comparison as a page; of two runs also recipe, curves, speed, data, environment.

    Runs without a common evaluation are shown all the same, with the reason.

    Raises:
        RecordError: files that cannot be read or were altered.
        UsageError: a prediction file stands beside a run.
    """
    if first.suffix == second.suffix == ".parquet":
        return build_comparison(Comparable(compare(first, second)))
    _refuse_file_beside_run(first, second)
    runs = tuple(run_records([read_summary(path).folder for path in (first, second)]))
    try:
        return build_comparison(Comparable(compare(first, second, protocol=protocol), runs=runs))
    except UsageError as error:
        return build_comparison(Comparable(None, f"Not compared: {error.found}.", runs))


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
    if digest is not None and path.exists() and _sha256(path) != digest:
        raise RecordError(
            "the predictions are not those that the run wrote",
            where=str(path),
            expected=f"sha256 {digest}",
            remedy="restore the file from a copy, or name it itself to compare it as it is",
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
