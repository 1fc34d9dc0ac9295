"""`harness verdict`: runs on disk to judgements."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.analysis.stored import check_stored
from harness.baselines.loading import load_baselines, load_target
from harness.baselines.own import own_targets
from harness.baselines.schema import Target
from harness.errors import DifferenceFoundError, RecordError, UsageError
from harness.record.chain import contradicts
from harness.record.journal import FILE_NAME
from harness.record.run_folder import find_runs, runs_of_study
from harness.record.schema import RunStarted
from harness.record.summary import RunSummary, read_summary
from harness.tracking.known_runs import KnownRun, known_runs
from harness.verdict.checks import binding_differences
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgements


def verdict(paths: Sequence[Path], *, target: str | Path | None = None) -> Judgements:
    """Judge the runs that paths mean.

    Args:
        paths: Run folders, journals, or study folders, which stand for every
            run in them.
        target: One target, as `load_target` takes it; without it every one in
            `baselines/`, and in the runs' folders, that applies to them.

    Raises:
        UsageError: no runs, runs of different recipes, or a target file that is
            about another recipe or other data.
        RecordError: a journal that is missing, damaged or of a newer schema, or in
            which a protocol was evaluated twice after one step.
        DifferenceFoundError: a digest or a count does not follow from what lies beside it, or a
            journal contradicts the head that the tracker beside the runs has of it.
        BaselineError: a target file that is wrong.
    """
    return judged([read_summary(folder) for folder in find_runs(paths)], target=target)


def judged(runs: Sequence[RunSummary], *, target: str | Path | None = None) -> Judgements:
    """`verdict` of runs that were read already."""
    baselines = load_baselines()
    named = load_target(target) if target else None
    not_counted = [words for run in runs for words in check_stored(run)]
    beside = _left_out(runs)
    known = _known(runs)
    _refuse_another_past(runs, known)
    judgements = judge(
        runs,
        (named,) if named else (*baselines.targets, *own_targets([run.folder for run in runs])),
        rows=baselines.accuracy,
        left_out=tuple(map(str, beside)),
        again={**_again(runs, beside), **_known_again(runs, beside, known)},
        notes=not_counted,
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


def _again(runs: Sequence[RunSummary], beside: Sequence[Path]) -> dict[str, int]:
    """Of runs left out those that are of a named run's recipe, data and seed, with the seed."""
    named = {_question(run.started) for run in runs}
    found = {}
    for folder in beside:
        try:
            started = read_summary(folder).started
        except RecordError:
            continue
        if _question(started) in named:
            found[str(folder)] = started.seed
    return found


def _known(runs: Sequence[RunSummary]) -> dict[str, KnownRun]:
    """What the tracker beside the runs knows, by the journal's run id."""
    folders = {run.folder.parent.parent for run in runs}
    return {one.run_id: one for folder in folders for one in known_runs(folder)}


def _refuse_another_past(runs: Sequence[RunSummary], known: Mapping[str, KnownRun]) -> None:
    for run in runs:
        one = known.get(run.started.run_id)
        path = run.folder / FILE_NAME
        if run.excerpt or one is None:  # an excerpt is not what was sent
            continue
        if found := contradicts(one.head, path):
            raise DifferenceFoundError(
                f"the journal is not the one whose head was published: {found}",
                where=str(path),
                expected=f"{one.head}, as MLflow has it",
                remedy="restore the journal from a copy: it was changed after it had been sent",
            )


def _known_again(
    runs: Sequence[RunSummary], beside: Sequence[Path], known: Mapping[str, KnownRun]
) -> dict[str, int]:
    """Runs with an outcome that the tracker knows and no folder holds, with a named run's seed."""
    here = {run.started.run_id for run in runs} | set(filter(None, map(_run_id, beside)))
    named = {tuple(map(str, _question(run.started))) for run in runs}
    return {
        f"MLflow's run {one.run_id[:8]}{', deleted there,' if one.deleted else ''}": int(one.seed)
        for one in known.values()
        if one.ended
        and one.run_id not in here
        and (one.recipe_digest, one.data_root, one.seed) in named
    }


def _run_id(folder: Path) -> str | None:
    try:
        return read_summary(folder).started.run_id
    except RecordError:
        return None


def _question(started: RunStarted) -> tuple[str, str, int]:
    return started.recipe_digest, started.data.root_digest, started.seed
