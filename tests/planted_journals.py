"""Journals of runs that never happened, planted so that each verdict has its case."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from harness.recipes.catalogue import find_recipe
from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe
from harness.record.schema import (
    AnyEvent,
    DataIdentity,
    EffectiveNumerics,
    Evaluation,
    Interrupted,
    RegisteredTarget,
    RunStarted,
    Steps,
)
from tests.sample_events import (
    EPOCH_S,
    evaluated,
    finished,
    identity,
    run_started,
    window_of,
    write_journal,
)
from tests.sample_events import NUMERICS as SAMPLE_NUMERICS

FASHION_ROOT = "dcb186f5f8a110119e9ff0837970e9d66e3a65fc7224249a35e3cc2fb9377360"
IMAGENET = identity(
    name="ILSVRC2012",
    kind="imagenet",
    root_digest="1" * 64,
    train_images=1_281_167,
    val_images=50_000,
    classes=("tench", "goldfish"),
    class_order="wordnet",
)
DIGITS = identity()
FASHION = identity(
    name="Fashion-MNIST",
    kind="fashion_mnist",
    root_digest=FASHION_ROOT,
    train_images=60_000,
    val_images=10_000,
)
NUMERICS = SAMPLE_NUMERICS.model_copy(
    update={"devices": ("GPU: NVIDIA TITAN Xp",), "cpu": "planted processor"}
)


@dataclass(frozen=True)
class Planted:
    """A run to plant.

    `correct` counts right images of the last step, by protocol name; `by_epoch` those
    under the epochs' protocol after each epoch before the last, None where none was made.
    """

    seed: int
    recipe: Recipe = field(default_factory=lambda: find_recipe("apm5-resnet50"))
    data: DataIdentity = IMAGENET
    correct: dict[str, int] = field(default_factory=dict)
    protocols: tuple[Protocol, ...] = ()
    by_epoch: tuple[int | None, ...] = ()
    steps_per_epoch: int = 100
    steps: int = 300
    steps_total: int = 300
    status: Literal["completed", "diverged", "stopped"] | None = "completed"
    deviations: tuple[str, ...] = ()
    init_weights: str | None = None
    evaluated: int | None = None
    numerics: EffectiveNumerics = NUMERICS
    step_time_s: float = 0.5
    loss_shift: float = 0.0
    git_dirty: bool | None = False
    marks_of: int | None = None
    targets: tuple[RegisteredTarget, ...] | None = None
    tracker: str | None = None


def study(folder: Path, runs: list[Planted]) -> Path:
    """Write `seed-<n>/journal.jsonl` for each run; returns the study's folder."""
    for run in runs:
        plant(folder / f"seed-{run.seed}", run)
    return folder


def plant(folder: Path, run: Planted) -> Path:
    """Write one run's journal; returns the run's folder."""
    return write_journal(folder, events(run))


def events(run: Planted) -> list[AnyEvent]:
    """The journal of a planted run."""
    out: list[AnyEvent] = [started(run)]
    for epoch, first in enumerate(range(0, run.steps, min(100, run.steps_per_epoch))):
        out.append(window(run, first))
        if epoch < len(run.by_epoch) and run.by_epoch[epoch] is not None:
            out.append(epoch_evaluation(run, epoch))
    if run.status == "completed":
        out += [
            evaluation(run, protocol)
            for protocol in run.protocols or run.recipe.final_protocols
            if protocol.name in run.correct
        ]
    if run.status is not None:
        weights = mark(run, run.steps)
        out.append(
            finished(run.steps, time_s=EPOCH_S + 10, status=run.status, weights_fingerprint=weights)
        )
    else:
        out.append(Interrupted(time_s=EPOCH_S + 9, step=run.steps, reason="signal"))
    return out


def started(run: Planted) -> RunStarted:
    return run_started(
        run.recipe,
        run_id=f"planted-{run.seed}",
        seed=run.seed,
        deviations=run.deviations,
        numerics=run.numerics,
        data=run.data,
        steps_per_epoch=run.steps_per_epoch,
        steps_total=run.steps_total,
        git_dirty=run.git_dirty,
        environment={"hostname": "planted"},
        command=("harness", "run", run.recipe.name),
        init_weights=run.init_weights,
        targets=run.targets,
        tracker=run.tracker,
    )


def mark(run: Planted, step: int) -> str:
    owner = run.seed if run.marks_of is None else run.marks_of
    return f"{(owner + 1) * 1_000_000_007 + step * 2_654_435_761:016x}"


def window(run: Planted, first: int) -> Steps:
    """Up to 100 steps with a falling loss whose noise is the seed's own."""
    step = np.arange(first, min(first + min(100, run.steps_per_epoch), run.steps))
    noise = np.random.default_rng((run.seed, first)).standard_normal(len(step))
    classes = len(run.data.classes)
    loss = np.log(classes) * np.exp(-step / 120) + 0.5 + 0.02 * noise + run.loss_shift
    return window_of(
        first,
        len(step),
        time_s=EPOCH_S + float(step[-1]),
        step_time_s=run.step_time_s,
        loss=loss,
        gradient_norm=(2 + 0.1 * noise),
        correct=run.recipe.batch // 2,
        images=run.recipe.batch,
        fingerprint=[mark(run, int(s)) for s in step],
        compiled=(0,) if first == 0 else (),
    )


def evaluation(run: Planted, protocol: Protocol) -> Evaluation:
    images = run.data.val_images if run.evaluated is None else run.evaluated
    correct = run.correct[protocol.name]
    return evaluated(
        run.steps,
        protocol,
        correct,
        images,
        time_s=EPOCH_S + 8,
        epoch=run.steps / run.steps_per_epoch,
        images_in_split=run.data.val_images,
        top5_correct=min(images, correct + images // 20),
        duration_s=60.0,
        crops_per_s=1000.0,
    )


def epoch_evaluation(run: Planted, epoch: int) -> Evaluation:
    """The evaluation after an epoch, counted from 0, that is not the last."""
    protocol, correct = run.recipe.epoch_protocol, run.by_epoch[epoch]
    assert correct is not None
    last = evaluation(replace(run, correct={protocol.name: correct}), protocol)
    step = (epoch + 1) * run.steps_per_epoch
    done = {"step": step, "epoch": float(epoch + 1), "final": False}
    return last.model_copy(update={"time_s": EPOCH_S + step, **done})


def imagenet_runs(*top1_percent: float) -> list[Planted]:
    """Completed runs of the target's recipe, seeds from 1, with these ten-crop accuracies."""
    return [
        Planted(seed, correct={"ten_crop": round(500 * value), "center_crop": round(490 * value)})
        for seed, value in enumerate(top1_percent, start=1)
    ]


FASHION_COUNTS = ((9310, 9515, 9480, 9500), (9290, 9490, 9523, 9511), (9300, 9488, 9529, 9504))
"""Right images of 10,000 after each of four epochs: the best have 95.22 % on average."""


def smoke_runs(*correct: int) -> list[Planted]:
    """Completed runs of the smoke on the digits, seeds from 1, with these right images of 355."""
    smoke = find_recipe("smoke")
    return [
        Planted(seed, recipe=smoke, data=DIGITS, correct={"ten_crop": right, "center_crop": right})
        for seed, right in enumerate(correct, start=1)
    ]


def fashion_runs(*counts: tuple[int | None, ...]) -> list[Planted]:
    """Completed runs of the contested recipe, seeds from 1: right images after each epoch."""
    recipe = find_recipe("zhong2020-fashion-resnet20")
    return [
        Planted(
            seed,
            recipe=recipe,
            data=FASHION,
            correct={recipe.epoch_protocol.name: last or 0},
            by_epoch=tuple(epochs),
            steps_per_epoch=10,
            steps=10 * (len(epochs) + 1),
            steps_total=10 * (len(epochs) + 1),
        )
        for seed, (*epochs, last) in enumerate(counts, start=1)
    ]


EXAMPLES = Path(__file__).parent / "data" / "journals"
WORD_OF_EXAMPLE = {
    "reproduced": "reproduced",
    "below-the-margin": "not_reproduced",
    "a-declared-seed-diverged": "not_reproduced",
    "above-the-margin": "exceeds",
    "crosses-the-lower-limit": "inconclusive",
    "two-seeds": "inconclusive",
    "copies-of-one-run": "inconclusive",
    "another-protocol": "inconclusive",
    "changed-by-set": "inconclusive",
    "smoke-reached": "reproduced",
    "smoke-missed": "not_reproduced",
    "smoke-on-other-data": "no_target",
    "as-the-independent-reproduction": "not_reproduced",
    "an-epoch-was-not-evaluated": "inconclusive",
}
"""The worst answer where several targets speak about a study."""


def examples() -> dict[str, list[Planted]]:
    """A study of 20-step runs for each outcome."""
    good = imagenet_runs(77.60, 77.70, 77.80)
    fruit = DIGITS.model_copy(update={"root_digest": "9" * 64, "kind": "other", "name": "fruit"})
    studies = {
        "reproduced": good,
        "below-the-margin": imagenet_runs(76.70, 76.80, 76.90),
        "a-declared-seed-diverged": [good[0], replace(good[1], status="diverged"), good[2]],
        "above-the-margin": imagenet_runs(78.70, 78.80, 78.90),
        "crosses-the-lower-limit": imagenet_runs(77.10, 77.14, 77.18),
        "two-seeds": good[:2],
        "copies-of-one-run": [*good[:2], replace(good[2], marks_of=1)],
        "another-protocol": [replace(run, correct={"center_crop": 38_000}) for run in good],
        "changed-by-set": [replace(run, deviations=("batch=64",)) for run in good],
        "smoke-reached": smoke_runs(350, 352),
        "smoke-missed": smoke_runs(350, 340),
        "smoke-on-other-data": [replace(run, data=fruit) for run in smoke_runs(300, 310)],
    }
    return {
        **{
            name: [replace(run, steps=20, steps_total=20) for run in runs]
            for name, runs in studies.items()
        },
        "as-the-independent-reproduction": fashion_runs(*FASHION_COUNTS),
        "an-epoch-was-not-evaluated": fashion_runs(*FASHION_COUNTS[:2], (9300, None, 9529, 9500)),
    }


if __name__ == "__main__":
    shutil.rmtree(EXAMPLES, ignore_errors=True)
    for name, runs in examples().items():
        study(EXAMPLES / name, runs)
