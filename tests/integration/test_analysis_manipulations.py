"""Ways to talk a verdict round, and what each is answered.

Every study holds its registered targets, as a run of today does, but for the copies of the
committed real runs. What only a replay finds is listed under `Manipulations` in
`docs/verdicts.md`.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import harness.analysis.bundle as bundling
from harness.analysis.bundle import bundle
from harness.analysis.verdict import verdict
from harness.analysis.verify import verify
from harness.baselines import load_target
from harness.baselines.loading import baselines_folder
from harness.errors import HarnessError
from harness.record.journal import FILE_NAME, read_journal
from harness.record.predictions import predictions_table, read_predictions
from harness.runner.begin import registered_targets
from harness.tracking.rows import TOP1_KEY
from harness.verdict.text import judgement_text
from tests.chained_journals import events_of, rewrite
from tests.planted_journals import NUMERICS, Planted, imagenet_runs, plant, study
from tests.rendered_reports import REPORTS

GOOD = (77.60, 77.70, 77.80)
Made = tuple[list[Path], Path | None]


def registered(*top1_percent: float) -> list[Planted]:
    known = registered_targets("apm5-resnet50")
    return [replace(run, targets=known) for run in imagenet_runs(*top1_percent)]


def answer(paths: list[Path], target: Path | None = None) -> tuple[int, str]:
    """Exit code and text of `harness verdict`."""
    try:
        judgements = verdict(paths, target=target)
    except HarnessError as error:
        return error.exit_code, str(error)
    return judgements.exit_code, judgement_text(judgements)


def real_runs(folder: Path) -> Path:
    """A copy of the committed runs of the smoke: they have prediction files."""
    (runs,) = (REPORTS / "smoke-digits" / "runs").glob("smoke-*")
    return Path(shutil.copytree(runs, folder / runs.name))


def edit(journal: Path, event: str, change: Callable[[dict[str, object]], None]) -> None:
    """Change the last event of a kind in a journal."""
    lines = events_of(journal)
    at = max(i for i, line in enumerate(lines) if f'"event":"{event}"' in line[:96])
    document = json.loads(lines[at])
    change(document)
    lines[at] = json.dumps(document, separators=(",", ":"))
    rewrite(journal, lines)


def edited_target(folder: Path, old: str, new: str) -> Path:
    text = (baselines_folder() / "target.toml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = folder / "mine.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def edited_count(folder: Path) -> Made:
    runs = real_runs(folder)
    edit(runs / "seed-1" / FILE_NAME, "evaluation", lambda event: event.update(top1_correct=355))
    return [runs], None


def one_prediction_turned(runs: Path, *, count_too: bool) -> None:
    """A wrong image becomes right in the file, and the journal has the file's new digest."""
    journal = runs / "seed-1" / FILE_NAME

    def rewrite(event: dict[str, object]) -> None:
        file = runs / "seed-1" / str(event["predictions_file"])
        table = read_predictions(file)
        labels = table.column("label").to_numpy()
        classes = table.column("top5_class").combine_chunks().flatten().to_numpy().reshape(-1, 5)
        wrong = int(np.flatnonzero(classes[:, 0] != labels)[0])
        places = classes.copy()
        places[wrong] = [labels[wrong], *[c for c in classes[wrong] if c != labels[wrong]][:4]]
        again: pa.Table = predictions_table(
            table.column("image_id").to_pylist(),
            labels,
            places,
            table.column("top5_probability").combine_chunks().flatten().to_numpy().reshape(-1, 5),
            {key.decode(): value.decode() for key, value in table.schema.metadata.items()},
        )
        pq.write_table(again, file)
        event["predictions_digest"] = hashlib.sha256(file.read_bytes()).hexdigest()
        if count_too:
            event["top1_correct"] = int((places[:, 0] == labels).sum())
            event["top5_correct"] = int((places == labels[:, None]).any(axis=1).sum())

    edit(journal, "evaluation", rewrite)


def edited_prediction(folder: Path) -> Made:
    runs = real_runs(folder)
    one_prediction_turned(runs, count_too=False)
    return [runs], None


def margin_widened(folder: Path) -> Made:
    runs = study(folder / "runs", registered(77.10, 77.14, 77.18))
    return [runs], edited_target(folder, "margin = 0.0050", "margin = 0.02")


def seeds_redeclared(folder: Path) -> Made:
    runs = study(folder / "runs", registered(70.0, *GOOD))
    return [runs], edited_target(folder, "seeds = [1, 2, 3]", "seeds = [2, 3, 4]")


def another_name(folder: Path) -> Made:
    runs = study(folder / "runs", registered(77.10, 77.14, 77.18))
    mine = edited_target(folder, "margin = 0.0050", "margin = 0.02")
    mine.write_text(mine.read_text().replace("apm5-resnet50-ten-crop", "of-my-own"))
    return [runs], mine


def recipe_changed(folder: Path) -> Made:
    smaller = registered(77.7)[0].recipe.model_copy(update={"batch": 64})
    return [study(folder, [replace(run, recipe=smaller) for run in registered(*GOOD)])], None


def stale_digest(folder: Path) -> Made:
    runs = study(folder, registered(*GOOD))

    def smaller(event: dict[str, object]) -> None:
        recipe = event["recipe"]
        assert isinstance(recipe, dict)
        recipe["batch"] = 64

    edit(runs / "seed-2" / FILE_NAME, "run_started", smaller)
    return [runs], None


def second_evaluation(folder: Path) -> Made:
    runs = study(folder, registered(76.70, 76.80, 76.90))
    for seed in (1, 2, 3):
        journal = runs / f"seed-{seed}" / FILE_NAME
        lines = events_of(journal)
        marks = ('"event":"evaluation"', '"name":"ten_crop"')
        better = json.loads(next(line for line in lines if all(mark in line for mark in marks)))
        lines.insert(-1, json.dumps({**better, "top1_correct": 38_850 + seed}))
        rewrite(journal, lines)
    return [runs], None


def diverged_replaced(folder: Path) -> Made:
    one, _, three, four = registered(*GOOD, 77.7)
    return [study(folder, [one, three, four])], None


def diverged_repeated(folder: Path) -> Made:
    one, two, three = registered(*GOOD)
    runs = study(folder, [one, two, three])
    plant(runs / "aside", replace(two, status="diverged", marks_of=8))
    return [runs / f"seed-{seed}" for seed in (1, 2, 3)], None


def copied(folder: Path) -> Made:
    return [study(folder, [replace(run, marks_of=1) for run in registered(*GOOD)])], None


def extra_seeds(folder: Path) -> Made:
    return [study(folder, registered(77.10, 77.14, 77.18, *(77.80,) * 9))], None


def best_subset(folder: Path) -> Made:
    runs = study(folder, registered(76.0, 76.1, 76.2, *GOOD))
    return [runs / f"seed-{seed}" for seed in (4, 5, 6)], None


def tracker(runs: Path, known: dict[str, dict[str, str]]) -> None:
    """A tracker beside the runs, with the tables of MLflow that a verdict reads."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as db, db:
        for table in ("tags", "params"):
            db.execute(f"CREATE TABLE {table} (run_uuid TEXT, key TEXT, value TEXT)")
        db.execute("CREATE TABLE runs (run_uuid TEXT, lifecycle_stage TEXT)")
        db.execute("CREATE TABLE latest_metrics (run_uuid TEXT, key TEXT, value REAL)")
        for run, values in known.items():
            db.execute("INSERT INTO runs VALUES (?, ?)", (run, "deleted"))
            for key, value in values.items():
                if key == TOP1_KEY:
                    db.execute("INSERT INTO latest_metrics VALUES (?, ?, ?)", (run, key, value))
                    continue
                table = "tags" if key.startswith(("harness.", "status")) else "params"
                db.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", (run, key, value))


def as_known(folder: Path, **changes: str) -> dict[str, str]:
    journal = read_journal(folder)
    started = journal.started
    return {
        "harness.run_id": started.run_id, "seed": str(started.seed),
        "recipe_digest": started.recipe_digest, "data.root_digest": started.data.root_digest,
        "harness.journal_head": journal.head.text, "status": "completed",
    } | {key.replace("__", "."): value for key, value in changes.items()}  # fmt: skip


def diverged_deleted(folder: Path) -> Made:
    """The folder of a diverged run is gone; the tracker still knows it."""
    runs = study(folder / "study", registered(*GOOD))
    gone = as_known(runs / "seed-2", harness__run_id="another-run", status="diverged")
    tracker(folder, {"a" * 32: as_known(runs / "seed-2"), "b" * 32: gone})
    return [runs], None


def rewritten_after_its_head_was_published(folder: Path) -> Made:
    runs = study(folder / "study", registered(76.70, 77.70, 77.80))
    tracker(folder, {"a" * 32: as_known(runs / "seed-1")})
    edit(runs / "seed-1" / FILE_NAME, "evaluation", lambda event: event.update(top1_correct=38_850))
    return [runs], None


def line_edited(folder: Path) -> Made:
    runs = study(folder, registered(76.70, 77.70, 77.80))
    journal = runs / "seed-1" / FILE_NAME
    journal.write_text(journal.read_text().replace('"top1_correct":38350', '"top1_correct":38850'))
    return [runs], None


def of_all(runs: Path, event: str, change: Callable[[dict[str, object]], None]) -> list[Path]:
    """Change the last event of a kind in every run."""
    for run in sorted(runs.glob("seed-*")):
        edit(run / FILE_NAME, event, change)
    return [runs]


def last_steps_taken_out(folder: Path) -> Made:
    runs = study(folder, registered(*GOOD))
    lines = events_of(runs / "seed-1" / FILE_NAME)
    lines.remove([line for line in lines if '"event":"steps"' in line[:96]][-1])
    rewrite(runs / "seed-1" / FILE_NAME, lines)
    return [runs], None


def ended_twice(folder: Path) -> Made:
    runs = study(folder, registered(*GOOD))
    lines = events_of(runs / "seed-2" / FILE_NAME)
    lines.insert(-1, lines[-1].replace('"completed"', '"diverged"'))
    rewrite(runs / "seed-2" / FILE_NAME, lines)
    return [runs], None


def part_called_the_whole(folder: Path) -> Made:
    runs = study(folder, registered(*GOOD))
    part = {"images": 1000, "images_in_split": 1000, "top1_correct": 777, "top5_correct": 900}
    return of_all(runs, "evaluation", lambda event: event.update(part)), None


def registered_digest_edited(folder: Path) -> Made:
    """The digest is that of the widened target, the demands beside it are the old ones."""
    runs, target = margin_widened(folder)
    digest = load_target(target or "").digest

    def to_the_new_one(event: dict[str, object]) -> None:
        (known,) = [one for one in event["targets"] if one["name"] == "apm5-resnet50-ten-crop"]  # type: ignore[attr-defined]
        known["digest"] = digest

    return of_all(runs[0], "run_started", to_the_new_one), target


def evaluation_of(run: Path, protocol: str) -> dict[str, object]:
    mark = f'"protocol":{{"name":"{protocol}"'
    found: dict[str, object] = json.loads([x for x in events_of(run / FILE_NAME) if mark in x][-1])
    return found


def another_protocols_predictions(folder: Path) -> Made:
    """The center crops' evaluation stands as the ten crops'."""
    runs = real_runs(folder)
    center = evaluation_of(runs / "seed-1", "center_crop")
    ours = {key: center[key] for key in ("predictions_file", "predictions_digest")}
    counts = {key: center[key] for key in ("top1_correct", "top5_correct")}
    edit(runs / "seed-1" / FILE_NAME, "evaluation", lambda event: event.update(**ours, **counts))
    return [runs], None


def another_seeds_predictions(folder: Path) -> Made:
    runs = real_runs(folder)
    theirs = evaluation_of(runs / "seed-2", "ten_crop")
    name = str(theirs["predictions_file"])
    shutil.copy(runs / "seed-2" / name, runs / "seed-1" / name)
    keys = ("top1_correct", "top5_correct", "predictions_digest")
    edit(
        runs / "seed-1" / FILE_NAME,
        "evaluation",
        lambda event: event.update({key: theirs[key] for key in keys}),
    )
    return [runs], None


def labels_as_predicted(folder: Path) -> Made:
    """Every label of one seed's file becomes what the network says."""
    runs = real_runs(folder)
    run = runs / "seed-1"
    file = run / str(evaluation_of(run, "ten_crop")["predictions_file"])
    table = read_predictions(file)
    first = table.column("top5_class").combine_chunks().flatten().to_numpy()[::5]
    pq.write_table(table.set_column(1, "label", pa.array(first)), file)
    changes = {
        "predictions_digest": hashlib.sha256(file.read_bytes()).hexdigest(),
        **dict.fromkeys(("top1_correct", "top5_correct"), len(first)),
    }
    edit(run / FILE_NAME, "evaluation", lambda event: event.update(changes))
    return [runs], None


def diverged_deeper(folder: Path) -> Made:
    one, two, three = registered(*GOOD)
    runs = study(folder, [one, two, three])
    plant(runs / "old" / "seed-2", replace(two, status="diverged", marks_of=8))
    return [runs], None


def diverged_aside_damaged(folder: Path) -> Made:
    """What is damaged behind its first line is still a run of that seed."""
    paths, target = diverged_repeated(folder)
    journal = folder / "aside" / FILE_NAME
    journal.write_bytes(journal.read_bytes().replace(b'"step":[0', b'"step":[1', 1))
    return paths, target


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
