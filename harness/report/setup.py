"""What a run was made of: recipe, data, environment and the files behind the page."""

import json
from collections.abc import Sequence
from typing import Any

from harness.frozen import flat
from harness.record.schema import DataDecisions
from harness.report.rendering.content import Picture, Section, Table
from harness.report.rendering.wording import (
    MISSING,
    count,
    duration,
    listed,
    moment,
    number,
    plural,
)
from harness.report.run_record import RunRecord

MEGABYTE = 1e6
ROOT_DIGEST = "Root digest: one SHA-256 over every image and label; equal roots are equal data."
HOW_READ = ("name", "as they are", "from a converted copy", "of all, turned by EXIF")


def study(runs: Sequence[RunRecord]) -> Section:
    """What was run: recipe, seeds, lengths, ends."""
    columns = ("run", "recipe", "status", "steps", "epochs", "began", "ended", "wall time")
    rows = tuple(
        (
            run.name,
            f"{run.started.recipe.name}-{run.started.recipe_digest[:8]}",
            run.status,
            f"{count(run.series.end_step)} of {count(run.started.steps_total)}",
            f"{run.series.end_step / run.started.steps_per_epoch:.2f}",
            moment(run.started.time_s),
            moment(run.last_time_s),
            duration(run.last_time_s - run.started.time_s),
        )
        for run in runs
    )
    notes = list(dict.fromkeys(map(_about, runs)))
    table = Table("The runs", columns, rows, frozenset({3, 4, 7}))
    return Section("runs", "What was run", tuple(notes), tables=(table, *_turns(runs)))


def _about(run: RunRecord) -> str:
    """The recipe in words; the smoke's source is that of the digits and of no other data."""
    notes, started = run.started.recipe.notes, run.started
    if started.recipe.name == "smoke" and started.data.kind != "digits":
        return f"{notes.title}."
    return f"{notes.title}. {notes.citation}"


def _turns(runs: Sequence[RunRecord]) -> tuple[Table, ...]:
    rows = tuple(
        (
            run.name,
            moment(event.time_s),
            count(event.step),
            "continued" if event.event == "resumed" else f"stopped: {event.reason}",
            ", ".join(event.skipped) if event.event == "resumed" else event.detail or MISSING,
        )
        for run in runs
        for event in run.interruptions
    )
    if not rows:
        return ()
    columns = ("run", "when", "step", "what", "detail")
    return (Table("Stops and continuations", columns, rows, frozenset({2})),)


WHAT_A_CHAIN_STOPS = (
    "In a chained journal each line carries the digest of the lines before it. That stops "
    "mistakes, and edits after a head was published: in MLflow, in a bundle, on a page. Whoever "
    "rewrites a whole journal before anybody has its head is found only by a replay that somebody "
    "else makes (`harness certify`)."
)


def data(runs: Sequence[RunRecord], contact_sheet: Picture | None, missing: str) -> Section:
    """The data set: counts, root digest, classes, and a look at augmented training images.

    Args:
        runs: At least one.
        contact_sheet: Augmented training images.
        missing: Why there is no contact sheet, if so.
    """
    decided = {run.started.data: run.started.data_decisions for run in runs}
    identities = list(decided)
    rows = tuple(
        (
            one.name,
            one.kind,
            count(one.train_images),
            count(one.val_images),
            count(len(one.classes)),
            one.class_order,
            one.root_digest,
        )
        for one in identities
    )
    columns = ("name", "kind", "training", "validation", "classes", "class order", "root digest")
    files = tuple((one.name, *_decisions(decided[one])) for one in identities)
    paragraphs = []
    if len({one.root_digest for one in identities}) > 1:
        paragraphs.append("The runs did not use the same data: their numbers are not comparable.")
    for one in identities:
        shown = listed(list(one.classes[:20]))
        more = f" and {len(one.classes) - 20} more" if len(one.classes) > 20 else ""
        paragraphs.append(f"Classes of {one.name}: {shown}{more}.")
    if contact_sheet is None:
        paragraphs.append(missing)
    return Section(
        "data",
        "Data",
        tuple(paragraphs),
        tables=(
            Table("Data sets", columns, rows, frozenset({2, 3, 4}), note=ROOT_DIGEST),
            Table("How the files are read", HOW_READ, files, frozenset({1, 2, 3})),
        ),
        pictures=(contact_sheet,) if contact_sheet else (),
    )


def _decisions(found: DataDecisions | None) -> tuple[str, str, str]:
    if found is None:
        return (MISSING,) * 3
    return count(found.as_is), count(found.converted), count(found.turned)


def environment(runs: Sequence[RunRecord]) -> Section:
    """The environment, and what differs between the runs."""
    flat = [_environment_of(run) for run in runs]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    differing = [key for key in keys if len({one.get(key) for one in flat}) > 1]
    common = tuple((key, flat[0][key]) for key in keys if key not in differing)
    if len(runs) == 1:
        words = "One run, so nothing to compare."
    elif differing:
        words = f"{plural(len(differing), 'entry', 'entries')} differ between the runs."
    else:
        words = "The runs began in the same environment: no entry differs."
    tables = [Table("The same for all runs", ("entry", "value"), common, folded=True)]
    if differing:
        rows = tuple((key, *(one.get(key, MISSING) for one in flat)) for key in differing)
        tables.insert(
            0, Table("What differs", ("entry", *(run.name for run in runs)), rows, folded=False)
        )
    return Section("environment", "Environment", (words,), tables=tuple(tables))


def _environment_of(run: RunRecord) -> dict[str, str]:
    started = run.started
    values = {
        "harness version": started.harness_version,
        "git commit": started.git_commit or MISSING,
        "uncommitted changes": {True: "yes", False: "no", None: MISSING}[started.git_dirty],
        **entries("numerics", started.numerics.model_dump(mode="json")),
        **entries("environment", started.environment),
    }
    # A load average is of the moment and differs always.
    values.pop("environment.load_average_1min", None)
    return values


def entries(prefix: str, value: Any) -> dict[str, str]:
    """Leaves of JSON-like data as text by dotted path."""
    return {
        key: leaf if isinstance(leaf, str) else json.dumps(leaf)
        for key, leaf in flat(prefix, value).items()
    }


def files(runs: Sequence[RunRecord]) -> Section:
    """The files that every number here comes from."""
    rows = tuple(
        (
            run.name,
            run.folder,
            run.journal_sha256,
            MISSING if not run.torn_bytes else f"{plural(run.torn_bytes, 'byte')} left out",
            plural(len(run.checkpoints), "checkpoint") + (" kept" if run.excerpt else ""),
            number(sum(one.bytes for one in run.checkpoints) / MEGABYTE) + " MB",
        )
        for run in runs
    )
    columns = ("run", "folder", "sha256 of the journal", "torn last line", "written", "in all")
    words = (
        "Every number of this page is computed from the journals and prediction files beside it.",
        *(f"{run.name}: {run.head.told}" for run in runs),
        *(f"{run.name}: this is {run.excerpt.told}" for run in runs if run.excerpt),
        *((WHAT_A_CHAIN_STOPS,) if any(run.head.linked_from for run in runs) else ()),
    )
    return Section("files", "Sources", words, tables=(Table("Journals", columns, rows),))
