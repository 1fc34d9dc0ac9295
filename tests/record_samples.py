"""Folders of runs that never happened, for tests of what is made from a run's record."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe
from harness.recipes.smoke import SMOKE
from harness.record.certificate import Certificate
from harness.record.journal import FILE_NAME, read_journal
from harness.record.predictions import predictions_table, write_predictions
from harness.record.schema import (
    AnyEvent,
    Ceiling,
    CheckpointWritten,
    DataDecisions,
    Evaluation,
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


@dataclass(frozen=True)
class SampleRun:
    """What a made-up run looks like.

    `spike` is (step, loss) put into the curve, `stalls` seconds by step among the times.
    """

    seed: int = 1
    steps: int = 240
    steps_per_epoch: int = 80
    classes: tuple[str, ...] = tuple("0123456789")
    images: int = 200
    top1_correct: int = 196
    recipe: Recipe = SMOKE
    data_name: str = "digits"
    data_root: str = "d" * 64
    spike: tuple[int, float] | None = None
    stalls: dict[int, float] = field(default_factory=dict)
    ends: bool = True
    evaluates: bool = True
    command: tuple[str, ...] = ("harness", "run", "smoke", "--seed", "1")
    environment: dict[str, object] = field(default_factory=lambda: {"hostname": "sample"})

    @property
    def run_id(self) -> str:
        return f"{self.recipe.digest[:8]}-seed-{self.seed}"


def started(run: SampleRun) -> RunStarted:
    data = identity(
        name=run.data_name,
        root_digest=run.data_root,
        train_images=1437,
        val_images=run.images,
        classes=run.classes,
    )
    return run_started(
        run.recipe,
        run_id=run.run_id,
        seed=run.seed,
        data=data,
        data_decisions=DataDecisions(as_is=1635, converted=2, turned=3),
        ceiling=Ceiling(gemm_flops_per_s=1e9, devices=2, training_flops_per_image=1_000_000),
        steps_per_epoch=run.steps_per_epoch,
        steps_total=run.steps,
        environment=run.environment,
        command=run.command,
    )


def windows(run: SampleRun, first: int = 0, last: int | None = None) -> Iterator[Steps]:
    """Windows of at most 100 steps with a falling loss and plausible times."""
    last = run.steps if last is None else last
    generator = np.random.default_rng(run.seed)
    for begin in range(first, last, 100):
        step = np.arange(begin, min(begin + 100, last))
        times = 0.1 + 0.01 * generator.random(len(step))
        loss = (
            0.6 + 1.7 * np.exp(-3 * step / run.steps) + 0.05 * generator.standard_normal(len(step))
        )
        if run.spike and step[0] <= run.spike[0] <= step[-1]:
            loss[run.spike[0] - step[0]] = run.spike[1]
        for slow in run.stalls.keys() & set(step.tolist()):
            times[slow - step[0]] = run.stalls[slow]
        yield window_of(
            begin,
            len(step),
            time_s=EPOCH_S + 0.105 * float(step[-1] + 1),
            step_time_s=times,
            data_wait_s=(times * 0.02),
            loss=loss,
            learning_rate=(0.05 * (1 - step / run.steps)),
            gradient_norm=(1 + generator.random(len(step))),
            correct=generator.integers(0, 33, len(step)),
            fingerprint=[f"{s:016x}" for s in step],
            compiled=(0,) if begin == 0 else (),
        )


def checkpoint(run: SampleRun, step: int) -> CheckpointWritten:
    return CheckpointWritten(
        time_s=EPOCH_S + 0.105 * step + 0.01,
        step=step,
        file=f"checkpoints/step-{step:010d}",
        digest=f"{run.seed:064x}",
        bytes=1000,
        stall_s=0.02,
        tensor_fingerprints={"conv0/kernel": f"{step:016x}"},
    )


def evaluation(
    run: SampleRun, step: int, protocol: Protocol, *, final: bool, correct: int, file: str | None
) -> Evaluation:
    return evaluated(
        step,
        protocol,
        correct,
        run.images,
        time_s=EPOCH_S + 0.105 * step + 0.02,
        epoch=step / run.steps_per_epoch,
        final=final,
        predictions_file=file,
    )


def write_run(folder: Path, run: SampleRun) -> Path:
    """Write a run's folder with journal and predictions; returns the folder."""
    write_start_files(folder, run)
    return write_journal(folder, events(folder, run))


def write_start_files(folder: Path, run: SampleRun) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(run.recipe.model_dump_json(indent=2))
    (folder / "environment.json").write_text('{"hostname": "sample"}')


def events(folder: Path, run: SampleRun) -> Iterator[AnyEvent]:
    """Every event of a run in order; writes the prediction files that they name."""
    yield started(run)
    for window in windows(run):
        yield window
        done = window.step[-1] + 1
        if run.evaluates and done // run.steps_per_epoch > window.step[0] // run.steps_per_epoch:
            share = done / run.steps
            yield evaluation(
                run, done, run.recipe.epoch_protocol, final=False,
                correct=int(run.top1_correct * share), file=None,
            )  # fmt: skip
    yield checkpoint(run, run.steps)
    if run.evaluates:
        for protocol in run.recipe.final_protocols:
            yield _final(folder, run, protocol)
    if run.ends:
        yield finished(run.steps, time_s=EPOCH_S + 0.105 * run.steps + 5)


def certificate_of(folder: Path, **changes: object) -> Certificate:
    """A certificate of this run's journal, with the changes given, as a replay would write it."""
    raw = (folder / FILE_NAME).read_bytes()
    first = read_journal(folder).started
    certificate = Certificate(
        statement="240 steps replayed: every replayed step agrees.", level="step", exact=True,
        agrees=True, run_id=first.run_id, seed=first.seed, recipe_digest=first.recipe_digest,
        data_root=first.data.root_digest, journal_digest=hashlib.sha256(raw).hexdigest(),
        steps_in_run=240, steps_replayed=240, numerics_differences=(), tolerance=None,
        segments=(), harness_version="0.1.0", time_s=0.0,
    )  # fmt: skip
    return certificate.model_copy(update=changes)


def _final(folder: Path, run: SampleRun, protocol: Protocol) -> Evaluation:
    name = f"predictions-{protocol.name}-step-{run.steps}.parquet"
    classes = len(run.classes)
    labels = np.arange(run.images) % classes
    top5 = (labels[:, None] + np.arange(5)) % classes
    wrong = np.arange(run.images) >= run.top1_correct
    top5[wrong, :2] = top5[wrong, 1::-1]
    half_wrong = np.flatnonzero(wrong)[2:]
    top5[half_wrong] = (labels[half_wrong, None] + 1 + np.arange(5)) % classes
    table = predictions_table(
        [f"val/{run.classes[label]}/{i:04d}.jpg" for i, label in enumerate(labels)],
        labels,
        top5,
        np.tile(np.float32([0.7, 0.1, 0.1, 0.05, 0.05]), (run.images, 1)),
        {
            "protocol": protocol.model_dump_json(),
            "data_root": run.data_root,
            "step": str(run.steps),
        },
    )
    digest = write_predictions(table, folder / name)
    event = evaluation(run, run.steps, protocol, final=True, correct=run.top1_correct, file=name)
    top5_correct = int((top5 == labels[:, None]).any(axis=1).sum())
    return event.model_copy(update={"predictions_digest": digest, "top5_correct": top5_correct})
