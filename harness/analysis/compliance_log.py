"""A run as an MLPerf-style log (`:::MLLOG` lines), written from its journal.

The log is of the open division: recipes of this harness are not the MLPerf
reference. What the closed division would ask for and cannot hold is in
`CLOSED_RULES_NOT_MET`. Source: the rules `training_4.0.0`, the last with
ResNet, of the package `mlperf-logging` (extra `mlperf`).
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import InconclusiveError, MachineError
from harness.record.journal import Journal, read_journal
from harness.record.schema import Evaluation, Steps

RULESET = "4.0.0"
CLOSED_RULES_NOT_MET = (
    "opt_name must be lars, or sgd with a polynomial decay: recipes here use other schedules",
    "sgd_opt_end_learning_rate must be 0.0001",
    "eval_accuracy must reach 0.7590 on the whole ImageNet validation set, center crop",
    "caches must be cleared before the run: the harness does not touch the machine's caches",
)


@dataclass(frozen=True)
class Line:
    """One line of the log before it is encoded.

    Attributes:
        kind: `event`, `start` or `end`.
        key: As the rules name it.
        value: JSON-like.
        time_s: Time of day, seconds since 1970.
        metadata: JSON-like.
    """

    kind: str
    key: str
    value: Any
    time_s: float
    metadata: dict[str, Any] = field(default_factory=dict)


def write_compliance_log(run: Path, out: Path) -> int:
    """Write the log of a run; returns its number of lines.

    Raises:
        RecordError: no journal, or a damaged one.
        InconclusiveError: the run has no step yet.
        MachineError: the package `mlperf-logging` is not installed.
    """
    try:
        from mlperf_logging.mllog.mllog import MLLogger
    except ImportError as error:
        raise MachineError(
            "the package mlperf-logging is not installed",
            expected="the extra `mlperf`",
            remedy="pip install mlperf-logging",
        ) from error
    lines = list(log_lines(read_journal(run)))
    out.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.Logger("harness.compliance")  # noqa: LOG001 - kept out of the global tree
    handler = logging.FileHandler(out, mode="w", encoding="utf-8")
    logger.addHandler(handler)
    encoder = MLLogger(logger)
    try:
        for line in lines:
            write = {"event": encoder.event, "start": encoder.start, "end": encoder.end}[line.kind]
            # The caller's place is part of the format; the journal's line is what counts here.
            place = {"file": "journal.jsonl", "lineno": 0}
            write(
                line.key, line.value, {**line.metadata, **place}, time_ms=round(line.time_s * 1000)
            )
    finally:
        handler.close()
    return len(lines)


def log_lines(journal: Journal) -> Iterator[Line]:
    """The lines of a run in the order of their times.

    Raises:
        InconclusiveError: the run has no step yet.
    """
    if not journal.steps:
        raise InconclusiveError(
            "the run has no step yet",
            where=str(journal.path),
            expected="a run that has begun to train",
            remedy="continue it, then write the log",
        )
    first = journal.steps[0]
    begin_s = first.time_s - sum(first.step_time_s)
    yield from _settings(journal)
    yield Line("end", "init_stop", None, begin_s)
    yield Line("start", "run_start", None, begin_s)
    yield from sorted([*_epochs(journal, begin_s), *_evaluations(journal)], key=lambda x: x.time_s)
    finished = journal.finished
    status = "success" if finished and finished.status == "completed" else "aborted"
    yield Line("end", "run_stop", None, journal.events[-1].time_s, {"status": status})


def _settings(journal: Journal) -> Iterator[Line]:
    started = journal.started
    at_s = started.time_s
    yield Line("event", "cache_clear", value=False, time_s=at_s)
    yield Line("start", "init_start", None, at_s)
    values = {
        "submission_benchmark": "resnet",
        "submission_division": "open",
        "submission_org": "resnet-reproducibility-harness",
        "submission_platform": ", ".join(started.numerics.devices),
        "submission_status": "research",
        "seed": started.seed,
        "global_batch_size": started.recipe.batch,
        "gradient_accumulation_steps": 1,
        "train_samples": started.data.train_images,
        "eval_samples": started.data.val_images,
        "opt_name": "sgd",
        "sgd_opt_momentum": started.recipe.optimizer.momentum,
        "sgd_opt_weight_decay": started.recipe.loss.weight_decay,
    }
    for key, value in values.items():
        yield Line("event", key, value, at_s)


def _epochs(journal: Journal, begin_s: float) -> Iterator[Line]:
    length = journal.started.steps_per_epoch
    start_s, epoch, inside = begin_s, 1, False
    for window in journal.steps:
        if not inside:
            yield Line("start", "epoch_start", None, start_s, {"epoch_num": epoch})
            inside = True
        if _ends_epoch(window, length):
            yield Line("end", "epoch_stop", None, window.time_s, {"epoch_num": epoch})
            start_s, epoch, inside = window.time_s, epoch + 1, False
    if inside:
        last_s = journal.steps[-1].time_s
        yield Line("end", "epoch_stop", None, last_s, {"epoch_num": epoch})


def _ends_epoch(window: Steps, length: int) -> bool:
    return (window.step[-1] + 1) // length > window.step[0] // length


def _evaluations(journal: Journal) -> Iterator[Line]:
    for event in journal.evaluations:
        about = {"epoch_num": max(1, math.ceil(event.epoch)), "protocol": event.protocol.name}
        yield Line("start", "eval_start", None, _eval_start_s(event), about)
        yield Line("event", "eval_accuracy", event.top1_accuracy, event.time_s, about)
        yield Line("end", "eval_stop", None, event.time_s, about)


def _eval_start_s(event: Evaluation) -> float:
    return event.time_s - event.duration_s
