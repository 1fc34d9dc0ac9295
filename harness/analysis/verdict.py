"""`harness verdict`: runs on disk to judgements."""

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.stored import check_stored
from harness.baselines.loading import load_baselines, load_target
from harness.baselines.own import own_targets
from harness.baselines.schema import Target
from harness.errors import RecordError, UsageError
from harness.record.run_folder import find_runs, runs_of_study
from harness.record.schema import RunStarted
from harness.record.summary import RunSummary, read_summary
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
        DifferenceFoundError: a digest or a count does not follow from what lies beside it.
        BaselineError: a target file that is wrong.
    """
    return judged([read_summary(folder) for folder in find_runs(paths)], target=target)


def judged(runs: Sequence[RunSummary], *, target: str | Path | None = None) -> Judgements:
    """`verdict` of runs that were read already."""
    baselines = load_baselines()
    named = load_target(target) if target else None
    not_counted = [words for run in runs for words in check_stored(run)]
    beside = _left_out(runs)
    judgements = judge(
        runs,
        (named,) if named else (*baselines.targets, *own_targets([run.folder for run in runs])),
        rows=baselines.accuracy,
        left_out=tuple(map(str, beside)),
        again=_again(runs, beside),
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


def _question(started: RunStarted) -> tuple[str, str, int]:
    return started.recipe_digest, started.data.root_digest, started.seed
