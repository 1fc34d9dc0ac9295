"""A trained study to its answer: verdict, page, and both beside the runs in MLflow."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.record.journal import read_journal
from harness.record.mlflow_mirror import StudyResult, default_tracking_uri, record_study
from harness.record.run_folders import find_runs
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
    judgement = verdict([study])
    page = runs / "reports" / f"{study.name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_report(report(ReportRequest((study,), data=data)), page, None)
    try:
        record_study(
            _study_result(judgement, study, page),
            tracking_uri=tracking_uri or default_tracking_uri(runs),
            study=study.name,
        )
    except HarnessError as error:
        say(f"MLflow: the verdict was not recorded\n{error}")
    return Judged(judgement, page)


def _study_result(judgement: Judgement, study: Path, page: Path) -> StudyResult:
    return StudyResult(
        verdict=WORDS[judgement.word],
        reasons=judgement.reasons,
        metrics=_metrics(judgement),
        files=(page,),
        time_s=max(read_journal(run).events[-1].time_s for run in find_runs([study])),
    )


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
