"""The verdict of a study on its parent run and on the seeds below it."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import TrackerError
from harness.tracking.address import shown_uri
from harness.tracking.client import EXPERIMENT, Tracker, identifier, reason_of
from harness.tracking.rows import Row, milliseconds
from harness.tracking.sender import RUN_TAG, study_tags


@dataclass(frozen=True)
class StudyResult:
    """What the parent run shows of a judged study.

    Attributes:
        data_root_digest: Of the data that the runs share.
        run_ids: Of the judged runs, as in their journals.
        verdict: Such as `reproduced`.
        reasons: In words, one a line.
        metrics: By key; a study has one value of each.
        files: Report page, judgement and the like, copied as artifacts.
        time_s: Time of day of the newest event judged, so that the same result
            gives the same rows.
    """

    data_root_digest: str
    run_ids: tuple[str, ...]
    verdict: str
    reasons: tuple[str, ...]
    metrics: dict[str, float]
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
    tags = {"verdict": result.verdict, "harness.reasons": "\n".join(result.reasons)[:5000]}
    judged = [tracker.find({RUN_TAG: identifier(run_id)}) for run_id in result.run_ids]
    for run in (parent, *judged):
        if run is not None:
            tracker.write_tags(run, tags)
    stamp = milliseconds(result.time_s)
    rows = [Row(key, value, stamp, 0) for key, value in result.metrics.items()]
    tracker.write_rows(parent, rows, {})
    for file in result.files:
        tracker.write_file(parent, file)
