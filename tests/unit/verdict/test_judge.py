"""Each verdict word from planted journals, in the order that the rule fixes."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from scipy import stats

from harness.analysis.verdict import verdict
from harness.baselines import load_baselines, load_target
from harness.baselines.loading import baselines_folder
from harness.cli.judge.verdict import command
from harness.errors import RecordError, UsageError
from harness.recipes.catalogue import find_recipe
from harness.recipes.protocol import center_crop, ten_crop
from harness.recipes.settings import with_settings
from harness.record.journal import FILE_NAME, read_journal
from harness.record.schema import EffectiveNumerics, RegisteredTarget, Resumed
from harness.record.summary import read_summary, summarise
from harness.verdict.checks import divided_normalisation
from harness.verdict.judge import judge
from harness.verdict.judgement import EXIT_CODES, Judgement, Judgements
from harness.verdict.text import judgement_text
from tests.chained_journals import change, events_of, rewrite
from tests.planted_journals import (
    DIGITS,
    IMAGENET,
    NUMERICS,
    Planted,
    imagenet_runs,
    plant,
    smoke_runs,
    started,
    study,
)

GOOD = (77.60, 77.70, 77.80)
"""Mean 77.70: its interval is +-0.23 points, well inside the margin."""


def only(judgements: Judgements) -> Judgement:
    (judgement,) = judgements.each
    return judgement


def judged(folder: Path, runs: list[Planted]) -> Judgement:
    return only(verdict([study(folder, runs)]))


@pytest.mark.parametrize(
    ("accuracies", "word", "said"),
    [
        (GOOD, "reproduced", "wholly inside"),
        ((77.70, 77.71, 77.73), "reproduced", "wholly inside"),
        ((77.10, 77.14, 77.18), "inconclusive", "lower limit"),
        ((76.70, 76.80, 76.90), "not_reproduced", "wholly below"),
        ((78.00, 78.20, 78.25), "inconclusive", "upper limit"),
        ((78.70, 78.80, 78.90), "exceeds", "wholly above"),
        ((75.0, 77.7, 80.4), "inconclusive", "both limits"),
    ],
)
def test_the_interval_decides(
    tmp_path: Path, accuracies: tuple[float, ...], word: str, said: str
) -> None:
    judgement = judged(tmp_path, imagenet_runs(*accuracies))
    assert judgement.word == word
    assert said in judgement.reasons[0]


def test_numbers_equal_a_computation_by_hand(tmp_path: Path) -> None:
    # In points, as exact fractions: s^2 / n is 1/300, the target's variance (104/1000)^2.
    ours, theirs = Fraction(1, 300), Fraction(104, 1000) ** 2
    df = (ours + theirs) ** 2 / (ours**2 / 2 + theirs**2 / 24)
    numbers = judged(tmp_path, imagenet_runs(*GOOD)).numbers
    assert numbers is not None
    assert numbers.kind == "published"
    assert 100 * numbers.standard_error == pytest.approx(math.sqrt(ours + theirs), rel=1e-9)
    assert numbers.df == pytest.approx(float(df), rel=1e-9)
    assert 100 * numbers.difference == pytest.approx(-0.02, abs=1e-9)
    assert not numbers.difference_excludes_zero


def with_change(runs: list[Planted], index: int, **changes: object) -> list[Planted]:
    return [replace(run, **changes) if i == index else run for i, run in enumerate(runs)]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (imagenet_runs(77.6, 77.7), "2 seeds, at least 3 are needed"),
        (imagenet_runs(77.6), "1 seed, at least 3"),
        (with_change(imagenet_runs(*GOOD), 2, seed=7), "declared seed 3 is missing"),
        (with_change(imagenet_runs(*GOOD), 2, marks_of=1), "copies of one run"),
        (with_change(imagenet_runs(*GOOD), 0, deviations=("batch=64",)), "--set batch=64"),
        (with_change(imagenet_runs(*GOOD), 0, init_weights="w.h5"), "imported weights"),
        (with_change(imagenet_runs(*GOOD), 1, status="stopped"), "stopped at step 300"),
        (with_change(imagenet_runs(*GOOD), 1, status=None, steps=200), "unfinished at step 200"),
        (with_change(imagenet_runs(*GOOD), 1, evaluated=49_000), "49,000 of 50,000 images"),
        (
            with_change(imagenet_runs(*GOOD), 1, correct={"center_crop": 38_000}),
            "another protocol, differs in: crops (center, the target's ten), mirror (False,",
        ),
        (
            with_change(
                imagenet_runs(*GOOD), 1, data=IMAGENET.model_copy(update={"root_digest": "2" * 64})
            ),
            "2 different data sets",
        ),
        (
            with_change(
                imagenet_runs(*GOOD),
                0,
                data=IMAGENET.model_copy(update={"root_digest": "2" * 64, "kind": "other"}),
            ),
            "2 different data sets",
        ),
        (
            [
                replace(run, data=IMAGENET.model_copy(update={"val_images": 49_999}))
                for run in imagenet_runs(*GOOD)
            ],
            "val_images is 49999, the target's 50000",
        ),
        (imagenet_runs(77.7, 77.7, 77.7), "the same accuracy"),
    ],
)  # fmt: skip
def test_what_cannot_decide_says_so(tmp_path: Path, runs: list[Planted], said: str) -> None:
    judgement = judged(tmp_path, runs)
    assert judgement.word == "inconclusive"
    assert judgement.exit_code == 3
    assert said in " | ".join(judgement.reasons)


def test_a_stop_by_the_early_gate_is_a_stop_until_the_run_goes_on(tmp_path: Path) -> None:
    folder = study(tmp_path, with_change(imagenet_runs(*GOOD), 1, status=None, steps=200))
    journal = folder / "seed-2" / FILE_NAME
    change(journal, '"reason":"signal"', '"reason":"gate"')
    judgement = only(verdict([folder]))
    assert judgement.word == "inconclusive"
    assert "seed 2: stopped at step 200 of 300" in judgement.reasons


def test_the_last_step_counts_not_the_best_epoch(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(76.7, 76.8, 76.9))
    path = folder / "seed-1" / FILE_NAME
    lines = events_of(path)
    better = next(line for line in lines if '"ten_crop"' in line and '"evaluation"' in line)
    earlier = better.replace('"step":300', '"step":200').replace('"final":true', '"final":false')
    earlier = earlier.replace('"top1_correct":38350', '"top1_correct":39999')
    assert earlier != better
    rewrite(path, [*lines[:-3], earlier, *lines[-3:]])
    assert only(verdict([folder])).word == "not_reproduced"


def test_a_declared_seed_that_diverged_is_not_reproduced(tmp_path: Path) -> None:
    judgement = judged(tmp_path, with_change(imagenet_runs(*GOOD), 1, status="diverged"))
    assert (judgement.word, judgement.exit_code) == ("not_reproduced", 1)
    assert "declared seed 2 diverged" in judgement.reasons[0]


def test_an_obstacle_comes_before_divergence(tmp_path: Path) -> None:
    runs = with_change(imagenet_runs(77.6, 77.7), 1, status="diverged")
    assert judged(tmp_path, runs).word == "inconclusive"


def test_one_run_twice_counts_once(tmp_path: Path) -> None:
    one = plant(tmp_path / "a" / "seed-1", imagenet_runs(77.7)[0])
    other = plant(tmp_path / "b" / "seed-1", imagenet_runs(77.7)[0])
    judgement = only(judge([read_summary(one), read_summary(other)], [load_target("target")]))
    assert "seed 1 occurs 2 times" in " | ".join(judgement.reasons)


@pytest.mark.parametrize(
    ("correct", "word", "code"),
    [
        ((355, 350), "reproduced", 0),
        ((345, 345), "reproduced", 0),
        ((344, 355), "not_reproduced", 1),
    ],
)
def test_the_threshold_is_for_every_declared_seed(
    tmp_path: Path, correct: tuple[int, ...], word: str, code: int
) -> None:
    judgement = judged(tmp_path, smoke_runs(*correct))
    assert (judgement.word, judgement.exit_code) == (word, code)
    assert judgement.numbers is not None
    assert judgement.numbers.kind == "threshold"
    test = stats.binomtest(correct[0], 355, alternative="greater")
    low = test.proportion_ci(0.95, method="exact").low
    assert judgement.seeds[0].lower_bound == pytest.approx(low, rel=1e-9)


def test_a_missing_smoke_seed_is_inconclusive(tmp_path: Path) -> None:
    assert judged(tmp_path, smoke_runs(350)).word == "inconclusive"


def test_other_data_has_no_target(tmp_path: Path) -> None:
    other = DIGITS.model_copy(update={"root_digest": "9" * 64, "kind": "other", "name": "fruit"})
    judgement = judged(tmp_path, [replace(run, data=other) for run in smoke_runs(300, 301)])
    assert (judgement.word, judgement.exit_code) == ("no_target", 3)
    assert "no target for this data" in judgement_text(Judgements((judgement,))).lower()
    assert "root_digest" in judgement.reasons[0]


def test_runs_of_different_recipes_are_refused(tmp_path: Path) -> None:
    plant(tmp_path / "seed-1", imagenet_runs(77.7)[0])
    plant(tmp_path / "seed-2", smoke_runs(350, 350)[1])
    with pytest.raises(UsageError, match="2 different recipes"):
        verdict([tmp_path])


def test_runs_left_out_by_hand_are_listed(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(77.6, 77.7, 77.8, 70.0))
    judgement = only(verdict([folder / f"seed-{seed}" for seed in (1, 2, 3)]))
    assert judgement.left_out == (str(folder / "seed-4"),)
    assert "left out by hand" in judgement_text(Judgements((judgement,)))
    assert only(verdict([folder])).seeds[3].top1_accuracy == 0.7


def test_a_renamed_run_still_counts_and_is_still_listed(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(77.6, 77.7, 77.8, 70.0))
    renamed = (folder / "seed-4").rename(folder / "bad-seed-4")
    assert [seed.seed for seed in only(verdict([folder])).seeds] == [1, 2, 3, 4]
    left_out = only(verdict([folder / f"seed-{seed}" for seed in (1, 2, 3)])).left_out
    assert left_out == (str(renamed),)


def test_a_doubled_run_is_in_no_difference_from_a_baseline(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", imagenet_runs(*GOOD))
    assert only(verdict([folder])).baselines
    again = plant(tmp_path / "again" / "seed-1", imagenet_runs(*GOOD)[0])
    assert only(verdict([folder, again])).baselines == ()
    copied = study(tmp_path / "copied", with_change(imagenet_runs(*GOOD), 2, marks_of=1))
    assert only(verdict([copied])).baselines == ()


@pytest.mark.parametrize(
    ("runs", "target", "said"),
    [
        (imagenet_runs(*GOOD), "smoke", "about the recipe smoke, the runs are of apm5-resnet50"),
        (
            [replace(run, data=run.data.model_copy(update={"kind": "other"}))
             for run in smoke_runs(350, 350)],
            "smoke",
            "kind is other, the target's digits",
        ),
    ],
)  # fmt: skip
def test_a_named_target_that_does_not_fit_is_refused(
    tmp_path: Path, runs: list[Planted], target: str, said: str
) -> None:
    with pytest.raises(UsageError, match="does not apply to these runs") as caught:
        verdict([study(tmp_path, runs)], target=baselines_folder() / f"{target}.toml")
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_journal_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(*GOOD))
    path = folder / "seed-2" / FILE_NAME
    path.write_text(path.read_text().replace('"schema_version":1', '"schema_version":2'))
    with pytest.raises(RecordError, match="schema version 2"):
        verdict([folder])


def test_the_fast_reader_reads_what_the_full_one_does(tmp_path: Path) -> None:
    folder = plant(tmp_path, imagenet_runs(77.7)[0])
    fast, full = read_summary(folder), summarise(read_journal(folder))
    assert fast.mark_steps.tolist() == full.mark_steps.tolist() == [0, 99, 100, 199, 200, 299]
    assert fast.fingerprints.tolist() == full.fingerprints.tolist()
    assert (fast.started, fast.evaluations, fast.finished) == (
        full.started, full.evaluations, full.finished,
    )  # fmt: skip


def _without_line(lines: list[str]) -> list[str]:
    return lines[:2] + lines[3:]


def _bad_mark(lines: list[str]) -> list[str]:
    at = lines[1].index('"fingerprint":["') + len('"fingerprint":["')
    return [lines[0], lines[1][:at] + "zz" + lines[1][at + 2 :], *lines[2:]]


def _fewer_marks(lines: list[str]) -> list[str]:
    begin = lines[1].index('"fingerprint":["')
    end = lines[1].index('"]', begin)
    return [lines[0], lines[1][: begin + 33] + lines[1][end:], *lines[2:]]


@pytest.mark.parametrize("edit", [_without_line, _bad_mark, _fewer_marks])
def test_an_edited_journal_is_refused(tmp_path: Path, edit: object) -> None:
    path = plant(tmp_path, imagenet_runs(77.7)[0]) / FILE_NAME
    assert callable(edit)
    rewrite(path, edit(events_of(path)))
    with pytest.raises(RecordError):
        read_summary(path)


def test_a_torn_end_is_said(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(*GOOD))
    with (folder / "seed-1" / FILE_NAME).open("a") as file:
        file.write('{"schema_version":1,"time')
    assert any("25 bytes of a torn" in warning for warning in only(verdict([folder])).warnings)


def go_on_under(run: Path, numerics: EffectiveNumerics) -> None:
    """The run was resumed after step 100, and other numerics were accepted."""
    lines = events_of(run / FILE_NAME)
    resumed = Resumed(
        time_s=1.0, step=100, file=None, numerics=numerics, numerics_digest=numerics.digest,
        accepted_numerics=True,
    )  # fmt: skip
    rewrite(run / FILE_NAME, [*lines[:2], resumed.model_dump_json(), *lines[2:]])


def test_a_resume_under_other_numerics_is_a_warning(tmp_path: Path) -> None:
    folder = study(tmp_path, imagenet_runs(*GOOD))
    go_on_under(folder / "seed-2", NUMERICS.model_copy(update={"intra_op_threads": 8}))
    judgement = only(verdict([folder]))
    assert judgement.word == "reproduced"
    assert any("other numerics from step 100" in warning for warning in judgement.warnings)


EIGHT = NUMERICS.model_copy(update={"devices": NUMERICS.devices * 8})
SHARES = "batch normalisation over 16 images on each of 8 devices, the recipe's batch is 128"


def test_normalising_a_share_of_the_batch_is_a_warning(tmp_path: Path) -> None:
    """Seed 2 began on eight devices, seed 3 went on with them."""
    runs = with_change(imagenet_runs(*GOOD), 1, numerics=EIGHT)
    folder = study(tmp_path, runs)
    go_on_under(folder / "seed-3", EIGHT)
    judgement = only(verdict([folder]))
    assert judgement.word == "reproduced"
    found = [warning for warning in judgement.warnings if "normalisation" in warning]
    assert found == [f"seed {seed}: {SHARES}" for seed in (2, 3)]


def test_normalising_the_whole_batch_on_many_devices_needs_no_word() -> None:
    run = imagenet_runs(*GOOD)[0]
    synchronised = with_settings(run.recipe, ("model.batch_norm=synchronised",))
    for recipe, numerics in ((synchronised, EIGHT), (run.recipe, NUMERICS)):
        assert not divided_normalisation(
            started(replace(run, recipe=recipe, numerics=numerics)), ()
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"margin": 0.01}, "changed after the run had begun, in margin"),
        ({"declared_seeds": (1, 2, 4), "alpha": 0.1}, "in alpha, declared_seeds"),
        ({"recipe_digest": "0" * 64}, "the target asks for 00000000"),
    ],
)
def test_a_target_is_the_one_that_the_runs_began_under(
    tmp_path: Path, change: dict[str, object], said: str | None
) -> None:
    target = load_target("target")
    began = RegisteredTarget(name=target.name, digest=target.digest, demands=target.demands())
    planted = imagenet_runs(*GOOD)
    runs = [read_summary(plant(tmp_path / str(run.seed), run)) for run in planted]
    runs = [
        replace(run, started=run.started.model_copy(update={"targets": (began,)})) for run in runs
    ]
    judgement = only(judge(runs, [target.model_copy(update=change)]))
    if said is None:
        assert judgement.word == "reproduced"
    else:
        assert judgement.word == "inconclusive"
        assert any(said in reason for reason in judgement.reasons)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        (
            "zhong2020-fashion-resnet20",
            "81686355ab18da31de3a3a14aef8fcdc37a75ff64b5a28b67342728527e92b14",
        ),
        (
            "chenbill-fashion-resnet20",
            "f0128808040380ab83b445e5c743841631ba8cb446979da795c5a947f3a4c1ea",
        ),
    ],
)
def test_targets_whose_runs_have_begun_demand_what_they_did(name: str, digest: str) -> None:
    assert load_target(name).digest == digest


def test_targets_bind_the_digest_of_their_recipe() -> None:
    for target in load_baselines().targets:
        assert target.recipe_digest == find_recipe(target.recipe).digest


def test_only_reproduced_exits_with_zero_and_only_not_reproduced_with_one() -> None:
    assert [word for word, code in EXIT_CODES.items() if code == 0] == ["reproduced"]
    assert [word for word, code in EXIT_CODES.items() if code == 1] == ["not_reproduced"]
    assert set(EXIT_CODES.values()) == {0, 1, 3}


def test_words_about_a_target_may_change() -> None:
    target = load_target("target")
    source = target.source.model_copy(update={"note": "another note"})
    assert target.model_copy(update={"source": source}).digest == target.digest


def test_the_command_prints_text_or_one_document(tmp_path: Path) -> None:
    folder = str(study(tmp_path, imagenet_runs(*GOOD)))
    text = CliRunner().invoke(command, [folder])
    assert text.exit_code == 0
    assert "REPRODUCED" in text.output
    assert "77.72 %" in text.output
    document = CliRunner().invoke(command, [folder, "--json"])
    assert Judgement.model_validate_json(document.output).word == "reproduced"
    assert json.loads(document.output)["numbers"]["published"] == 0.7772


def test_targets_speak_of_what_the_recipes_measure() -> None:
    targets = {target.name: target for target in load_baselines().targets}
    for target in targets.values():
        recipe = find_recipe(target.recipe)
        assert target.protocol == recipe.protocols()[target.protocol.name]
        assert target.selection == recipe.selection
        if target.selection == "best_epoch":
            assert target.protocol == recipe.epoch_protocol
    assert load_target("target").protocol == ten_crop()
    assert load_target("target").protocol.differences(center_crop()) == ("crops", "mirror")
