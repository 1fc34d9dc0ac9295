"""From the runs of one study and the targets to judgements, one for each target that applies."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from types import MappingProxyType

from harness.baselines.schema import AccuracyRow, PublishedTarget, Target, ThresholdTarget
from harness.record.schema import Resumed
from harness.record.summary import RunSummary
from harness.statistics.intervals import proportion_lower_bound
from harness.statistics.rounding import exact_percent
from harness.verdict.checks import (
    binding_differences,
    copies,
    declared_of,
    divided_normalisation,
    refuse_mixture,
    registration,
    status_of,
    unregistered,
)
from harness.verdict.judgement import Answer, Choosing, Judgement, Judgements, SeedResult
from harness.verdict.others import differences_from
from harness.verdict.published import judge_published
from harness.verdict.selection import SELECTION_WORDS, Counted, counted
from harness.verdict.threshold import judge_threshold


def judge(
    runs: Sequence[RunSummary],
    targets: Sequence[Target],
    *,
    rows: Sequence[AccuracyRow] = (),
    left_out: Sequence[str] = (),
    again: Mapping[str, int] = MappingProxyType({}),
    notes: Sequence[str] = (),
) -> Judgements:
    """Judge the runs of one study against every target that speaks about them.

    Args:
        runs: Every run that counts, of one recipe.
        targets: Candidates; those of the runs' recipe and data are used.
        rows: Published accuracies from which differences are shown beside the first
            target, unless a seed is there twice: it would count twice.
        left_out: Runs of the study that were not named, to be listed.
        again: Those of them that have a seed of `runs` once more, with that seed.
        notes: What a reader should know beside the answers.

    Raises:
        UsageError: no runs, or runs of different recipes.
    """
    refuse_mixture(runs)
    ordered = sorted(runs, key=lambda run: run.started.seed)
    found = choose_targets(ordered, targets)
    if not found:
        return Judgements((_without_target(ordered, targets, left_out),), tuple(notes))
    first, *others = found
    return Judgements(
        (
            _judged(ordered, first, rows, left_out, again),
            *(_judged(ordered, target, (), left_out, again) for target in others),
        ),
        (*notes, *unregistered(ordered)),
    )


def _judged(
    runs: Sequence[RunSummary],
    target: Target,
    rows: Sequence[AccuracyRow],
    left_out: Sequence[str],
    again: Mapping[str, int],
) -> Judgement:
    registered, target = target, _look(runs, target)
    answer = _answer(runs, target, again, registered)
    started = runs[0].started
    return Judgement(
        word=answer.word,
        reasons=answer.reasons,
        warnings=(*answer.warnings, *_warnings(runs, target)),
        target=target.name,
        target_text=describe(target),
        recipe=started.recipe.name,
        recipe_digest=started.recipe_digest,
        protocol=target.protocol.name,
        protocol_digest=target.protocol.digest,
        data=_data_text(runs),
        seeds=tuple(_seed_result(run, target) for run in runs),
        left_out=tuple(left_out),
        numbers=answer.numbers,
        baselines=(
            differences_from(declared_of(runs, target), rows, target.run_spread)
            if isinstance(target, PublishedTarget) and not any(copies(runs))
            else ()
        ),
        selection=started.recipe.selection,
        choosing=_choosing(runs, target),
    )


def _rule(runs: Sequence[RunSummary], target: Target) -> Answer:
    if isinstance(target, PublishedTarget):
        return judge_published(runs, target)
    return judge_threshold(runs, target)


def _look(runs: Sequence[RunSummary], target: Target) -> Target:
    """The look of a registered extension that decides: the first conclusive one.

    Seeds of a later look then enter no number. An inconclusive look is left only where
    every seed of the next one is there.
    """
    if not isinstance(target, PublishedTarget):
        return target
    present = {run.started.seed for run in runs}
    decides, *later = target.looks()
    for look in later:
        if _rule(runs, decides).word != "inconclusive" or not present.issuperset(
            look.declared_seeds
        ):
            break
        decides = look
    return decides


def _of_look(target: Target, registered: Target, answer: Answer) -> Answer:
    """Which look of a registered extension an answer is of, and what the next one takes."""
    if not isinstance(registered, PublishedTarget) or registered.extension is None:
        return answer
    extension, seeds = registered.extension, len(target.declared_seeds)
    words = (
        f"look at {seeds} of at most {extension.looks[-1]} registered seeds, each look at "
        f"alpha = {extension.alpha:g}"
    )
    if answer.word == "inconclusive" and seeds < extension.looks[-1]:
        following = next(look for look in registered.looks() if len(look.declared_seeds) > seeds)
        added = ", ".join(map(str, following.declared_seeds[seeds:]))
        words += f"; the next look takes seeds {added} as well"
    return answer.model_copy(update={"reasons": (*answer.reasons, words)})


def _answer(
    runs: Sequence[RunSummary], target: Target, again: Mapping[str, int], registered: Target
) -> Answer:
    """The rule's answer, or inconclusive where the target or the seeds are not those declared.

    The numbers are shown all the same: they answer another question than the registered one.
    """
    answer = _of_look(target, registered, _rule(runs, target))
    chosen = (
        f"seed {seed} was run more than once: {folder} was left out by hand"
        for folder, seed in again.items()
        if seed in target.declared_seeds
    )
    held = (*registration(declared_of(runs, target), registered), *chosen)
    if not held:
        return answer
    others = answer.reasons if answer.word == "inconclusive" else ()
    return answer.model_copy(update={"word": "inconclusive", "reasons": (*held, *others)})


def choose_targets(runs: Sequence[RunSummary], targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets of the runs' recipe whose kind of data is that of a run.

    One run on a target's data is enough: with others beside it the answer is
    inconclusive, not silence. Their order is that of `first_own`.
    """
    recipe = runs[0].started.recipe.name
    found = [
        target
        for target in targets
        if target.recipe == recipe and any(speaks_about(target, run) for run in runs)
    ]
    return first_own(found, recipe)


def first_own(targets: Sequence[Target], recipe: str) -> tuple[Target, ...]:
    """A target named as its recipe first, the others in the order of their files."""
    return tuple(sorted(targets, key=lambda target: target.name != recipe))


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
    best = f", {SELECTION_WORDS[target.selection]}" if target.selection != "last" else ""
    protocol = f"{target.protocol.name}{best}"
    if isinstance(target, PublishedTarget):
        runs = "one run" if target.n == 1 else f"{target.n} runs"
        return f"{exact_percent(target.top1)} top-1, {protocol}, {runs} ({where})"
    return (
        f"at least {100 * target.threshold:g} % top-1, {protocol}, for each declared seed ({where})"
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
        selection=started.recipe.selection,
        choosing=_choosing(runs, None),
    )


def _seed_result(run: RunSummary, target: Target | None) -> SeedResult:
    chosen = _counted(run, target)
    evaluation = chosen.evaluation if chosen else None
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
            **(_choice(chosen) if chosen and run.started.recipe.selection != "last" else {}),
        }
    )


def _counted(run: RunSummary, target: Target | None) -> Counted | None:
    recipe = run.started.recipe
    if target is not None:
        return counted(run, target.protocol, recipe.selection)
    if recipe.selection != "last":
        return counted(run, recipe.epoch_protocol, recipe.selection)
    final = [e for e in run.evaluations if e.final] or list(run.evaluations)
    return Counted(final[-1], final[-1], 1) if final else None


def _choice(chosen: Counted) -> dict[str, float]:
    return {
        "epoch": chosen.evaluation.epoch,
        "chosen_from": chosen.chosen_from,
        "last_top1_accuracy": chosen.last.top1_accuracy,
    }


def _choosing(runs: Sequence[RunSummary], target: Target | None) -> Choosing | None:
    """What choosing did over the completed runs that count; None where nothing was chosen."""
    selection = runs[0].started.recipe.selection
    runs = declared_of(runs, target) if target is not None else runs
    found = [one for run in runs if run.completed and (one := _counted(run, target))]
    if selection == "last" or not found:
        return None
    mean = fmean(one.evaluation.top1_accuracy for one in found)
    last_mean = fmean(one.last.top1_accuracy for one in found)
    return Choosing(
        runs=len(found),
        evaluations=min(one.chosen_from for one in found),
        mean=mean,
        last_mean=last_mean,
        raised=mean - last_mean,
    )


def _warnings(runs: Sequence[RunSummary], target: Target | None) -> tuple[str, ...]:
    found = []
    undeclared = [
        str(run.started.seed)
        for run in runs
        if target is not None and run.started.seed not in target.declared_seeds
    ]
    if undeclared:
        found.append(f"seeds beyond the declared ones: {', '.join(undeclared)}")
    found += [
        f"undeclared seed {run.started.seed} diverged: loss not finite"
        for run in runs
        if str(run.started.seed) in undeclared and status_of(run) == "diverged"
    ]
    if any(run.started.git_dirty for run in runs):
        found.append("a run was made by a harness with uncommitted changes")
    if len({run.started.git_commit for run in runs}) > 1:
        found.append("the runs were made by different commits of the harness")
    if len({run.started.numerics_digest for run in runs}) > 1:
        found.append("the runs were executed under different numerics (devices, threads, versions)")
    found += [
        f"seed {run.started.seed}: {words}"
        for run in runs
        for words in divided_normalisation(run.started, run.interruptions)
    ]
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
