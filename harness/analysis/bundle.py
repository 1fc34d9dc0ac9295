"""`harness bundle`: a result's raw parts in one file, with every number computed from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.analysis.report import ReportRequest, judge_with, report
from harness.baselines.loading import baselines_folder
from harness.baselines.own import PATTERN
from harness.errors import RecordError
from harness.record.bundle import Source, write_bundle
from harness.record.journal import FILE_NAME, Journal, read_journal
from harness.record.run_folder import find_runs
from harness.record.summary import read_summary
from harness.report.rendering.content import Report
from harness.system.secrets import without_credentials

BESIDE_THE_JOURNAL = ("recipe.json", "environment.json", "certificate.json")
RUNS, BASELINES = "runs", "baselines"


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written."""

    path: Path
    sha256: str
    members: int
    bytes: int

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "bundle": str(self.path),
            "sha256": self.sha256,
            "members": self.members,
            "bytes": self.bytes,
        }


def bundle(paths: Sequence[Path], out: Path, *, weights: bool = False) -> Bundled:
    """Pack runs.

    Args:
        paths: Runs or studies; see `find_runs`.
        out: The file to write.
        weights: Pack the last checkpoint's arrays as well.

    Raises:
        UsageError: no run was named, or the file cannot be written.
        RecordError: two runs have one place, or a file is damaged.
        BaselineError: a baseline file is wrong.
    """
    folders = find_runs(paths)
    members: dict[str, Source] = {}
    for folder in folders:
        for file in _files_of(folder, weights=weights):
            name = member_name(folder, file)
            if name in members:
                raise RecordError(
                    "two runs have the same study and seed folder",
                    where=str(folder),
                    expected="runs that can lie beside each other",
                    remedy="bundle them one by one",
                )
            members[name] = Source(file)
    for file in sorted(baselines_folder().glob("*.toml")):
        members[f"{BASELINES}/{file.name}"] = Source(file)
    reported = reported_numbers(folders, baselines_folder())
    digest = write_bundle(out, members, reported=reported, harness_version=harness.__version__)
    return Bundled(out, digest, len(members), out.stat().st_size)


def member_name(folder: Path, file: Path) -> str:
    """A run's file as a member: `runs/<study>/<seed>/...`."""
    return "/".join((RUNS, *folder.parts[-2:], file.relative_to(folder).as_posix()))


def reported_numbers(folders: Sequence[Path], baselines: Path) -> dict[str, Any]:
    """Everything that is computed from runs: the judgements and each table of the report.

    Args:
        folders: Run folders.
        baselines: Folder of baseline files.
    """
    judgements, why_not = judge_with(folders, baselines)
    heads = {folder: read_summary(folder).head for folder in folders}
    chained = {
        "/".join(folder.parts[-2:]): head.text for folder, head in heads.items() if head.linked_from
    }
    content = report(ReportRequest(tuple(folders), baselines=baselines))
    return {
        "judgement": judgements.document() if judgements else None,
        "not_judged": why_not,
        "report": _tables(content),
        # Left out where there is none, as in the bundles that are older than the chain.
        **({"journal_heads": chained} if chained else {}),
    }


def _tables(content: Report) -> dict[str, Any]:
    first, *others = [
        {"word": one.word, "sentence": one.sentence, "reasons": list(one.reasons)}
        for one in content.headlines
    ]
    return {
        "title": content.title,
        **first,
        **({"other_targets": others} if others else {}),
        "tables": [
            {
                "section": section.title,
                "caption": table.caption,
                "columns": list(table.columns),
                "rows": [list(row) for row in table.rows],
            }
            for section in content.sections
            for table in section.tables
        ],
    }


def _files_of(folder: Path, *, weights: bool) -> Iterable[Path]:
    journal = read_journal(folder)
    named = [folder / name for name in (FILE_NAME, *BESIDE_THE_JOURNAL)]
    named += sorted(folder.glob(PATTERN))
    for file in named:
        if file.is_file():
            _refuse_credentials(file)
            yield file
    yield from prediction_files(folder, journal).values()
    yield from sorted(folder.glob("checkpoints/*/checkpoint.json"))
    if weights and journal.checkpoints:
        yield from sorted((folder / journal.checkpoints[-1].file).glob("*.npz"))


def _refuse_credentials(file: Path) -> None:
    """Runs of version 0.2.0 kept the command line with its password."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if without_credentials(line) != line:
                raise RecordError(
                    "the file holds what looks like a password or a token",
                    where=f"{file}, line {number}",
                    expected="nothing that a stranger may not read",
                    remedy="put that password out of use, and *** in its place in the file: the "
                    "words of a command decide no number",
                )


def prediction_files(folder: Path, journal: Journal) -> dict[str, Path]:
    """The prediction files that a journal names and that exist, by name."""
    names = dict.fromkeys(
        Path(e.predictions_file).name for e in journal.evaluations if e.predictions_file
    )
    return {name: folder / name for name in names if (folder / name).is_file()}
