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
from harness.record.quantities import QUANTITIES, StepSeries
from harness.record.schema import Evaluation, Interrupted, RunFinished, RunStarted, Steps

PARAM_CHARACTERS = 6000
TAG_CHARACTERS = 5000
DATASET_DIGEST_CHARACTERS = 36
"""Limits of MLflow 3.17 (its tag limit is 8000; some older servers hold 5000)."""

WINDOW_KEYS = tuple(
    f"{quantity.name}/{suffix}".rstrip("/")
    for quantity in QUANTITIES
    for suffix in quantity.per_window
)
STEP_KEYS = tuple(f"every_step/{quantity.name}" for quantity in QUANTITIES)


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
    steps = StepSeries.of((event,))
    found = (of(steps) for quantity in QUANTITIES for of in quantity.per_window.values())
    values = {
        key: value for key, value in zip(WINDOW_KEYS, found, strict=True) if value is not None
    }
    bad = sum(not math.isfinite(loss) for loss in event.loss)
    if bad:
        values["non_finite_steps"] = float(bad)
    stamp, step = milliseconds(event.time_s), event.end_step
    return [Row(key, value, stamp, step) for key, value in values.items()]


def step_rows(event: Steps) -> Iterator[Row]:
    """Every step of a window with the keys of `STEP_KEYS`.

    A step's timestamp is the event's minus the time of the steps after it, so
    that it depends on the journal only.
    """
    steps = StepSeries.of((event,))
    found = ((key, one.per_step(steps)) for key, one in zip(STEP_KEYS, QUANTITIES, strict=True))
    columns = {key: values.tolist() for key, values in found if values is not None}
    remaining_s = float(np.sum(event.step_time_s))
    for step, time_s, *values in zip(event.step, event.step_time_s, *columns.values(), strict=True):
        remaining_s -= time_s
        stamp = milliseconds(event.time_s - remaining_s)
        for key, value in zip(columns, values, strict=True):
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
