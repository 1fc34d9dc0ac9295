"""From the runs of one study and the targets to one judgement."""

from collections.abc import Sequence

from harness.baselines.schema import AccuracyRow, PublishedTarget, Target, ThresholdTarget
from harness.record.schema import Evaluation, Resumed
from harness.record.summary import RunSummary
from harness.statistics.intervals import proportion_lower_bound
from harness.verdict.checks import (
    binding_differences,
    copies,
    final_evaluation,
    refuse_mixture,
    status_of,
)
from harness.verdict.judgement import Judgement, SeedResult
from harness.verdict.others import differences_from
from harness.verdict.published import judge_published
from harness.verdict.threshold import judge_threshold


def judge(
    runs: Sequence[RunSummary],
    targets: Sequence[Target],
    *,
    rows: Sequence[AccuracyRow] = (),
    left_out: Sequence[str] = (),
) -> Judgement:
    """Judge the runs of one study against the target that speaks about them.

    Args:
        runs: Every run that counts, of one recipe.
        targets: Candidates; the one of the runs' recipe and data is used.
        rows: Published accuracies from which differences are shown, unless a
            seed is there twice: it would count twice.
        left_out: Runs of the study that were not named, to be listed.

    Raises:
        UsageError: no runs, or runs of different recipes.
    """
    refuse_mixture(runs)
    ordered = sorted(runs, key=lambda run: run.started.seed)
    target = choose_target(ordered, targets)
    if target is None:
        return _without_target(ordered, targets, left_out)
    answer = (
        judge_published(ordered, target)
        if isinstance(target, PublishedTarget)
        else judge_threshold(ordered, target)
    )
    started = ordered[0].started
    return Judgement(
        word=answer.word,
        reasons=answer.reasons,
        warnings=(*answer.warnings, *_warnings(ordered, target)),
        target=target.name,
        target_text=describe(target),
        recipe=started.recipe.name,
        recipe_digest=started.recipe_digest,
        protocol=target.protocol.name,
        protocol_digest=target.protocol.digest,
        data=_data_text(ordered),
        seeds=tuple(_seed_result(run, target) for run in ordered),
        left_out=tuple(left_out),
        numbers=answer.numbers,
        baselines=(
            differences_from(ordered, rows, target.spread)
            if isinstance(target, PublishedTarget) and not any(copies(ordered))
            else ()
        ),
    )


def choose_target(runs: Sequence[RunSummary], targets: Sequence[Target]) -> Target | None:
    """The target of the runs' recipe whose kind of data is that of a run; None without one.

    One run on the target's data is enough: with others beside it the answer is
    inconclusive, not silence.
    """
    recipe = runs[0].started.recipe.name
    for target in targets:
        if target.recipe == recipe and any(speaks_about(target, run) for run in runs):
            return target
    return None


def speaks_about(target: Target, run: RunSummary) -> bool:
    """Whether a target is about a run's data.

    A threshold is bound to one data set to the byte. A published target is
    about a kind of data; counts that differ are then damage, not another set.
    """
    if isinstance(target, ThresholdTarget):
        return not binding_differences(target.data, run.started.data)
    return target.data.kind == run.started.data.kind


def describe(target: Target) -> str:
    """A target in words, with its source."""
    where = ", ".join(
        part for part in (target.source.title, target.source.commit or target.source.table) if part
    )
    if isinstance(target, PublishedTarget):
        runs = "one run" if target.n == 1 else f"{target.n} runs"
        return f"{100 * target.top1:.2f} % top-1, {target.protocol.name}, {runs} ({where})"
    return (
        f"at least {100 * target.threshold:g} % top-1, {target.protocol.name}, "
        f"for each declared seed ({where})"
    )


def _without_target(
    runs: Sequence[RunSummary], targets: Sequence[Target], left_out: Sequence[str]
) -> Judgement:
    started = runs[0].started
    same_recipe = [target for target in targets if target.recipe == started.recipe.name]
    reasons = [
        f"{target.name} is about other data: "
        + "; ".join(binding_differences(target.data, started.data))
        for target in same_recipe
    ] or [f"no target is registered for the recipe {started.recipe.name}"]
    return Judgement(
        word="no_target",
        reasons=tuple(reasons),
        warnings=_warnings(runs, None),
        target=None,
        target_text=None,
        recipe=started.recipe.name,
        recipe_digest=started.recipe_digest,
        protocol=None,
        protocol_digest=None,
        data=_data_text(runs),
        seeds=tuple(_seed_result(run, None) for run in runs),
        left_out=tuple(left_out),
    )


def _seed_result(run: RunSummary, target: Target | None) -> SeedResult:
    evaluation = final_evaluation(run, target.protocol) if target else _last_evaluation(run)
    bound = None
    if isinstance(target, ThresholdTarget) and evaluation is not None:
        bound = proportion_lower_bound(
            evaluation.top1_correct, evaluation.images, target.confidence
        )
    return SeedResult.model_validate(
        {
            "seed": run.started.seed,
            "run": str(run.folder),
            "status": status_of(run),
            "declared": target is not None and run.started.seed in target.declared_seeds,
            "protocol": evaluation.protocol.name if evaluation else None,
            "images": evaluation.images if evaluation else None,
            "top1_correct": evaluation.top1_correct if evaluation else None,
            "top1_accuracy": evaluation.top1_accuracy if evaluation else None,
            "top5_accuracy": evaluation.top5_accuracy if evaluation else None,
            "lower_bound": bound,
        }
    )


def _last_evaluation(run: RunSummary) -> Evaluation | None:
    final = [e for e in run.evaluations if e.final] or list(run.evaluations)
    return final[-1] if final else None


def _warnings(runs: Sequence[RunSummary], target: Target | None) -> tuple[str, ...]:
    found = []
    undeclared = [
        str(run.started.seed)
        for run in runs
        if target is not None and run.started.seed not in target.declared_seeds
    ]
    if undeclared:
        found.append(f"seeds beyond the declared ones: {', '.join(undeclared)}")
    if any(run.started.git_dirty for run in runs):
        found.append("a run was made by a harness with uncommitted changes")
    if len({run.started.git_commit for run in runs}) > 1:
        found.append("the runs were made by different commits of the harness")
    if len({run.started.numerics_digest for run in runs}) > 1:
        found.append("the runs were executed under different numerics (devices, threads, versions)")
    found += [
        f"seed {run.started.seed} went on under other numerics from step {event.step}"
        for run in runs
        for event in run.interruptions
        if isinstance(event, Resumed) and event.accepted_numerics
    ]
    found += [
        f"{run.folder}: {run.torn_bytes} bytes of a torn last line were dropped"
        for run in runs
        if run.torn_bytes
    ]
    found += [
        f"seed {run.started.seed}, step {warning.step}: {warning.text}"
        for run in runs
        for warning in run.warnings
    ]
    return tuple(found)


def _data_text(runs: Sequence[RunSummary]) -> str:
    data = runs[0].started.data
    return f"{data.name}, root {data.root_digest[:12]}"
