"""What makes a judgement impossible: runs that cannot be pooled or held against the target.

`refuse_mixture` raises, since the question itself is wrong; everything else
returns reasons, which make the answer inconclusive.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from harness.baselines.schema import DataBinding, PublishedTarget, Target
from harness.errors import UsageError
from harness.recipes.imagenet import TRAIN_IMAGES, VAL_IMAGES
from harness.recipes.protocol import Protocol
from harness.record.schema import DataIdentity, Interrupted, Resumed, RunStarted
from harness.record.summary import RunSummary
from harness.verdict.selection import SELECTION_WORDS, counted, gaps

IMAGES = {
    "imagenet": (TRAIN_IMAGES, VAL_IMAGES),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
}
"""Training and validation images of the data that published accuracies are about, by kind."""


_Check = Callable[[Sequence[RunSummary], Target], Iterator[str]]


def refuse_mixture(runs: Sequence[RunSummary]) -> None:
    """Raise `UsageError` when there are no runs, or runs of different recipes."""
    if not runs:
        raise UsageError("no run to judge", expected="at least one run")
    digests = {run.started.recipe_digest: run for run in runs}
    if len(digests) > 1:
        found = "; ".join(
            f"{run.started.recipe.name}-{digest[:8]} in {run.folder}"
            for digest, run in digests.items()
        )
        raise UsageError(
            f"the runs have {len(digests)} different recipes",
            where=found,
            expected="runs of one recipe and equal settings",
            remedy="judge each study by itself: harness verdict runs/<recipe>-<digest>",
        )


def binding_differences(binding: DataBinding, data: DataIdentity) -> tuple[str, ...]:
    """What of a run's data is not what the target speaks about, in words."""
    names = ("kind", "root_digest", "train_images", "val_images")
    return tuple(
        f"{name} is {getattr(data, name)}, the target's {getattr(binding, name)}"
        for name in names
        if getattr(binding, name) is not None and getattr(binding, name) != getattr(data, name)
    )


def is_whole(data: DataIdentity, kind: str = "imagenet") -> bool:
    """Whether these are all images of a kind of data, which published accuracies are about."""
    return data.kind == kind and (data.train_images, data.val_images) == IMAGES.get(kind)


def divided_normalisation(
    started: RunStarted, interruptions: Sequence[Interrupted | Resumed]
) -> tuple[str, ...]:
    """Where each device normalised its own share of a batch, in words.

    That is other training than with one device, and the recipe's digest does not tell it.
    """
    recipe = started.recipe
    if recipe.model.batch_norm != "per_replica":
        return ()
    resumed = (event.numerics for event in interruptions if isinstance(event, Resumed))
    counts = dict.fromkeys(len(one.devices) for one in (started.numerics, *resumed))
    return tuple(
        f"batch normalisation over {_count(recipe.batch // n, 'image')} on each of {n} devices, "
        f"the recipe's batch is {recipe.batch}"
        for n in counts
        if n > 1
    )


def status_of(run: RunSummary) -> str:
    """`completed`, `diverged`, `stopped` (by a gate) or `unfinished`."""
    if run.finished:
        return run.finished.status
    last = run.interruptions[-1] if run.interruptions else None
    gated = isinstance(last, Interrupted) and last.reason == "gate"
    return "stopped" if gated else "unfinished"


def obstacles(runs: Sequence[RunSummary], target: Target) -> tuple[str, ...]:
    """Everything that makes the judgement inconclusive before any test, in words.

    Copies and mixed data are looked for among all runs, everything else among the
    declared seeds, which alone decide.
    """
    declared = declared_of(runs, target)
    checks: tuple[tuple[_Check, Sequence[RunSummary]], ...] = (
        (_too_few, declared),
        (_doubled, runs),
        (_missing, declared),
        (_other_selection, declared),
        (_other_protocol, declared),
        (_missing_epochs, declared),
        (_data, runs),
        (_settings, declared),
        (_ended_early, declared),
    )
    return tuple(reason for check, some in checks for reason in check(some, target))


def declared_of(runs: Sequence[RunSummary], target: Target) -> list[RunSummary]:
    """The runs whose seed the target declares."""
    return [run for run in runs if run.started.seed in target.declared_seeds]


def _too_few(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    seeds = {run.started.seed for run in runs}
    if isinstance(target, PublishedTarget) and len(seeds) < target.min_seeds:
        yield f"{_count(len(seeds), 'seed')}, at least {target.min_seeds} are needed"


def _doubled(runs: Sequence[RunSummary], _target: Target) -> Iterator[str]:
    return copies(runs)


def copies(runs: Sequence[RunSummary]) -> Iterator[str]:
    """Seeds that occur more than once and runs that are copies of others, in words."""
    seeds = Counter(run.started.seed for run in runs)
    for seed, times in seeds.items():
        if times > 1:
            yield f"seed {seed} occurs {times} times; no seed counts twice"
    for one, other in _suspected_copies(runs):
        shared = shared_marks(one, other)
        if shared:
            yield (
                f"{one.folder} and {other.folder} are copies of one run: "
                f"{_count(shared, 'step')} with equal fingerprints"
            )
    owners: dict[str, RunSummary] = {}
    for run in runs:
        for event in run.evaluations:
            digest = event.predictions_digest
            if digest is not None and (owner := owners.setdefault(digest, run)) is not run:
                yield f"{owner.folder} and {run.folder} have the same predictions, bit for bit"


def _suspected_copies(runs: Sequence[RunSummary]) -> list[tuple[RunSummary, RunSummary]]:
    """Pairs that share any fingerprint, found by one sort over all; none in a sound study."""
    owner = np.repeat(np.arange(len(runs)), [len(run.fingerprints) for run in runs])
    ends = [run.finished.weights_fingerprint if run.finished else None for run in runs]
    values = np.concatenate([run.fingerprints for run in runs])
    order = np.argsort(values, kind="stable")
    equal = np.flatnonzero(values[order][1:] == values[order][:-1])
    suspects = {frozenset((int(owner[order[i]]), int(owner[order[i + 1]]))) for i in equal}
    doubled = {end for end, times in Counter(ends).items() if end is not None and times > 1}
    involved = {i for pair in suspects if len(pair) == 2 for i in pair}
    involved |= {i for i, end in enumerate(ends) if end in doubled}
    return list(combinations([runs[i] for i in sorted(involved)], 2))


def shared_marks(one: RunSummary, other: RunSummary) -> int:
    """Steps of which two runs recorded the same fingerprint, 1 for equal final weights alone.

    A fingerprint covers batch, gradients and weights, so independent runs never
    share one.
    """
    _, mine, theirs = np.intersect1d(
        one.mark_steps, other.mark_steps, assume_unique=False, return_indices=True
    )
    shared = int(np.count_nonzero(one.fingerprints[mine] == other.fingerprints[theirs]))
    if shared == 0 and one.completed and other.completed:
        ends = [run.finished.weights_fingerprint for run in (one, other) if run.finished]
        return int(ends[0] is not None and ends[0] == ends[1])
    return shared


def _missing(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    present = {run.started.seed for run in runs}
    missing = [seed for seed in target.declared_seeds if seed not in present]
    if missing:
        yield f"declared {_seeds(missing)} missing"


def _other_selection(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    ours = runs[0].started.recipe.selection if runs else target.selection
    if ours != target.selection:
        yield (
            f"the recipe's accuracy is that of the {SELECTION_WORDS[ours]}, the target's that of "
            f"the {SELECTION_WORDS[target.selection]}: they are not compared"
        )


def _missing_epochs(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    if target.selection != "best_epoch" or not runs:
        return
    epochs = runs[0].started.recipe.epoch_protocol
    if epochs.digest != target.protocol.digest:
        yield (
            "the recipe evaluates its epochs under another protocol than the target's, differs in: "
            f"{', '.join(target.protocol.differences(epochs))}"
        )
        return
    for run in runs:
        if run.completed:
            for gap in gaps(run, target.protocol):
                yield f"seed {run.started.seed}: {gap}"


def _other_protocol(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    for run in runs:
        if not run.completed:
            continue
        found = counted(run, target.protocol, "last")
        if found is None:
            yield f"seed {run.started.seed}: {_nearest(run, target.protocol)}"
        elif not found.last.complete:
            yield (
                f"seed {run.started.seed}: {found.last.images:,} of "
                f"{found.last.images_in_split:,} images evaluated"
            )


def _nearest(run: RunSummary, protocol: Protocol) -> str:
    last = run.started.steps_total
    final = [e.protocol for e in run.evaluations if e.final and e.step == last]
    if not final:
        return f"the last step, {last:,}, was not evaluated"
    nearest = min(final, key=lambda p: len(protocol.differences(p)))
    keys = ", ".join(
        f"{key} ({_shown(getattr(nearest, key))}, the target's {_shown(getattr(protocol, key))})"
        for key in protocol.differences(nearest)
    )
    return f"another protocol, differs in: {keys}"


def _data(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    roots = {run.started.data.root_digest for run in runs}
    if len(roots) > 1:
        yield f"the runs used {len(roots)} different data sets: " + ", ".join(
            sorted(root[:12] for root in roots)
        )
    for difference in binding_differences(target.data, runs[0].started.data):
        yield f"the data is not the target's: {difference}"


def _settings(runs: Sequence[RunSummary], _target: Target) -> Iterator[str]:
    for run in runs:
        if run.started.deviations:
            settings = ", ".join(run.started.deviations)
            yield f"seed {run.started.seed}: the recipe was changed by --set {settings}"
        if run.started.init_weights is not None:
            yield f"seed {run.started.seed}: training began from imported weights"


def registration(runs: Sequence[RunSummary], target: Target) -> Iterator[str]:
    """Why a target is not the one that runs began under, in words.

    It asks for another recipe, for something else than when a run began, or it was not
    among the targets that a run was begun with. Journals that registered no targets at
    all are not held against it: see `unregistered`.
    """
    now = target.demands()
    for run in runs:
        asked = target.recipe_digest
        if asked not in (None, run.started.recipe_digest):
            yield (
                f"seed {run.started.seed}: the recipe has the digest "
                f"{run.started.recipe_digest[:8]}, the target asks for {str(asked)[:8]}"
            )
        known = run.started.targets
        if known is not None and target.name not in {before.name for before in known}:
            yield (
                f"seed {run.started.seed}: target not registered before the run: "
                f"{target.name} is not among those that it began with"
            )
        for before in known or ():
            if before.name == target.name and before.digest != target.digest:
                names = sorted(now.keys() | before.demands.keys())
                fields = [n for n in names if now.get(n) != before.demands.get(n)]
                yield (
                    f"seed {run.started.seed}: the target was changed after the run had begun, "
                    f"in {', '.join(fields)}"
                )


def unregistered(runs: Sequence[RunSummary]) -> tuple[str, ...]:
    """What a reader should know of runs whose harness did not register targets yet."""
    seeds = [run.started.seed for run in runs if run.started.targets is None]
    if not seeds:
        return ()
    which = f"target not registered before the run (seed {', '.join(map(str, seeds))})"
    return (f"{which}: the journal holds no targets, so a later change of one cannot be told",)


def _ended_early(runs: Sequence[RunSummary], _target: Target) -> Iterator[str]:
    for run in runs:
        if status_of(run) in {"stopped", "unfinished"}:
            yield (
                f"seed {run.started.seed}: {status_of(run)} at step {run.last_step:,} "
                f"of {run.started.steps_total:,}"
            )


def _shown(value: object) -> str:
    return getattr(value, "model_dump_json", lambda: str(value))()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _seeds(seeds: Sequence[int]) -> str:
    shown = ", ".join(map(str, seeds))
    return f"seed {shown} is" if len(seeds) == 1 else f"seeds {shown} are"
