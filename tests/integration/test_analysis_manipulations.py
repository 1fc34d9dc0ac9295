"""What each way to talk a verdict round is answered.

What only a replay finds is listed under `Manipulations` in `docs/verdicts.md`.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import harness.analysis.bundle as bundling
from harness.analysis.bundle import bundle
from harness.analysis.verdict import verdict
from harness.analysis.verify import verify
from harness.baselines import load_target
from harness.baselines.loading import baselines_folder
from harness.errors import HarnessError
from harness.record.journal import FILE_NAME
from harness.runner.begin import registered_targets
from harness.verdict.text import judgement_text
from tests.manipulations import (
    GOOD,
    Made,
    another_name,
    another_protocols_predictions,
    another_seeds_predictions,
    as_known,
    best_subset,
    copied,
    diverged_aside_damaged,
    diverged_deeper,
    diverged_deleted,
    diverged_repeated,
    diverged_replaced,
    edit,
    edited_count,
    edited_prediction,
    ended_twice,
    extra_seeds,
    labels_as_predicted,
    last_steps_taken_out,
    line_edited,
    margin_widened,
    one_prediction_turned,
    part_called_the_whole,
    real_runs,
    recipe_changed,
    registered,
    registered_digest_edited,
    rewritten_after_its_head_was_published,
    second_evaluation,
    seeds_redeclared,
    stale_digest,
    tracker,
)
from tests.planted_journals import (
    FASHION_COUNTS,
    NUMERICS,
    Planted,
    fashion_runs,
    imagenet_runs,
    plant,
    study,
)


def answer(paths: list[Path], target: Path | None = None) -> tuple[int, str]:
    """Exit code and text of `harness verdict`."""
    try:
        judgements = verdict(paths, target=target)
    except HarnessError as error:
        return error.exit_code, str(error)
    return judgements.exit_code, judgement_text(judgements)


@pytest.mark.parametrize(
    ("made", "code", "said"),
    [
        (last_steps_taken_out, 2, "200 steps, called completed after step 300"),
        (ended_twice, 2, "1 beginnings and 2 ends"),
        (part_called_the_whole, 1, "the number of validation images at ten_crop is 1000"),
        (registered_digest_edited, 1, "the digest of the registered target apm5-resnet50-ten"),
        (another_protocols_predictions, 1, "the predictions' protocol is"),
        (another_seeds_predictions, 3, "have the same predictions, bit for bit"),
        (labels_as_predicted, 1, "the digest of images and labels is"),
        (diverged_deeper, 3, "seed 2 was run more than once"),
        (diverged_aside_damaged, 3, "seed 2 was run more than once"),
        (line_edited, 2, "the journal's chain is broken: line"),
        (rewritten_after_its_head_was_published, 1, "the one whose head was published"),
        (diverged_deleted, 3, "seed 2 was run more than once: MLflow's run another-, deleted"),
        (edited_count, 1, "the number of top-1 hits is"),
        (edited_prediction, 1, "the number of top-1 hits is"),
        (margin_widened, 3, "changed after the run had begun, in margin"),
        (seeds_redeclared, 3, "changed after the run had begun, in declared_seeds"),
        (another_name, 3, "target not registered before the run: of-my-own"),
        (recipe_changed, 3, "the target asks for 79b8aec7"),
        (stale_digest, 1, "the recipe's digest is"),
        (second_evaluation, 2, "ten_crop is recorded 2 times after step 300"),
        (diverged_replaced, 3, "declared seed 2 is missing"),
        (diverged_repeated, 3, "seed 2 was run more than once"),
        (copied, 3, "are copies of one run"),
        (extra_seeds, 3, "crosses the lower limit"),
        (best_subset, 3, "declared seeds 1, 2, 3 are missing"),
    ],
)
def test_a_manipulation_is_not_reproduced(
    tmp_path: Path, made: Callable[[Path], Made], code: int, said: str
) -> None:
    paths, target = made(tmp_path)
    found, text = answer(paths, target)
    assert found == code
    assert said in text


def test_the_same_studies_without_manipulation_are_reproduced(tmp_path: Path) -> None:
    code, text = answer([study(tmp_path / "planted", registered(*GOOD))])
    assert code == 0
    assert "not registered" not in text
    code, text = answer([real_runs(tmp_path)])
    assert code == 0
    assert "target not registered before the run (seed 1, 2, 3)" in text


def test_a_record_rewritten_as_a_whole_is_left_to_a_replay(tmp_path: Path) -> None:
    runs = real_runs(tmp_path)
    one_prediction_turned(runs, count_too=True)
    assert answer([runs])[0] == 0


def test_runs_of_other_numerics_are_said_and_left_to_a_replay(tmp_path: Path) -> None:
    one, two, three = registered(*GOOD)
    other = NUMERICS.model_copy(update={"tf32": True})
    code, text = answer([study(tmp_path, [one, two, replace(three, numerics=other)])])
    assert code == 0
    assert "executed under different numerics" in text


def test_seeds_beyond_the_declared_ones_change_no_number(tmp_path: Path) -> None:
    alone = verdict([study(tmp_path / "alone", registered(*GOOD))]).each[0]
    more = [*registered(*GOOD, 70.0, 82.0), Planted(9, status="diverged")]
    with_others = verdict([study(tmp_path / "more", more)]).each[0]
    assert (with_others.word, with_others.numbers) == (alone.word, alone.numbers)
    assert with_others.baselines == alone.baselines
    assert [seed.declared for seed in with_others.seeds] == [True] * 3 + [False] * 3
    assert "undeclared seed 9 diverged: loss not finite" in with_others.warnings


def test_predictions_that_are_gone_are_said(tmp_path: Path) -> None:
    runs = real_runs(tmp_path)
    next((runs / "seed-2").glob("predictions-ten_crop-*")).unlink()
    code, text = answer([runs])
    assert code == 0
    assert "seed-2: not counted again, the file is missing: predictions-ten_crop" in text


def test_the_same_run_once_more_is_no_other_run(tmp_path: Path) -> None:
    runs = study(tmp_path, registered(*GOOD))
    shutil.copytree(runs / "seed-2", runs / "kept" / "seed-2")
    plant(runs / "first-try", replace(registered(*GOOD)[1], status=None, steps=100))
    assert answer([runs / f"seed-{seed}" for seed in (1, 2, 3)])[0] == 0


@pytest.mark.parametrize(("top1", "code"), [("0.7770", 0), ("0.7772", 3)])
def test_a_repetition_that_a_tracker_knows_with_the_same_accuracy_changes_nothing(
    tmp_path: Path, top1: str, code: int
) -> None:
    runs = study(tmp_path / "study", registered(*GOOD))
    other = as_known(runs / "seed-2", harness__run_id="another-run", top1_accuracy=top1)
    tracker(tmp_path, {"b" * 32: other})
    assert answer([runs])[0] == code


@pytest.mark.parametrize(("top1", "code"), [("0.9529", 0), ("0.9504", 0), ("0.9530", 3)])
def test_a_repetition_that_a_tracker_has_judged_by_its_best_epoch_changes_nothing(
    tmp_path: Path, top1: str, code: int
) -> None:
    """Seed 3's best epoch has 95.29 %, its last 95.04 %: a tracker holds either."""
    known = registered_targets("zhong2020-fashion-resnet20")
    runs = [replace(run, targets=known) for run in fashion_runs(*FASHION_COUNTS)]
    folder = study(tmp_path / "study", runs)
    other = as_known(folder / "seed-3", harness__run_id="another-run", top1_accuracy=top1)
    tracker(tmp_path, {"b" * 32: other})
    found = verdict([folder], target="chenbill-fashion-resnet20")
    assert found.exit_code == code


def test_predictions_that_no_journal_names_are_said(tmp_path: Path) -> None:
    runs = real_runs(tmp_path)
    gone = {"predictions_file": None, "predictions_digest": None, "top1_correct": 355}
    edit(runs / "seed-1" / FILE_NAME, "evaluation", lambda event: event.update(gone))
    code, text = answer([runs])
    assert code == 0
    assert "the file is missing: that of ten_crop after step 405" in text


def test_a_bundle_holds_the_run_that_was_set_aside(tmp_path: Path) -> None:
    paths, _ = diverged_repeated(tmp_path / "study")
    bundle(paths, tmp_path / "made.tar")
    assert verify(tmp_path / "made.tar").word == "inconclusive"


def test_a_bundle_with_a_widened_target_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its maker judged under a target of his own; registered runs would be inconclusive."""
    own = Path(shutil.copytree(baselines_folder(), tmp_path / "baselines"))
    target = own / "target.toml"
    target.write_text(target.read_text().replace("margin = 0.0050", "margin = 0.02"))
    monkeypatch.setattr(bundling, "baselines_folder", lambda: own)
    bundle([study(tmp_path / "study", imagenet_runs(77.10, 77.14, 77.18))], tmp_path / "made.tar")
    found = verify(tmp_path / "made.tar")
    assert found.word == "reproduced"
    assert "target apm5-resnet50-ten-crop is not this version's, in margin" in found.text()
    assert "target not registered before the run (seed 1, 2, 3)" in found.text()


def test_a_target_of_ones_own_is_registered_by_the_run_that_is_for_it() -> None:
    mine = load_target("target").model_copy(update={"name": "of-my-own", "margin": 0.02})
    names = {one.name: one.digest for one in registered_targets("apm5-resnet50", (mine,))}
    assert names["of-my-own"] == mine.digest
    assert set(names) == {"of-my-own", "apm5-resnet50-ten-crop"}
