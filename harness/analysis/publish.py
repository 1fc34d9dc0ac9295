"""A trained study to its answer: verdict, page, and both beside the runs in MLflow."""

import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.judged_study import (
    JudgedStudy,
    LoadedRun,
    judged_study,
    load_runs,
    named_apart,
)
from harness.analysis.report import page_of, write_pages
from harness.analysis.thumbnails import PictureSources
from harness.errors import HarnessError
from harness.record.run_folder import data_of, find_runs
from harness.system.own_command import own_command
from harness.tracking.mirror import EXPERIMENT, StudyResult, default_tracking_uri, record_study
from harness.verdict.judgement import WORDS, Judgement, Judgements, PublishedNumbers
from harness.verdict.text import judgement_text

Say = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """A study's answers and where to look."""

    judgements: Judgements
    report: Path

    def text(self, runs: Path) -> str:
        """The answers for a person, with the commands that show more."""
        return "\n".join(
            [
                judgement_text(self.judgements).rstrip(),
                "",
                f"report:  {self.report}",
                f"MLflow:  {own_command()} ui --runs {shlex.quote(str(runs))}",
            ]
        )


def judge_study(
    study: Path,
    runs: Path,
    data: Path,
    tracking_uri: str | None,
    say: Say,
    *,
    tracking: bool = True,
    target: str | Path | None = None,
) -> Judged:
    """Judge a study, write its page and put both in the tracker.

    A tracker that refuses is reported and changes nothing about the answer.

    Args:
        study: The folder that holds all seeds.
        runs: Where pages go, and the default tracker is.
        data: The runs' data folder, for pictures.
        tracking_uri: MLflow's; None is SQLite within `runs`.
        say: Called with what the tracker refuses.
        tracking: Whether there is a tracker at all.
        target: One target, as `load_target` takes it; None takes all registered ones.
    """
    page = runs / "reports" / f"{study.name}.html"
    judged, judgements = _judged(load_runs(find_runs([study])), data, page, target)
    try:
        if tracking:
            uri = tracking_uri or default_tracking_uri(runs)
            _record(judged.runs, judgements, page, uri, study.name)
    except HarnessError as error:
        say(f"MLflow: the verdict was not recorded\n{error}")
    return Judged(judgements, page)


def record_judgement(
    runs: Sequence[LoadedRun], *, tracking_uri: str, study: str, experiment: str
) -> Judgements:
    """Judge runs that are in the tracker and put verdict and page beside them.

    Args:
        runs: All runs of one study.
        tracking_uri: MLflow's.
        study: Name of the parent run.
        experiment: MLflow experiment.

    Raises:
        HarnessError: the runs cannot be judged together, or the tracker refuses.
    """
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / f"{runs[0].folder.parent.name}.html"
        judged, judgements = _judged(named_apart(runs), _data_of(runs[0]), page)
        _record(judged.runs, judgements, page, tracking_uri, study, experiment)
    return judgements


def verdict_words(judgements: Judgements) -> str:
    """The answer in words, such as `reproduced`; of several targets each with its name."""
    if len(judgements.each) == 1:
        return WORDS[judgements.each[0].word]
    return "; ".join(f"{one.target}: {WORDS[one.word]}" for one in judgements.each)


def _judged(
    runs: Sequence[LoadedRun], data: Path | None, page: Path, target: str | Path | None = None
) -> tuple[JudgedStudy, Judgements]:
    """Judge once, and write the page from the same judgements."""
    study = judged_study(runs, target=target)
    if study.judgements is None:
        raise study.refusal or AssertionError("a study is judged or refused")
    write_pages(page_of(study, PictureSources(data)), page, None)
    return study, study.judgements


def _data_of(run: LoadedRun) -> Path | None:
    """The data folder that a run names, where it is still there."""
    place = data_of(run.folder, run.record.started.data_path)
    return place if place is not None and place.is_dir() else None


def _record(
    runs: Sequence[LoadedRun],
    judgements: Judgements,
    page: Path,
    tracking_uri: str,
    study: str,
    experiment: str = EXPERIMENT,
) -> None:
    for result in _study_results(runs, judgements, page):
        record_study(result, tracking_uri=tracking_uri, study=study, experiment=experiment)


def _study_results(
    runs: Sequence[LoadedRun], judgements: Judgements, page: Path
) -> list[StudyResult]:
    """One for each data set of the runs: each has a parent run of its own."""
    judged = {seed.run for seed in judgements.each[0].seeds}
    records = [run.record for run in runs if str(run.folder) in judged]
    roots = dict.fromkeys(one.started.data.root_digest for one in records)
    return [
        StudyResult(
            data_root_digest=root,
            run_ids=tuple(
                one.started.run_id for one in records if one.started.data.root_digest == root
            ),
            verdict=verdict_words(judgements),
            reasons=tuple(_reasons(judgements)),
            metrics=_metrics(judgements),
            files=(page,),
            time_s=max(one.last_time_s for one in records),
        )
        for root in roots
    ]


def _reasons(judgements: Judgements) -> Iterator[str]:
    several = len(judgements.each) > 1
    for one in judgements.each:
        yield from (f"{one.target}: {reason}" if several else reason for reason in one.reasons)


def _metrics(judgements: Judgements) -> dict[str, float]:
    first = judgements.each[0]
    top1 = [s.top1_accuracy for s in first.seeds if s.top1_accuracy is not None]
    metrics = {"study/runs": float(len(first.seeds))}
    if top1:
        metrics["study/mean_top1_accuracy"] = sum(top1) / len(top1)
        metrics["study/lowest_top1_accuracy"] = min(top1)
    if first.choosing is not None:
        metrics["study/mean_best_epoch_top1_accuracy"] = first.choosing.mean
        metrics["study/mean_last_epoch_top1_accuracy"] = first.choosing.last_mean
    for one in judgements.each:
        place = "study" if len(judgements.each) == 1 else f"study/{one.target}"
        metrics |= _differences(one, place)
    return metrics


def _differences(judgement: Judgement, place: str) -> dict[str, float]:
    numbers = judgement.numbers
    if not isinstance(numbers, PublishedNumbers):
        return {}
    return {
        f"{place}/difference": numbers.difference,
        f"{place}/difference_low": numbers.equivalence_interval.low,
        f"{place}/difference_high": numbers.equivalence_interval.high,
    }
