"""A study as every command of this room takes it: each journal read once, judged once."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.analysis.stored import sha256_of
from harness.analysis.verdict import judged
from harness.baselines.loading import Baselines, load_baselines
from harness.baselines.own import own_targets
from harness.errors import DifferenceFoundError, HarnessError, RecordError, UsageError
from harness.record.journal import Journal, read_journal
from harness.record.summary import RunSummary, summarise
from harness.report.run_record import RunRecord, distinct_names, record_of
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgement, Judgements


@dataclass(frozen=True)
class LoadedRun:
    """A run as read once from its journal.

    Attributes:
        folder: The run's folder.
        summary: What a judgement needs.
        record: What a page shows; its name is unique among the runs loaded together.
    """

    folder: Path
    summary: RunSummary
    record: RunRecord


@dataclass(frozen=True)
class JudgedStudy:
    """Runs with their judgements.

    Attributes:
        runs: At least one.
        baselines: What they were held against.
        judgements: None where the runs cannot be judged together.
        refusal: Why they cannot.
    """

    runs: tuple[LoadedRun, ...]
    baselines: Baselines
    judgements: Judgements | None
    refusal: HarnessError | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those of the runs."""
        return tuple(run.folder for run in self.runs)

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """Those of the runs."""
        return tuple(run.record for run in self.runs)

    @cached_property
    def portable(self) -> Judgements | None:
        """The judgements with runs named by study and seed, as pages and bundles have them."""
        return portable(self.judgements, self.folders) if self.judgements else None

    @property
    def why_not(self) -> str:
        """Why there are no judgements; empty where there are."""
        error = self.refusal
        if error is None:
            return ""
        # Where records contradict each other, the place and both values are the answer.
        detail = f" (in {error.where}, expected: {error.expected})"
        found = error.found if isinstance(error, UsageError) else error.found + detail
        return portable_text(f"These runs were not judged together: {found}", self.folders)


def loaded_run(journal: Journal) -> LoadedRun:
    """A run from its journal, which need not stay in memory."""
    folder = journal.path.parent
    record = record_of(journal, folder="/".join(folder.parts[-2:]), sha256=sha256_of(journal.path))
    return LoadedRun(folder, summarise(journal), record)


def load_runs(folders: Iterable[Path]) -> tuple[LoadedRun, ...]:
    """Read the runs in these folders.

    Raises:
        RecordError: a journal is missing or damaged.
    """
    # One journal is in memory at a time: a long one takes hundreds of megabytes as events.
    return named_apart([loaded_run(read_journal(folder)) for folder in folders])


def named_apart(runs: Sequence[LoadedRun]) -> tuple[LoadedRun, ...]:
    """The same runs, each with a name of its own."""
    names = distinct_names([run.record.started for run in runs])
    return tuple(
        replace(run, record=replace(run.record, name=name))
        for run, name in zip(runs, names, strict=True)
    )


def judged_study(
    runs: Sequence[LoadedRun],
    *,
    baselines: Path | None = None,
    target: str | Path | None = None,
    tracking_uri: str | None = None,
) -> JudgedStudy:
    """Judge runs once, or keep why they cannot be judged together.

    Args:
        runs: As loaded.
        baselines: Folder of targets and baselines; None takes the harness' own
            and also looks for runs of the study that were not named.
        target: One target, which takes the place of those in the harness' own folder.
        tracking_uri: As for `verdict`.

    Raises:
        BaselineError: a baseline file is wrong.
    """
    known = load_baselines(baselines)
    summaries = [run.summary for run in runs]
    try:
        if baselines is None:
            judgements = judged(summaries, target=target, tracking_uri=tracking_uri)
        else:
            own = own_targets([run.folder for run in runs])
            judgements = judge(summaries, (*known.targets, *own), rows=known.accuracy)
    except (UsageError, DifferenceFoundError, RecordError) as error:
        return JudgedStudy(tuple(runs), known, None, error)
    return JudgedStudy(tuple(runs), known, judgements)


def portable(judgements: Judgements, folders: Sequence[Path]) -> Judgements:
    """The judgements with each run named `<study>/<seed>` in all of their texts.

    Args:
        judgements: As judged.
        folders: The runs' folders, as they were judged.
    """
    places = _places(folders)
    documents = [_replaced(one.model_dump(mode="json"), places) for one in judgements.each]
    each = tuple(Judgement.model_validate_json(json.dumps(one)) for one in documents)
    return Judgements(each, tuple(_replaced(list(judgements.notes), places)))


def portable_text(text: str, folders: Iterable[Path]) -> str:
    """A text about runs with each run named `<study>/<seed>`."""
    return str(_replaced(text, _places(folders)))


def _places(folders: Iterable[Path]) -> list[tuple[str, str]]:
    studies = {folder.parent for folder in folders}
    # The longest first: a study may lie within the path of another.
    by_length = sorted(studies, key=lambda study: -len(str(study)))
    return [(f"{study}/", f"{study.name}/") for study in by_length]


def _replaced(value: Any, places: list[tuple[str, str]]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, places) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, places) for inner in value]
    if isinstance(value, str):
        for place, name in places:
            value = value.replace(place, name)
    return value
