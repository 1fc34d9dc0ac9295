"""Which epoch counts: chosen in one place, never mixed, and told beside the last."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.bundle import bundle
from harness.analysis.publish import _metrics
from harness.analysis.report import report
from harness.analysis.verdict import verdict
from harness.analysis.verify import verify
from harness.baselines import load_baselines, load_target
from harness.baselines.schema import PublishedTarget, ThresholdTarget
from harness.cli.judge.verdict import command
from harness.recipes.catalogue import find_recipe
from harness.recipes.recipe import Recipe
from harness.record.journal import FILE_NAME, Journal
from harness.record.summary import RunSummary, read_summary, summarise
from harness.report.rendering.markdown import markdown
from harness.report.rendering.page import html
from harness.statistics.power import chances
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgement, Judgements
from harness.verdict.planning import design_of
from harness.verdict.selection import counted, evaluated_steps, gaps
from harness.verdict.text import judgement_text
from tests.chained_journals import events_of, rewrite
from tests.planted_journals import (
    FASHION_COUNTS,
    Planted,
    events,
    fashion_runs,
    imagenet_runs,
    plant,
    study,
)

PAPER, REPRODUCTION = "zhong2020-fashion-resnet20", "chenbill-fashion-resnet20"
RECIPE = find_recipe(PAPER)
BEST = (0.9515, 0.9523, 0.9529)
LAST = (0.9500, 0.9511, 0.9504)


def published(name: str) -> PublishedTarget:
    target = load_target(name)
    assert isinstance(target, PublishedTarget)
    return target


def summaries(folder: Path, runs: Sequence[Planted]) -> list[RunSummary]:
    study(folder, list(runs))
    return [read_summary(folder / f"seed-{run.seed}") for run in runs]


def judged(folder: Path, runs: Sequence[Planted], target: str = REPRODUCTION) -> Judgement:
    (judgement,) = verdict([study(folder, list(runs))], target=target).each
    return judgement


def test_the_best_of_all_epochs_counts_and_the_last_stands_beside_it(tmp_path: Path) -> None:
    judgement = judged(tmp_path, fashion_runs(*FASHION_COUNTS))
    assert judgement.word == "reproduced"
    assert tuple(seed.top1_accuracy for seed in judgement.seeds) == BEST
    assert tuple(seed.last_top1_accuracy for seed in judgement.seeds) == LAST
    assert [seed.epoch for seed in judgement.seeds] == [2, 3, 3]
    assert {seed.chosen_from for seed in judgement.seeds} == {4}
    choosing = judgement.choosing
    assert choosing is not None
    assert (choosing.runs, choosing.evaluations) == (3, 4)
    assert choosing.mean == pytest.approx(fmean(BEST))
    assert choosing.raised == pytest.approx(fmean(BEST) - fmean(LAST))


def test_text_page_and_markdown_say_what_choosing_did(tmp_path: Path) -> None:
    folder = study(tmp_path, fashion_runs(*FASHION_COUNTS))
    text = judgement_text(verdict([folder]))
    content = report((folder,))
    for shown in (text, html(content), markdown(content).replace("\\", "")):
        assert "flatters" in shown
        assert "95.22 %" in shown  # the mean of the best epochs
        assert "95.05 %" in shown  # and of the last ones
        assert "4 evaluations" in shown
        assert "0.17" in shown  # points that choosing raised it by
    assert sum("flatters" in p for s in content.sections for p in s.paragraphs) == 2


def test_the_last_of_all_may_be_the_best_and_of_equals_the_first_counts(tmp_path: Path) -> None:
    runs = fashion_runs((9300, 9400, 9500), (9500, 9400, 9500), (9300, 9500, 9500))
    found = [
        counted(run, run.started.recipe.epoch_protocol, "best_epoch")
        for run in summaries(tmp_path, runs)
    ]
    assert [one.evaluation.epoch for one in found if one] == [3, 1, 2]
    assert [one.last.epoch for one in found if one] == [3, 3, 3]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=12))
def test_no_epoch_is_better_than_the_one_that_counts(counts: list[int]) -> None:
    (planted,) = fashion_runs(tuple(counts))
    run = summarise(Journal(Path("nowhere") / FILE_NAME, tuple(events(planted)), 0))
    protocol = run.started.recipe.epoch_protocol
    best, last = (counted(run, protocol, which) for which in ("best_epoch", "last"))
    assert best
    assert last
    assert best.evaluation.top1_correct == max(counts)
    assert last.evaluation.top1_correct == best.last.top1_correct == counts[-1]
    assert best.chosen_from == len(counts) == len(evaluated_steps(run.started))
    assert not list(gaps(run, protocol))


@pytest.mark.parametrize("target", [PAPER, REPRODUCTION])
@pytest.mark.parametrize("count", [9521, 9523, 9561, 9563])
def test_equal_accuracies_decide_nothing_whatever_their_deviation_rounds_to(
    tmp_path: Path, count: int, target: str
) -> None:
    judgement = judged(tmp_path, fashion_runs(*[(count,)] * 3), target)
    assert judgement.word == "inconclusive"
    assert "all runs have the same accuracy" in judgement.reasons[0]


def seeds_of(judgements: Judgements) -> Any:
    """Every seed; what is read of its record is not asked here."""
    return [(seed, None) for seed in judgements.each[0].seeds]


def test_seeds_beyond_the_declared_ones_enter_no_figure_of_what_was_judged(tmp_path: Path) -> None:
    counts = (*FASHION_COUNTS, (9100, 9200, 9300, 9000), (9100, 9200, 9300, 9900))
    folder = study(tmp_path, fashion_runs(*counts))
    judgements = verdict([folder], target=REPRODUCTION)
    assert [seed.declared for seed in judgements.each[0].judged_seeds] == [True] * 3
    found = _metrics(judgements, seeds_of(judgements), [])
    assert found["study/mean_top1_accuracy"] == pytest.approx(fmean(BEST))
    assert found["study/lowest_top1_accuracy"] == min(BEST)
    assert found["study/runs"] == 5
    told = dict(report((folder,), target=REPRODUCTION).facts)["top-1"]
    assert told.startswith("mean 95.22 % over 3 seeds (center_crop), spread 0.070 pp")
    assert told.endswith("95.15 % to 95.29 %")


def test_what_reaches_mlflow_is_of_one_data_set_and_of_completed_runs(tmp_path: Path) -> None:
    """A study's folder may hold runs on other data, and runs that still train."""
    judgements = verdict([study(tmp_path, fashion_runs(*FASHION_COUNTS))], target=REPRODUCTION)
    first, second, third = judgements.each[0].seeds
    found = _metrics(judgements, seeds_of(judgements)[:1], [])
    assert found["study/runs"] == 1
    assert found["study/mean_top1_accuracy"] == BEST[0]
    going_on = third.model_copy(update={"status": "unfinished"})
    other = judgements.each[0].model_copy(update={"seeds": (first, second, going_on)})
    unfinished = Judgements((other,))
    found = _metrics(unfinished, seeds_of(unfinished), [])
    assert found["study/runs"] == 3
    assert found["study/mean_top1_accuracy"] == pytest.approx(fmean(BEST[:2]))


def test_the_sentence_is_about_the_runs_and_the_epoch_that_its_number_has(tmp_path: Path) -> None:
    one, two, three = fashion_runs(*FASHION_COUNTS)
    gone = [one, two, replace(three, status="diverged")]
    (found,) = report((study(tmp_path / "diverged", gone),), target=REPRODUCTION).headlines
    assert "3 runs of" in found.sentence
    assert "mean top-1 of the 2 completed 95.19 %" in found.sentence
    (found,) = report((study(tmp_path / "one", [one]),), target=REPRODUCTION).headlines
    assert "top-1 95.15 % (center_crop, best of 4 epochs; the last epoch's is 95.00 %)" in (
        found.sentence
    )


def test_images_that_the_answer_is_about_are_those_of_the_declared_seeds(tmp_path: Path) -> None:
    runs = [*fashion_runs(*FASHION_COUNTS)]
    tiny = replace(runs[0], seed=0, evaluated=500, correct={"center_crop": 400}, by_epoch=())
    text = judgement_text(verdict([study(tmp_path, [*runs, tiny])], target=REPRODUCTION))
    assert "another draw of 10,000 would move both" in text


def with_counts(index: int, *counts: int | None) -> list[Planted]:
    rows = list(FASHION_COUNTS)
    rows[index] = counts  # type: ignore[call-overload]
    return fashion_runs(*rows)


def changed(recipe: Recipe, **changes: object) -> list[Planted]:
    other = recipe.model_copy(update=changes)
    return [replace(run, recipe=other) for run in fashion_runs(*FASHION_COUNTS)]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (
            with_counts(2, 9300, None, 9529, 9500),
            "seed 3: 1 of 4 per-epoch evaluations are missing (after epoch 2)",
        ),
        (
            with_counts(0, *[None] * 9, 9500),
            "9 of 10 per-epoch evaluations are missing (after epoch 1, 2, 3, 4, 5 and 4 more)",
        ),
        (
            changed(RECIPE, selection="last"),
            "the recipe's accuracy is that of the last epoch, the target's that of the best epoch",
        ),
        (
            changed(
                RECIPE,
                epoch_protocol=RECIPE.epoch_protocol.model_copy(update={"mirror": True}),
            ),
            "its epochs under another protocol than the target's, differs in: mirror",
        ),
    ],
    ids=["one epoch missing", "all epochs missing", "another selection", "another protocol"],
)
def test_what_cannot_decide_says_so(tmp_path: Path, runs: list[Planted], said: str) -> None:
    judgement = judged(tmp_path, runs)
    assert (judgement.word, judgement.exit_code) == ("inconclusive", 3)
    assert said in " | ".join(judgement.reasons)


def test_an_epoch_seen_in_part_cannot_decide(tmp_path: Path) -> None:
    folder = study(tmp_path, fashion_runs(*FASHION_COUNTS))
    path = folder / "seed-2" / FILE_NAME
    lines = events_of(path)
    place = next(i for i, line in enumerate(lines) if '"top1_correct":9490' in line)
    lines[place] = lines[place].replace('"images":10000', '"images":9900')
    rewrite(path, lines)
    (judgement,) = verdict([folder], target=PAPER).each
    assert judgement.word == "inconclusive"
    assert "seed 2: 1 of 4 per-epoch evaluations saw a part" in " | ".join(judgement.reasons)
    assert "(after epoch 2)" in " | ".join(judgement.reasons)


def test_a_target_of_the_last_step_takes_no_recipe_of_the_best_epoch(tmp_path: Path) -> None:
    runs = [
        replace(run, recipe=run.recipe.model_copy(update={"selection": "best_epoch"}))
        for run in imagenet_runs(77.6, 77.7, 77.8)
    ]
    (judgement,) = verdict([study(tmp_path, runs)]).each
    assert judgement.word == "inconclusive"
    assert "that of the best epoch, the target's that of the last" in judgement.reasons[-1]


def test_an_evaluation_that_the_recipe_does_not_ask_for_is_not_chosen(tmp_path: Path) -> None:
    """`--steps N --eval-images M` evaluates at a step that ends no epoch."""
    (run,) = fashion_runs(FASHION_COUNTS[0])
    folder = plant(tmp_path / "seed-1", run)
    path = folder / FILE_NAME
    lines = events_of(path)
    place = next(i for i, line in enumerate(lines) if '"top1_correct":9515' in line)
    stray = lines[place].replace('"step":20,', '"step":25,').replace("9515", "9999")
    assert stray != lines[place]
    lines.insert(place + 1, stray)
    rewrite(path, lines)
    found = counted(read_summary(folder), run.recipe.epoch_protocol, "best_epoch")
    assert found
    assert (found.evaluation.top1_correct, found.chosen_from) == (9515, 4)


def test_a_threshold_may_be_about_the_best_epoch(tmp_path: Path) -> None:
    base = published(REPRODUCTION).model_dump(mode="json")
    kept = ("name", "recipe", "data", "protocol", "selection", "declared_seeds", "source")
    reasons = dict.fromkeys(("threshold", "declared_seeds", "confidence"), "as a test")
    document = {key: base[key] for key in kept} | {
        "kind": "threshold", "threshold": 0.9512, "confidence": 0.95, "reasons": reasons,
    }  # fmt: skip
    target = ThresholdTarget.model_validate_json(json.dumps(document))
    runs = summaries(tmp_path, fashion_runs(*FASHION_COUNTS))
    (judgement,) = judge(runs, [target]).each
    assert judgement.word == "reproduced"
    assert judgement.numbers is not None
    assert judgement.numbers.kind == "threshold"
    assert judgement.numbers.lowest == BEST[0]


def both(folder: Path) -> Judgements:
    return verdict([study(folder, fashion_runs(*FASHION_COUNTS))])


def test_a_study_is_judged_against_every_target(tmp_path: Path) -> None:
    found = both(tmp_path)
    words = {one.target: one.word for one in found.each}
    assert words == {PAPER: "not_reproduced", REPRODUCTION: "reproduced"}
    assert list(words) == [PAPER, REPRODUCTION], "the one named as the recipe comes first"
    assert found.worst.target == PAPER
    assert found.exit_code == 1
    assert found.against(REPRODUCTION).exit_code == 0


def test_the_command_prints_every_answer_and_exits_with_the_worst(tmp_path: Path) -> None:
    folder = str(study(tmp_path, fashion_runs(*FASHION_COUNTS)))
    text = CliRunner().invoke(command, [folder])
    assert text.exit_code == 1
    assert f"verdict against {PAPER}: NOT REPRODUCED" in text.output
    assert f"verdict against {REPRODUCTION}: REPRODUCED" in text.output
    assert text.output.count("chosen from") == 1, "the same runs are printed once"
    several = json.loads(CliRunner().invoke(command, [folder, "--json"]).output)
    assert [one["target"] for one in several] == [PAPER, REPRODUCTION]
    one = CliRunner().invoke(command, [folder, "--json", "--target", REPRODUCTION])
    assert one.exit_code == 0
    assert json.loads(one.output)["word"] == "reproduced"


def test_the_page_has_an_answer_and_evidence_for_each_target(tmp_path: Path) -> None:
    content = report((study(tmp_path, fashion_runs(*FASHION_COUNTS)),))
    assert [one.word for one in content.headlines] == ["not reproduced", "reproduced"]
    assert all(
        f"against {name}" in one.sentence
        for name, one in zip((PAPER, REPRODUCTION), content.headlines, strict=True)
    )
    titles = [section.title for section in content.sections if "evidence" in section.name]
    assert titles == [f"Evidence: {PAPER}", f"Evidence: {REPRODUCTION}"]
    names = [section.name for section in content.sections]
    assert len(set(names)) == len(names)
    page, text = html(content), markdown(content)
    assert page.count('class="answer"') == 2
    assert "each filled row decides alone" in page
    assert text.count("**not reproduced**") == text.count("**reproduced**") == 1


def test_rows_are_held_against_the_epoch_that_they_state(tmp_path: Path) -> None:
    found = {row.name: row for row in both(tmp_path).each[0].baselines}
    best, last = (found[f"{REPRODUCTION}-{epoch}-epoch"] for epoch in ("best", "last"))
    assert best.difference == pytest.approx(fmean(BEST) - 0.95216)
    assert last.difference == pytest.approx(fmean(LAST) - 0.94958)
    assert (best.selection, last.selection) == ("best_epoch", "last")
    assert "zhong2020-fashion-resnet20-random-erasing" in found
    assert not [name for name in found if "cifar" in name or "resnet32" in name]
    assert both(tmp_path / "again").each[1].baselines == ()


def test_a_row_that_states_no_epoch_is_compared_with_the_last_and_says_so(tmp_path: Path) -> None:
    runs = imagenet_runs(77.6, 77.7, 77.8)
    (judgement,) = verdict([study(tmp_path / "last", runs)]).each
    assert judgement.baselines
    assert all("selection" in row.unstated for row in judgement.baselines)
    best = [
        replace(run, recipe=run.recipe.model_copy(update={"selection": "best_epoch"}))
        for run in runs
    ]
    rows = load_baselines().accuracy
    runs_of_best = summaries(tmp_path / "best", best)
    assert judge(runs_of_best, [load_target("target")], rows=rows).each[0].baselines == ()


def test_a_stated_spread_is_taken_in_its_wider_reading() -> None:
    paper, reproduction = (published(name).run_spread for name in (PAPER, REPRODUCTION))
    assert paper.standard_deviation == pytest.approx(0.0008 * math.sqrt(5 / 4))
    assert reproduction.standard_deviation == 0.00063
    assert paper.df == reproduction.df == 4
    assert published("target").run_spread == published("target").spread


def test_the_stated_spread_is_in_the_deciding_interval(tmp_path: Path) -> None:
    numbers = both(tmp_path).each[0].numbers
    assert numbers is not None
    assert numbers.kind == "published"
    ours, theirs = stdev(BEST) ** 2 / 3, 0.0008**2 * 5 / 4 / 5
    assert numbers.standard_error == pytest.approx(math.sqrt(ours + theirs), rel=1e-9)
    df = (ours + theirs) ** 2 / (ours**2 / 2 + theirs**2 / 4)
    assert numbers.df == pytest.approx(df, rel=1e-9)
    assert numbers.difference == pytest.approx(fmean(BEST) - 0.9561)


@pytest.mark.parametrize(("name", "rival"), [(PAPER, 0.95216), (REPRODUCTION, 0.9561)])
def test_the_registered_reasons_state_the_power_that_the_plan_has(name: str, rival: float) -> None:
    target = published(name)
    design = design_of(target, 3)
    at_zero = chances(design, 0.0).reproduced
    at_rival = chances(design, rival - target.top1)
    decided = at_rival.not_reproduced if rival < target.top1 else at_rival.exceeds
    assert at_rival.reproduced < 0.001
    assert f"chance {at_zero:.2f}" in target.reasons.margin
    assert f"with {decided:.2f}" in target.reasons.margin
    two = chances(design_of(target, 2), 0.0).reproduced
    assert f"{two:.2f} with two and {at_zero:.2f} with three" in target.reasons.min_seeds


def test_a_judgement_of_the_last_epoch_is_written_as_it_always_was(tmp_path: Path) -> None:
    (judgement,) = verdict([study(tmp_path, imagenet_runs(77.6, 77.7, 77.8))]).each
    document = json.loads(judgement.model_dump_json())
    assert not {"selection", "choosing"} & set(document)
    assert not {"epoch", "chosen_from", "last_top1_accuracy"} & set(document["seeds"][0])
    assert "selection" not in document["baselines"][0]
    assert Judgement.model_validate_json(json.dumps(document)) == judgement


def test_what_reaches_mlflow_of_several_targets(tmp_path: Path) -> None:
    found = both(tmp_path)
    metrics = _metrics(found, seeds_of(found), [])
    assert metrics["study/mean_top1_accuracy"] == pytest.approx(fmean(BEST))
    assert metrics["study/mean_best_epoch_top1_accuracy"] == pytest.approx(fmean(BEST))
    assert metrics["study/mean_last_epoch_top1_accuracy"] == pytest.approx(fmean(LAST))
    assert metrics[f"study/{PAPER}/difference"] == pytest.approx(fmean(BEST) - 0.9561)
    assert f"study/{REPRODUCTION}/difference_low" in metrics


def test_a_bundle_holds_every_answer_and_all_are_computed_again(tmp_path: Path) -> None:
    folder = study(tmp_path / "runs" / "study", fashion_runs(*FASHION_COUNTS))
    bundle((folder,), tmp_path / "b.tar")
    assert verify(tmp_path / "b.tar").word == "not_reproduced, reproduced"


def test_a_recipe_without_target_shows_its_best_epoch(tmp_path: Path) -> None:
    recipe = find_recipe("smoke").model_copy(update={"selection": "best_epoch"})
    run = fashion_runs(FASHION_COUNTS[0])[0]
    other = replace(
        run,
        recipe=recipe,
        correct={p.name: 9400 for p in (recipe.epoch_protocol, *recipe.final_protocols)},
    )
    (judgement,) = judge(summaries(tmp_path, [other]), []).each
    assert judgement.word == "no_target"
    assert (judgement.seeds[0].top1_accuracy, judgement.seeds[0].epoch) == (0.9515, 2)
