"""`harness bundle`: a result's raw parts in one file, with every number computed from them."""

import io
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.analysis.judged_study import (
    JudgedStudy,
    LoadedRun,
    judged_study,
    load_runs,
    named_apart,
)
from harness.analysis.report import page_of
from harness.analysis.verdict import runs_again
from harness.baselines.loading import baselines_folder
from harness.baselines.own import PATTERN
from harness.errors import RecordError
from harness.record.bundle import BundleMember, write_bundle
from harness.record.journal import journal_content
from harness.record.run_folder import BESIDE_THE_JOURNAL, find_runs
from harness.report.rendering.content import Report
from harness.system.secrets import without_credentials

RUNS, BASELINES = "runs", "baselines"


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written; runs whose arrays were asked for and are not there any more."""

    path: Path
    sha256: str
    members: int
    bytes: int
    without_weights: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "bundle": str(self.path),
            "sha256": self.sha256,
            "members": self.members,
            "bytes": self.bytes,
            "without_weights": list(self.without_weights),
        }


def bundle(paths: Sequence[Path], out: Path, *, weights: bool = False) -> Bundled:
    """Pack runs, and beside them other runs of their seeds that the study's folder holds.

    Args:
        paths: Runs or studies; see `find_runs`.
        out: The file to write.
        weights: Pack the last checkpoint's arrays as well.

    Raises:
        UsageError: no run was named, or the file cannot be written.
        RecordError: two runs have one place, or a file is damaged.
        BaselineError: a baseline file is wrong.
    """
    runs = load_runs(find_runs(paths))
    again = runs_again([run.summary for run in runs])
    both = (*runs, *load_runs(map(Path, again)))
    runs = named_apart(sorted(both, key=lambda run: run.folder.parts[-2:]))  # as `verify` has them
    members: dict[str, BundleMember] = {}
    for run in runs:
        for file in _files_of(run, weights=weights):
            name = member_name(run.folder, file)
            if name in members:
                raise RecordError(
                    "two runs have the same study and seed folder",
                    where=str(run.folder),
                    expected="runs that can lie beside each other",
                    remedy="bundle them one by one",
                )
            members[name] = BundleMember(file)
    for file in sorted(baselines_folder().glob("*.toml")):
        members[f"{BASELINES}/{file.name}"] = BundleMember(file)
    reported = reported_numbers(judged_study(runs, baselines=baselines_folder()))
    digest = write_bundle(out, members, reported=reported, harness_version=harness.__version__)
    bare = [run for run in runs if weights and not list(_arrays_of(run))]
    without = tuple("/".join(run.folder.parts[-2:]) for run in bare)
    return Bundled(out, digest, len(members), out.stat().st_size, without)


def member_name(folder: Path, file: Path) -> str:
    """A run's file as a member: `runs/<study>/<seed>/...`."""
    return "/".join((RUNS, *folder.parts[-2:], file.relative_to(folder).as_posix()))


def reported_numbers(study: JudgedStudy) -> dict[str, Any]:
    """Everything that is computed from runs: the judgements and each table of the report."""
    chained = {
        "/".join(run.folder.parts[-2:]): run.record.head.text
        for run in study.runs
        if run.record.head.linked_from
    }
    return {
        "judgement": study.portable.document() if study.portable else None,
        "not_judged": study.why_not,
        "report": _tables(page_of(study)),
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


def _files_of(run: LoadedRun, *, weights: bool) -> Iterable[Path]:
    folder = run.folder
    yield from texts_of(folder)
    yield from prediction_files(run).values()
    yield from sorted(folder.glob("checkpoints/*/checkpoint.json"))
    if weights:
        yield from _arrays_of(run)


def _arrays_of(run: LoadedRun) -> Iterable[Path]:
    """The arrays of the last checkpoint, as far as they are kept."""
    if not run.record.checkpoints:
        return []
    return sorted((run.folder / run.record.checkpoints[-1].file).glob("*.npz"))


def texts_of(folder: Path) -> tuple[Path, ...]:
    """A run's journal and the small files beside it, which a stranger may read.

    Raises:
        RecordError: a line holds what looks like a password.
    """
    journal, content = journal_content(folder)
    _refuse_credentials(journal, content)
    named = [folder / name for name in BESIDE_THE_JOURNAL] + sorted(folder.glob(PATTERN))
    beside = [file for file in named if file.is_file()]
    for file in beside:
        _refuse_credentials(file, file.read_bytes())
    return journal, *beside


def _refuse_credentials(file: Path, content: "mmap.mmap | bytes") -> None:
    """Runs of version 0.2.0 kept the command line with its password."""
    for number, raw in enumerate(io.BytesIO(content), start=1):
        line = raw.decode("utf-8", "replace")
        if without_credentials(line) != line:
            raise RecordError(
                "the file holds what looks like a password or a token",
                where=f"{file}, line {number}",
                expected="nothing that a stranger may not read",
                remedy="put that password out of use, and *** in its place in the file: the "
                "words of a command decide no number",
            )


def prediction_files(run: LoadedRun) -> dict[str, Path]:
    """The prediction files that a journal names and that exist, by name."""
    names = dict.fromkeys(
        Path(e.predictions_file).name for e in run.record.evaluations if e.predictions_file
    )
    return {name: run.folder / name for name in names if (run.folder / name).is_file()}
