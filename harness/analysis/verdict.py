"""`harness verdict`: runs on disk to judgements."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.analysis.stored import Labels, check_stored
from harness.baselines.loading import load_baselines, load_target
from harness.baselines.own import own_targets
from harness.baselines.schema import Target
from harness.errors import DifferenceFoundError, RecordError, UsageError
from harness.record.chain import contradicts
from harness.record.journal import FILE_NAME, journal_in
from harness.record.run_folder import find_runs, runs_of_study
from harness.record.schema import RunStarted
from harness.record.summary import RunSummary, first_event, read_summary
from harness.tracking.address import shown_uri
from harness.tracking.known_runs import Known, KnownRun, known_at, known_beside, not_asked
from harness.verdict.checks import binding_differences, shared_marks
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgements
from harness.verdict.selection import counted


def verdict(
    paths: Sequence[Path],
    *,
    target: str | Path | None = None,
    tracking_uri: str | None = None,
) -> Judgements:
    """Judge the runs that paths mean.

    Args:
        paths: Run folders, journals, or study folders, which stand for every
            run in them.
        target: One target, as `load_target` takes it; without it every one in
            `baselines/`, and in the runs' folders, that applies to them.
        tracking_uri: A tracker that is asked for other runs of the seeds, beside the one in
            the runs folder. One that only a journal names is not asked, and named.

    Raises:
        UsageError: no runs, runs of different recipes, or a target file that is
            about another recipe or other data.
        RecordError: a journal that is missing, damaged or of a newer schema, or in
            which a protocol was evaluated twice after one step.
        DifferenceFoundError: a digest or a count does not follow from what lies beside it, or a
            journal contradicts the head that a tracker has of it.
        BaselineError: a target file that is wrong.
    """
    runs = [read_summary(folder) for folder in find_runs(paths)]
    return judged(runs, target=target, tracking_uri=tracking_uri)


def judged(
    runs: Sequence[RunSummary],
    *,
    target: str | Path | None = None,
    tracking_uri: str | None = None,
) -> Judgements:
    """`verdict` of runs that were read already."""
    baselines = load_baselines()
    named = load_target(target) if target else None
    labels: Labels = {}
    not_counted = [words for run in runs for words in check_stored(run, labels)]
    beside = _left_out(runs)
    asked = _asked(runs, tracking_uri)
    _refuse_another_past(runs, asked.runs)
    judgements = judge(
        runs,
        (named,) if named else (*baselines.targets, *own_targets([run.folder for run in runs])),
        rows=baselines.accuracy,
        left_out=tuple(map(str, beside)),
        again={**runs_again(runs), **_known_again(runs, beside, asked.runs)},
        notes=(*not_counted, *asked.unasked),
    )
    if named is not None and judgements.each[0].target is None:
        raise _does_not_fit(named, runs[0], str(target))
    return judgements


def _does_not_fit(target: Target, run: RunSummary, where: str) -> UsageError:
    recipe = run.started.recipe.name
    why = (
        f"it is about the recipe {target.recipe}, the runs are of {recipe}"
        if target.recipe != recipe
        else "; ".join(binding_differences(target.data, run.started.data))
    )
    return UsageError(
        f"the target {target.name} does not apply to these runs: {why}",
        where=where,
        expected="a target of the runs' recipe and data",
        remedy="name a fitting one, or leave --target out to take all registered ones",
    )


def _left_out(runs: Sequence[RunSummary]) -> tuple[Path, ...]:
    """Runs beside the named ones in their study's folder."""
    named = {run.folder for run in runs}
    studies = {run.folder.parent for run in runs}
    beside = {folder for study in studies for folder in runs_of_study(study)}
    return tuple(sorted(beside - named))


def runs_again(runs: Sequence[RunSummary]) -> dict[str, int]:
    """Other runs within a study's folder that are of a named run's recipe, data and seed.

    The same run once more, bit for bit as far as both went, is none. A journal whose
    first line cannot be read is like one that was deleted.
    """
    named = {_question(run.started): run for run in runs}
    folders = {run.folder for run in runs}
    found = {}
    for study in {run.folder.parent for run in runs}:
        for depth in ("*", "*/*"):
            for folder in sorted(set(study.glob(depth)) - folders):
                started = first_event(folder) if journal_in(folder) else None
                same = started and named.get(_question(started))
                if started and same and not _repeats(folder, same):
                    found[str(folder)] = started.seed
    return found


def _repeats(folder: Path, named: RunSummary) -> bool:
    """Whether a run, which may have no step yet, is of the named run's own bits."""
    try:
        other = read_summary(folder)
    except RecordError:
        return False
    steps = np.intersect1d(other.mark_steps, named.mark_steps)
    ends = {one.finished.status for one in (other, named) if one.finished}
    return len(ends) < 2 and shared_marks(other, named) == len(steps)


def _asked(runs: Sequence[RunSummary], tracking_uri: str | None) -> Known:
    """What is known of the runs' recipes beside them, and where the reader says."""
    recipe = runs[0].started.recipe_digest if runs else ""
    found = [known_beside(folder) for folder in {run.folder.parent.parent for run in runs}]
    reader = tracking_uri and shown_uri(tracking_uri)
    named = {run.started.tracker for run in runs} - {None, reader}
    found += [not_asked(one) for one in sorted(map(str, named))]
    if tracking_uri:
        found.append(known_at(tracking_uri, recipe))
    return sum(found, Known())


def _refuse_another_past(runs: Sequence[RunSummary], known: Sequence[KnownRun]) -> None:
    # An excerpt is not what was sent.
    paths = {run.started.run_id: run.folder / FILE_NAME for run in runs if not run.excerpt}
    for one in known:
        path = paths.get(one.run_id)
        if path is not None and (found := contradicts(one.head, path)):
            raise DifferenceFoundError(
                f"the journal is not the one whose head was published: {found}",
                where=str(path),
                expected=f"{one.head}, as MLflow has it",
                remedy="restore the journal from a copy: it was changed after it had been sent",
            )


def _known_again(
    runs: Sequence[RunSummary], beside: Sequence[Path], known: Sequence[KnownRun]
) -> dict[str, int]:
    """Runs with an outcome that a tracker knows and no folder holds, with a named run's seed.

    One with an accuracy of the named run is passed over: nothing is chosen between equals,
    and whoever repeats a study on a shared tracker does no harm to it.
    """
    here = {run.started.run_id for run in runs} | set(filter(None, map(_run_id, beside)))
    named = {tuple(map(str, _question(run.started))): run for run in runs}
    found = {}
    for one in known:
        run = named.get((one.recipe_digest, one.data_root, one.seed))
        if run is None or not one.ended or one.run_id in here:
            continue
        if one.top1 not in _accuracies(run):
            gone = ", deleted there," if one.deleted else ""
            found[f"MLflow's run {one.run_id[:8]}{gone}"] = run.started.seed
    return found


def _accuracies(run: RunSummary) -> set[float]:
    """What a tracker may have of a run: each protocol at the end, and what counts once judged."""
    recipe = run.started.recipe
    counts = counted(run, recipe.epoch_protocol, recipe.selection)
    found = {event.top1_accuracy for event in run.evaluations if event.final}
    return found | ({counts.evaluation.top1_accuracy} if counts else set())


def _run_id(folder: Path) -> str | None:
    try:
        return read_summary(folder).started.run_id
    except RecordError:
        return None


def _question(started: RunStarted) -> tuple[str, str, int]:
    return started.recipe_digest, started.data.root_digest, started.seed
