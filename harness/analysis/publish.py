"""A trained study to its answer: verdict, page, and both beside the runs in MLflow."""

import shlex
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.judged_study import (
    JudgedStudy,
    LoadedRun,
    judged_study,
    load_runs,
    named_apart,
)
from harness.errors import HarnessError
from harness.record.run_folder import data_of, find_runs, runs_of_study
from harness.report.run_record import RunRecord
from harness.statistics.rounding import percent
from harness.system.own_command import near, own_command
from harness.tracking.mirror import EXPERIMENT, StudyResult, default_tracking_uri, record_study
from harness.tracking.rows import TOP1_KEY
from harness.verdict.judgement import WORDS, Judgement, Judgements, PublishedNumbers, SeedResult
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
                f"report:  {near(self.report)}",
                f"MLflow:  {own_command()} ui --runs {shlex.quote(str(near(runs)))}",
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
    runs: Sequence[LoadedRun],
    *,
    tracking_uri: str,
    study: str,
    experiment: str = EXPERIMENT,
    with_page: bool = True,
) -> Judgements:
    """Judge runs that are in the tracker and put verdict and page beside them.

    Args:
        runs: All runs of one study.
        tracking_uri: MLflow's.
        study: Name of the parent run.
        experiment: MLflow experiment.
        with_page: Whether the page is made and sent too, which takes seconds.

    Raises:
        HarnessError: the runs cannot be judged together, or the tracker refuses.
    """
    if not with_page:
        judged, judgements = _judged(runs, None, None)
        _record(judged.runs, judgements, None, tracking_uri, study, experiment)
        return judgements
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / f"{runs[0].folder.parent.name}.html"
        judged, judgements = _judged(named_apart(runs), _data_of(runs[0]), page)
        _record(judged.runs, judgements, page, tracking_uri, study, experiment)
    return judgements


def record_so_far(study: Path, tracking_uri: str | None, say: Say) -> None:
    """Put the answer of a study as it stands beside its runs, without a page.

    A tracker that refuses, and runs that cannot be judged, are told and change nothing.

    Args:
        study: The folder that holds all seeds.
        tracking_uri: MLflow's; None is SQLite in the folder above.
        say: Told why there is no answer in the tracker.
    """
    try:
        record_judgement(
            load_runs(runs_of_study(study)),
            tracking_uri=tracking_uri or default_tracking_uri(study.parent),
            study=study.name,
            with_page=False,
        )
    except HarnessError as error:
        say(f"MLflow: the verdict was not recorded\n{error}")


def verdict_words(judgements: Judgements) -> str:
    """The answer in words, such as `reproduced`; of several targets each with its name."""
    if len(judgements.each) == 1:
        return WORDS[judgements.each[0].word]
    return "; ".join(f"{one.target}: {WORDS[one.word]}" for one in judgements.each)


def _judged(
    runs: Sequence[LoadedRun],
    data: Path | None,
    page: Path | None,
    target: str | Path | None = None,
) -> tuple[JudgedStudy, Judgements]:
    """Judge once, and write the page, if there is one, from the same judgements."""
    study = judged_study(runs, target=target)
    if study.judgements is None:
        raise study.refusal or AssertionError("a study is judged or refused")
    if page is not None:
        # Drawing is imported where a page is made: a run that records its verdict needs none.
        from harness.analysis.report import page_of, write_pages
        from harness.analysis.thumbnails import PictureSources

        write_pages(page_of(study, PictureSources(data)), page, None)
    return study, study.judgements


def _data_of(run: LoadedRun) -> Path | None:
    """The data folder that a run names, where it is still there."""
    place = data_of(run.folder, run.record.started.data_path)
    return place if place is not None and place.is_dir() else None


def _record(
    runs: Sequence[LoadedRun],
    judgements: Judgements,
    page: Path | None,
    tracking_uri: str,
    study: str,
    experiment: str = EXPERIMENT,
) -> None:
    for result in _study_results(runs, judgements, page):
        record_study(result, tracking_uri=tracking_uri, study=study, experiment=experiment)


def _study_results(
    runs: Sequence[LoadedRun], judgements: Judgements, page: Path | None
) -> Iterator[StudyResult]:
    """One for each data set of the runs: each has a parent run of its own."""
    records = {str(run.folder): run.record for run in runs}
    of_data: dict[str, list[tuple[SeedResult, RunRecord]]] = {}
    for seed in judgements.each[0].seeds:
        record = records[seed.run]
        of_data.setdefault(record.started.data.root_digest, []).append((seed, record))
    for root, found in of_data.items():
        rates = {one.started.run_id: _images_per_s(one) for _, one in found}
        done = sum(seed.status == "completed" for seed, _ in found)
        yield StudyResult(
            data_root_digest=root,
            verdict=verdict_words(judgements),
            status=f"{done} of {len(found)} seeds completed",
            reasons=tuple(_reasons(judgements)),
            description="\n".join(_description(judgements, found, rates)),
            metrics=_metrics(judgements, found, [r for r in rates.values() if r is not None]),
            seed_metrics={
                one.started.run_id: _known(
                    {TOP1_KEY: seed.top1_accuracy, "images_per_s": rates[one.started.run_id]}
                )
                for seed, one in found
            },
            seed_steps={one.started.run_id: one.series.end_step for _, one in found},
            steps=max(one.series.end_step for _, one in found),
            files=(page,) if page else (),
            time_s=max(one.last_time_s for _, one in found),
        )


def _known(values: dict[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in values.items() if value is not None}


def _images_per_s(run: RunRecord) -> float | None:
    """Over all steps that hold no compilation; None where there is none."""
    return run.series.times.images_per_s if run.series.times else None


def _description(
    judgements: Judgements,
    runs: Sequence[tuple[SeedResult, RunRecord]],
    rates: Mapping[str, float | None],
) -> Iterator[str]:
    """The study in Markdown, as it stands above its run in MLflow."""
    first = judgements.each[0]
    for one in judgements.each:
        yield f"**{WORDS[one.word]}**{f', {one.target}' if one.target else ''}: "
        yield f"{'; '.join(one.reasons)}.\n"
    data = runs[0][1].started.data
    about = f"{data.name} (root {data.root_digest[:8]})"
    yield f"Recipe {first.recipe}-{first.recipe_digest[:8]} on {about}."
    yield from (f"Target {one.target}: {one.target_text}." for one in judgements.each if one.target)
    yield "\n| seed | status | protocol | top-1 | top-5 | images/s |\n|---|---|---|---|---|---|"
    for seed, record in runs:
        rate = rates[record.started.run_id]
        cells = (
            str(seed.seed), seed.status, seed.protocol or "-", percent(seed.top1_accuracy),
            percent(seed.top5_accuracy), "-" if rate is None else f"{rate:,.1f}",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    top1 = _completed_top1(first, runs)
    if top1:
        yield f"\nMean top-1 {percent(statistics.mean(top1))}."
    if len(top1) > 1:
        yield f"Spread {100 * statistics.stdev(top1):.3f} points (standard deviation)."


def _reasons(judgements: Judgements) -> Iterator[str]:
    several = len(judgements.each) > 1
    for one in judgements.each:
        yield from (f"{one.target}: {reason}" if several else reason for reason in one.reasons)


def _completed_top1(
    judgement: Judgement, runs: Sequence[tuple[SeedResult, RunRecord]]
) -> list[float]:
    """Of the judged seeds among runs on one data set that have come to their end."""
    here = {seed.run for seed, _ in runs}
    return [
        seed.top1_accuracy
        for seed in judgement.judged_seeds
        if seed.run in here and seed.status == "completed" and seed.top1_accuracy is not None
    ]


def _metrics(
    judgements: Judgements,
    runs: Sequence[tuple[SeedResult, RunRecord]],
    images_per_s: Sequence[float],
) -> dict[str, float]:
    first = judgements.each[0]
    top1 = _completed_top1(first, runs)
    metrics = {"study/runs": float(len(runs))}
    if top1:
        metrics[TOP1_KEY] = metrics["study/mean_top1_accuracy"] = sum(top1) / len(top1)
        metrics["study/lowest_top1_accuracy"] = min(top1)
    if images_per_s:
        metrics["images_per_s"] = statistics.mean(images_per_s)
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
