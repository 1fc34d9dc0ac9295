"""What MLflow shows of each event, as plain values: metrics, params and tags.

Pure functions of journal events, so that the same journal gives the same rows
whenever it is sent: MLflow drops a row that it has already, and a row's
identity there includes its value and its timestamp.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from harness.frozen import flat
from harness.record.schema import Evaluation, Interrupted, RunFinished, RunStarted, Steps
from harness.record.step_times import summarise

PARAM_CHARACTERS = 6000
TAG_CHARACTERS = 5000
DATASET_DIGEST_CHARACTERS = 36
"""Limits of MLflow 3.17 (its tag limit is 8000; some older servers hold 5000)."""

WINDOW_KEYS = (
    "step_time_s/median",
    "step_time_s/p99",
    "images_per_s",
    "data_wait_share",
    "loss",
    "learning_rate",
    "train_accuracy",
)
STEP_KEYS = (
    "every_step/step_time_s",
    "every_step/data_wait_s",
    "every_step/images_per_s",
    "every_step/data_wait_share",
    "every_step/loss",
    "every_step/learning_rate",
    "every_step/gradient_norm",
    "every_step/train_accuracy",
)


class Row(NamedTuple):
    """One metric value: `timestamp_ms` since 1970, `step` counted as MLflow's x axis."""

    key: str
    value: float
    timestamp_ms: int
    step: int


def milliseconds(time_s: float) -> int:
    """Seconds since 1970 as MLflow keeps them."""
    return round(time_s * 1000)


def window_rows(event: Steps) -> list[Row]:
    """One row per key for a window of steps, at the number of steps done after it.

    Steps whose time holds compilation are left out of the times and rates; a
    window of only such steps has none. `non_finite_steps` appears only where a
    loss is not finite, because MLflow cannot show such values.
    """
    values = {
        "loss": float(np.mean(event.loss)),
        "learning_rate": event.learning_rate[-1],
        "train_accuracy": sum(event.correct) / sum(event.images),
        **_times(event),
    }
    bad = sum(not math.isfinite(loss) for loss in event.loss)
    if bad:
        values["non_finite_steps"] = float(bad)
    stamp, step = milliseconds(event.time_s), event.step[-1] + 1
    return [Row(key, value, stamp, step) for key, value in values.items()]


def _times(event: Steps) -> dict[str, float]:
    compiled = set(event.compiled)
    timed = [i for i, step in enumerate(event.step) if step not in compiled]
    if not timed:
        return {}
    if not sum(event.step_time_s[i] for i in timed) > 0:
        return {}
    summary = summarise(
        [event.step_time_s[i] for i in timed],
        images=[event.images[i] for i in timed],
        data_wait_s=[event.data_wait_s[i] for i in timed],
    )
    return {
        "step_time_s/median": summary.median_s,
        "step_time_s/p99": summary.p99_s,
        "images_per_s": summary.images_per_s,
        "data_wait_share": summary.data_wait_share or 0.0,
    }


def step_rows(event: Steps) -> Iterator[Row]:
    """Every step of a window with the keys of `STEP_KEYS`.

    A step's timestamp is the event's minus the time of the steps after it, so
    that it depends on the journal only.
    """
    columns = zip(
        event.step_time_s, event.data_wait_s, event.images, event.loss, event.learning_rate,
        event.gradient_norm, event.correct, strict=True,
    )  # fmt: skip
    remaining_s = float(np.sum(event.step_time_s))
    for step, (time_s, wait_s, images, loss, rate, norm, correct) in zip(
        event.step, columns, strict=True
    ):
        remaining_s -= time_s
        values = (
            time_s,
            wait_s,
            images / time_s if time_s > 0 else math.nan,
            wait_s / time_s if time_s > 0 else math.nan,
            loss,
            rate,
            norm,
            correct / images if images else math.nan,
        )
        stamp = milliseconds(event.time_s - remaining_s)
        for key, value in zip(STEP_KEYS, values, strict=True):
            yield Row(key, value, stamp, step + 1)


def evaluation_rows(event: Evaluation) -> list[Row]:
    """Accuracies with the protocol in the key; an evaluation of a part says of how many images."""
    prefix = event.protocol.name
    if not event.complete:
        prefix += f"/first_{event.images}_images"
    values = {
        f"{prefix}/top1_accuracy": event.top1_accuracy,
        f"{prefix}/top5_accuracy": event.top5_accuracy,
        f"{prefix}/crops_per_s": event.crops_per_s,
    }
    stamp = milliseconds(event.time_s)
    return [Row(key, value, stamp, event.step) for key, value in values.items()]


def params(event: RunStarted) -> dict[str, str]:
    """The flattened recipe and what else is fixed for the life of a run."""
    recipe = event.recipe.model_dump(mode="json", exclude={"notes"})
    fixed = {
        **flat("recipe", recipe),
        "seed": event.seed,
        "recipe_digest": event.recipe_digest,
        "steps_per_epoch": event.steps_per_epoch,
        "steps_total": event.steps_total,
        "data.name": event.data.name,
        "data.root_digest": event.data.root_digest,
        "deviations": " ".join(event.deviations) or "none",
    }
    return {key: str(value)[:PARAM_CHARACTERS] for key, value in fixed.items()}


def start_tags(event: RunStarted) -> dict[str, str]:
    """Facts that a resumed part may change or that only people read."""
    notes = event.recipe.notes
    tags = {
        "harness.run_id": event.run_id,
        "harness.version": event.harness_version,
        "harness.recipe": event.recipe.name,
        "harness.command": " ".join(event.command),
        "harness.machine": event.numerics.cpu,
        "harness.devices": ", ".join(event.numerics.devices),
        "harness.numerics_digest": event.numerics_digest,
        "harness.data_root_digest": event.data.root_digest,
        "harness.git_dirty": "unknown" if event.git_dirty is None else str(event.git_dirty).lower(),
        "mlflow.source.name": " ".join(event.command[:3]),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": event.git_commit or "unknown",
        "mlflow.note.content": f"{notes.title}\n\n{notes.citation}\n\nSeed {event.seed}.",
    }
    return {key: value[:TAG_CHARACTERS] for key, value in tags.items()}


def end_status(event: RunFinished | Interrupted) -> tuple[str, str]:
    """MLflow's status and a reason in words for the end of a run or of one part of it."""
    if isinstance(event, RunFinished):
        status = {"completed": "FINISHED", "diverged": "FAILED", "stopped": "KILLED"}[event.status]
        words = str(event.status)
    else:
        status = "KILLED" if event.reason in {"signal", "steps_limit", "gate"} else "FAILED"
        words = f"interrupted by {event.reason} after step {event.step}; the same command continues"
    return status, f"{words}: {event.detail}" if event.detail else words
