"""`harness compare`: two runs or two prediction files, image by image."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.relative_paths import portable_text
from harness.analysis.report import run_records
from harness.errors import RecordError, UsageError
from harness.record.predictions import read_predictions
from harness.record.schema import Evaluation
from harness.record.summary import RunSummary, read_summary
from harness.report.comparison import Comparable, build_comparison
from harness.report.rendering.content import Report
from harness.report.run_record import RunRecord
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
        runs = tuple(read_summary(path) for path in (first, second))
        name = protocol or _common_protocol(runs[0], runs[1])
        files = (_predictions_of(runs[0], name), _predictions_of(runs[1], name))
    tables = [read_predictions(file) for file in files]
    return compare_predictions(tables[0], tables[1], names=(str(files[0]), str(files[1])))


@dataclass(frozen=True)
class Differences:
    """A page of differences, and what it rests on.

    Attributes:
        page: With the reason where the networks could not be compared.
        paired: The comparison; None where there is none.
    """

    page: Report
    paired: PairedComparison | None

    def text(self) -> str:
        """For a person."""
        return comparison_text(self.paired) if self.paired else self.page.headlines[0].sentence

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
    folders = [read_summary(path).folder for path in (first, second)]
    runs = tuple(run_records(folders))
    found, why_not = _compared(first, second, protocol, runs)
    why_not = portable_text(why_not, folders)
    return Differences(build_comparison(Comparable(found, why_not, runs)), found)


def _compared(
    first: Path, second: Path, protocol: str | None, runs: Sequence[RunRecord]
) -> tuple[PairedComparison | None, str]:
    """The comparison, or why there is none."""
    try:
        return compare(first, second, protocol=protocol), ""
    except UsageError as error:
        return None, f"Not compared: {error.found}."
    except RecordError as error:
        names = {one.started.data.root_digest: one.started.data.name for one in runs}
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
