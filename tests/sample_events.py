"""The maker of a journal's events for tests: what a test does not name has a plausible value."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe
from harness.record.journal import FILE_NAME, JournalWriter
from harness.record.schema import (
    STEP_COLUMNS,
    AnyEvent,
    DataIdentity,
    EffectiveNumerics,
    Evaluation,
    RunFinished,
    RunStarted,
    Steps,
)

EPOCH_S = 1_760_000_000.0
NUMERICS = EffectiveNumerics(
    op_determinism=True,
    xla=False,
    onednn=True,
    tf32=False,
    compute="float32",
    intra_op_threads=2,
    inter_op_threads=2,
    devices=("CPU: sample processor",),
    cpu="sample processor avx2",
    versions={"python": "3.11.7", "tensorflow": "2.21.0", "harness": "0.1.0"},
)
DIGITS_ROOT = "84d565bbcf7b48709b4e7debc4af10993b832fffbbfe08a8d82668e546bc3120"


def identity(**changes: object) -> DataIdentity:
    """The smoke's digits, or what the changes make of them."""
    values: dict[str, object] = {
        "name": "digits", "kind": "digits", "root_digest": DIGITS_ROOT, "train_images": 1442,
        "val_images": 355, "classes": tuple("0123456789"), "class_order": "folder",
    }  # fmt: skip
    return DataIdentity.model_validate({**values, **changes})


def run_started(recipe: Recipe, **changes: object) -> RunStarted:
    """The first event of a run on the digits."""
    values: dict[str, object] = {
        "time_s": EPOCH_S, "run_id": "sample", "seed": 1, "recipe": recipe, "data": identity(),
        "recipe_digest": recipe.digest, "deviations": (), "numerics": NUMERICS,
        "steps_per_epoch": 80, "steps_total": 240, "harness_version": "0.1.0",
        "git_commit": "c" * 40, "git_dirty": False, "environment": {"hostname": "sample"},
        "command": ("harness", "run", recipe.name, "--seed", "1"),
    }  # fmt: skip
    values |= changes
    digest = values["numerics"].digest
    return RunStarted.model_validate({**values, "numerics_digest": digest})


def window_of(first: int, count: int, **changes: object) -> Steps:
    """A window of steps; each column is a sequence, or one value that all steps have."""
    values: dict[str, object] = {
        "time_s": 0.0, "step": tuple(range(first, first + count)), "step_time_s": 0.1,
        "data_wait_s": 0.01, "loss": 1.0, "learning_rate": 0.05, "gradient_norm": 1.0,
        "correct": 1, "images": 32, "fingerprint": "0" * 16,
    }  # fmt: skip
    values |= changes
    for column in {*STEP_COLUMNS, "fingerprint", "batch_fingerprint"} & values.keys():
        values[column] = tuple(np.broadcast_to(np.asarray(values[column]), count).tolist())
    return Steps.model_validate(values)


def evaluated(
    step: int, protocol: Protocol, correct: int, images: int, **changes: object
) -> Evaluation:
    """A final evaluation of the whole split; without the epoch, one of a single step."""
    values: dict[str, object] = {
        "time_s": EPOCH_S + step, "step": step, "epoch": float(step), "final": True,
        "protocol": protocol, "protocol_digest": protocol.digest, "images": images,
        "images_in_split": images, "top1_correct": correct,
        "top5_correct": min(images, correct + 2), "duration_s": 1.5,
        "crops_per_s": images / 1.5, "predictions_file": None, "predictions_digest": None,
    }  # fmt: skip
    return Evaluation.model_validate({**values, **changes})


def finished(step: int, **changes: object) -> RunFinished:
    """The end of a completed run."""
    values: dict[str, object] = {
        "time_s": EPOCH_S + step, "step": step, "status": "completed",
        "weights_fingerprint": "a" * 16,
    }  # fmt: skip
    return RunFinished.model_validate({**values, **changes})


def write_journal(folder: Path, events: Iterable[AnyEvent]) -> Path:
    """Write a run's journal; returns the run's folder."""
    with JournalWriter(folder / FILE_NAME) as journal:
        for event in events:
            journal.append(event)
    return folder
