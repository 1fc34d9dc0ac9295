"""A trained study to its answer: verdict, page, and both beside the runs in MLflow."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.record.journal import read_journal
from harness.record.mlflow_mirror import (
    EXPERIMENT,
    StudyResult,
    default_tracking_uri,
    record_study,
)
from harness.record.run_folders import data_of, find_runs
from harness.record.summary import read_summary
from harness.verdict.judgement import WORDS, Judgement, PublishedNumbers
from harness.verdict.text import judgement_text
from harness.workflows.report import ReportRequest, report, write_report
from harness.workflows.verdict import verdict

Say = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """A study's answer and where to look."""

    judgement: Judgement
    report: Path

    def text(self, runs: Path) -> str:
        """The answer for a person, with the commands that show more."""
        return "\n".join(
            [
                judgement_text(self.judgement).rstrip(),
                "",
                f"report:  {self.report}",
                f"MLflow:  harness ui --runs {runs}   (or: tox -e ui)",
            ]
        )


def judge_study(study: Path, runs: Path, data: Path, tracking_uri: str | None, say: Say) -> Judged:
    """Judge a study, write its page and put both in the tracker.

    A tracker that refuses is told and changes nothing about the answer.

    Args:
        study: The folder that holds all seeds.
        runs: Where pages go, and the default tracker is.
        data: The runs' data folder, for pictures.
        tracking_uri: MLflow's; None is SQLite within `runs`.
        say: Told what the tracker refuses.
    """
    page = runs / "reports" / f"{study.name}.html"
    judgement = _judge(find_runs([study]), data, page)
    try:
        _record(judgement, page, tracking_uri or default_tracking_uri(runs), study.name)
    except HarnessError as error:
        say(f"MLflow: the verdict was not recorded\n{error}")
    return Judged(judgement, page)


def record_judgement(
    folders: Sequence[Path], *, tracking_uri: str, study: str, experiment: str
) -> Judgement:
    """Judge runs that are in the tracker and put verdict and page beside them.

    Args:
        folders: All runs of one study.
        tracking_uri: MLflow's.
        study: Name of the parent run.
        experiment: MLflow experiment.

    Raises:
        HarnessError: the runs cannot be judged together, or the tracker refuses.
    """
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / f"{folders[0].parent.name}.html"
        judgement = _judge(folders, _data_of(folders[0]), page)
        _record(judgement, page, tracking_uri, study, experiment)
    return judgement


def _judge(folders: Sequence[Path], data: Path | None, page: Path) -> Judgement:
    judgement = verdict(folders)
    write_report(report(ReportRequest(tuple(folders), data=data)), page, None)
    return judgement


def _data_of(folder: Path) -> Path | None:
    """The data folder that a run names, where it is still there."""
    place = data_of(folder, read_summary(folder).started.data_path)
    return place if place is not None and place.is_dir() else None


def _record(
    judgement: Judgement,
    page: Path,
    tracking_uri: str,
    study: str,
    experiment: str = EXPERIMENT,
) -> None:
    for result in _study_results(judgement, page):
        record_study(result, tracking_uri=tracking_uri, study=study, experiment=experiment)


def _study_results(judgement: Judgement, page: Path) -> list[StudyResult]:
    """One for each data set of the runs: each has a parent run of its own."""
    journals = [read_journal(Path(seed.run)) for seed in judgement.seeds]
    roots = dict.fromkeys(one.started.data.root_digest for one in journals)
    return [
        StudyResult(
            data_root_digest=root,
            run_ids=tuple(
                one.started.run_id for one in journals if one.started.data.root_digest == root
            ),
            verdict=WORDS[judgement.word],
            reasons=judgement.reasons,
            metrics=_metrics(judgement),
            files=(page,),
            time_s=max(one.events[-1].time_s for one in journals),
        )
        for root in roots
    ]


def _metrics(judgement: Judgement) -> dict[str, float]:
    top1 = [s.top1_accuracy for s in judgement.seeds if s.top1_accuracy is not None]
    metrics = {"study/runs": float(len(judgement.seeds))}
    if top1:
        metrics["study/mean_top1_accuracy"] = sum(top1) / len(top1)
        metrics["study/lowest_top1_accuracy"] = min(top1)
    if isinstance(judgement.numbers, PublishedNumbers):
        interval = judgement.numbers.equivalence_interval
        metrics["study/difference"] = judgement.numbers.difference
        metrics["study/difference_low"] = interval.low
        metrics["study/difference_high"] = interval.high
    return metrics
