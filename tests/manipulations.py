"""Ways to talk a verdict round, each made on a study of its own.

Every study holds its registered targets, as a run of today does, but for the copies of the
committed real runs.
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

from harness.baselines import load_target
from harness.baselines.loading import baselines_folder
from harness.record.journal import FILE_NAME, read_journal
from harness.record.predictions import predictions_table, read_predictions
from harness.runner.begin import registered_targets
from harness.tracking.rows import TOP1_KEY
from tests.chained_journals import events_of, rewrite
from tests.planted_journals import Planted, imagenet_runs, plant, study
from tests.rendered_reports import REPORTS

GOOD = (77.60, 77.70, 77.80)
Made = tuple[list[Path], Path | None]


def registered(*top1_percent: float) -> list[Planted]:
    known = registered_targets("apm5-resnet50")
    return [replace(run, targets=known) for run in imagenet_runs(*top1_percent)]


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
