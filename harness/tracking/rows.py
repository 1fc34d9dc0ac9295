"""What MLflow shows of each event, as plain values: metrics, params and tags.

Pure functions of journal events, so that the same journal gives the same rows
whenever it is sent: MLflow drops a row that it has already, and a row's
identity there includes its value and its timestamp.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from harness.frozen import flat
from harness.record.quantities import QUANTITIES, StepSeries
from harness.record.schema import (
    STEP_COLUMNS,
    Evaluation,
    Interrupted,
    RunFinished,
    RunStarted,
    Steps,
)

PARAM_CHARACTERS = 6000
TAG_CHARACTERS = 5000
DATASET_DIGEST_CHARACTERS = 36
"""Limits of MLflow 3.17 (its tag limit is 8000; some older servers hold 5000)."""

_COLUMNS = ("step", *STEP_COLUMNS, "fingerprint")
WINDOW_KEYS = tuple(
    f"{quantity.name}/{suffix}".rstrip("/")
    for quantity in QUANTITIES
    for suffix in quantity.per_window
)
STEP_KEYS = tuple(f"every_step/{quantity.name}" for quantity in QUANTITIES)


RUN_TAG = "harness.run_id"
HEAD_TAG = "harness.journal_head"
"""The head of the journal's chain at the latest checkpoint, stop or `harness sync`."""
STATUS_TAG = "status"
FACTS_TAG = "harness"
"""One tag holds all that nobody looks for in a table, as JSON."""

FACT_CHARACTERS = 400
TOP1_KEY = "top1_accuracy"
"""Of the newest whole evaluation; of a judged run, and of a study's mean, what was judged."""


class MetricRow(NamedTuple):
    """One metric value: `timestamp_ms` since 1970, `step` counted as MLflow's x axis."""

    key: str
    value: float
    timestamp_ms: int
    step: int


def milliseconds(time_s: float) -> int:
    """Seconds since 1970 as MLflow keeps them."""
    return round(time_s * 1000)


def window_rows(event: Steps) -> list[MetricRow]:
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
    return [MetricRow(key, value, stamp, step) for key, value in values.items()]


class EqualWindows:
    """Cuts a run's steps into windows of one width, wherever its events were cut.

    An event ends at every checkpoint and epoch: its mean over 5 steps beside one over 100
    would be drawn as a zigzag.

    Args:
        width: Steps of a window.
        first: Steps that need no window: whole windows that were sent already.
    """

    def __init__(self, width: int, first: int) -> None:
        self.width = width
        self.done = first - first % width
        self._held: list[Steps] = []

    def add(self, event: Steps) -> Iterator[Steps]:
        """Take steps that follow those before; yields the windows that are whole now.

        Steps that came before are passed over: a journal that was caught up with may hold
        what waits to be sent as well.
        """
        taken = self._held[-1].step[-1] + 1 if self._held else self.done
        if event.step[-1] < taken:
            return
        self._held.append(event)
        while event.step[-1] + 1 >= self.done + self.width:
            end = self.done + self.width
            yield _joined(self._held, self.done, end)
            self.done = end
            self._held = [one for one in self._held if one.step[-1] >= end]

    def rest(self) -> Iterator[Steps]:
        """Where a run stops: what is no whole window, unless it is a small part of one."""
        end = self._held[-1].step[-1] + 1 if self._held else 0
        if end and (self.done == 0 or end - self.done >= 0.5 * self.width):
            yield _joined(self._held, self.done, end)


def _joined(events: list[Steps], first: int, end: int) -> Steps:
    """The steps from `first` to before `end` as one event, at the time when the last was done."""
    columns: dict[str, tuple[float, ...]] = {}
    for key in (key for key in _COLUMNS if getattr(events[0], key) is not None):
        values = [
            value
            for event in events
            for step, value in zip(event.step, getattr(event, key), strict=True)
            if first <= step < end
        ]
        columns[key] = tuple(values)
    later = zip(events[-1].step, events[-1].step_time_s, strict=True)
    after_s = sum(time_s for step, time_s in later if step >= end)
    return events[-1].model_copy(
        update={
            **columns,
            "time_s": events[-1].time_s - after_s,
            "compiled": tuple(s for event in events for s in event.compiled if first <= s < end),
        }
    )


def step_rows(event: Steps) -> Iterator[MetricRow]:
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
            yield MetricRow(key, value, stamp, step + 1)


def evaluation_rows(event: Evaluation) -> list[MetricRow]:
    """Accuracies with the protocol in the key; an evaluation of a part says of how many images."""
    prefix = event.protocol.name
    if not event.complete:
        prefix += f"/{event.images}_images"
    values = {
        f"{prefix}/top1_accuracy": event.top1_accuracy,
        f"{prefix}/top5_accuracy": event.top5_accuracy,
        f"{prefix}/crops_per_s": event.crops_per_s,
        **({TOP1_KEY: event.top1_accuracy} if event.complete else {}),
    }
    stamp = milliseconds(event.time_s)
    return [MetricRow(key, value, stamp, event.step) for key, value in values.items()]


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


def run_name(study: str, seed: int) -> str:
    """What MLflow calls a seed's run, and its network."""
    return f"{study} seed {seed}"


def start_tags(event: RunStarted) -> dict[str, str]:
    """What people look for in a table, and MLflow's own tags."""
    notes = event.recipe.notes
    tags = {
        **study_words(event),
        STATUS_TAG: "running",
        "mlflow.source.name": " ".join(event.command[:3]),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": event.git_commit or "unknown",
        "mlflow.note.content": f"{notes.title}\n\n{notes.citation}\n\nSeed {event.seed}.",
    }
    return {key: value[:TAG_CHARACTERS] for key, value in tags.items()}


def study_words(event: RunStarted) -> dict[str, str]:
    """What a run and its study have in common, in words."""
    targets = ", ".join(target.name for target in event.targets or ())
    return {
        "recipe": event.recipe.name,
        "data": event.data.name,
        **({"target": targets} if targets else {}),
    }


def start_facts(event: RunStarted) -> dict[str, str]:
    """Where a run began and under what, for the tag `FACTS_TAG`."""
    return {
        "version": event.harness_version,
        "command": " ".join(event.command),
        "machine": event.numerics.cpu,
        "devices": ", ".join(event.numerics.devices),
        "numerics_digest": event.numerics_digest,
        "git_dirty": "unknown" if event.git_dirty is None else str(event.git_dirty).lower(),
    }


def facts_tag(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts as one tag; each is cut so that all of them fit, and empty ones are left out."""
    told = {key: value[:FACT_CHARACTERS] for key, value in facts.items() if value}
    return {FACTS_TAG: json.dumps(told, indent=1, ensure_ascii=False)}


def end_status(event: RunFinished | Interrupted) -> tuple[str, str, str]:
    """MLflow's status, a short word, and the reason for the end of a run or of one part of it."""
    if isinstance(event, RunFinished):
        status = {"completed": "FINISHED", "diverged": "FAILED", "stopped": "KILLED"}[event.status]
        short = words = str(event.status)
    else:
        # Where `--steps` was reached everything went as asked.
        status = {"steps_limit": "FINISHED", "signal": "KILLED", "gate": "KILLED"}.get(
            event.reason, "FAILED"
        )
        short = "stopped at --steps" if event.reason == "steps_limit" else "unfinished"
        words = f"interrupted by {event.reason} after step {event.step}; the same command continues"
    return status, short, f"{words}: {event.detail}" if event.detail else words
