"""The verdict of a study on its parent run and on the seeds below it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TrackerError
from harness.tracking.address import shown_uri
from harness.tracking.client import EXPERIMENT, Tracker, identifier, reason_of
from harness.tracking.nested import study_tags
from harness.tracking.rows import RUN_TAG, STATUS_TAG, TAG_CHARACTERS, MetricRow, milliseconds


@dataclass(frozen=True)
class StudyResult:
    """What the parent run shows of a judged study.

    Attributes:
        data_root_digest: Of the data that the runs share.
        verdict: Such as `reproduced`.
        status: How many seeds are done, in words.
        reasons: In words, one a line.
        description: As MLflow shows it above the parent run, in Markdown.
        metrics: By key; a study has one value of each.
        seed_metrics: Of each judged run, by the id of its journal.
        seed_steps: Where these stand on the axis of steps: at the run's own last one.
        steps: Where the study's values stand.
        files: Report page, judgement and the like, copied as artifacts.
        time_s: Time of day of the newest event judged, so that the same result
            gives the same rows.
    """

    data_root_digest: str
    verdict: str
    status: str
    reasons: tuple[str, ...]
    description: str
    metrics: Mapping[str, float]
    seed_metrics: Mapping[str, Mapping[str, float]]
    seed_steps: Mapping[str, int]
    steps: int
    files: tuple[Path, ...]
    time_s: float


def record_study(
    result: StudyResult, *, tracking_uri: str, study: str, experiment: str = EXPERIMENT
) -> None:
    """Write a study's verdict to its parent run and to the tags of each judged run.

    Raises:
        TrackerError: the tracker does not answer, or has no such study.
    """
    try:
        tracker = Tracker(tracking_uri, experiment)
        parent = tracker.find(study_tags(study, result.data_root_digest))
        if parent is not None:
            _write_study(tracker, parent, result)
    except Exception as error:
        raise TrackerError(
            reason_of(error, tracking_uri),
            expected="an MLflow tracker that accepts the verdict",
            remedy="start the tracker and call `harness sync` with the study's runs",
        ) from error
    if parent is None:
        raise TrackerError(
            f"the tracker has no study {study} on data {result.data_root_digest[:8]}",
            where=shown_uri(tracking_uri),
            expected="a parent run made by `harness run`",
            remedy="call `harness sync` with the study's runs first",
        )


def _write_study(tracker: Tracker, parent: str, result: StudyResult) -> None:
    reasons = "\n".join(result.reasons)[:TAG_CHARACTERS]
    tags = {"verdict": result.verdict, "reasons": reasons}
    judged = {tracker.find({RUN_TAG: identifier(one)}): one for one in result.seed_metrics}
    for run, run_id in judged.items():
        if run is not None:
            values, step = result.seed_metrics[run_id], result.seed_steps[run_id]
            tracker.write_rows(run, _rows(values, step, result.time_s), {})
            tracker.write_tags(run, tags)
    tracker.write_rows(parent, _rows(result.metrics, result.steps, result.time_s), {})
    note = result.description[:TAG_CHARACTERS]
    own = {STATUS_TAG: result.status, "mlflow.note.content": note}
    tracker.write_tags(parent, {**tags, **own})
    for file in result.files:
        tracker.write_file(parent, file)


def _rows(metrics: Mapping[str, float], step: int, time_s: float) -> list[MetricRow]:
    stamp = milliseconds(time_s)
    return [MetricRow(key, value, stamp, step) for key, value in metrics.items()]
