"""What a run was made of: data, environment, determinism, deviations, and how to repeat it."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from harness.frozen import flat
from harness.recipes.catalogue import RECIPES
from harness.record.certificate import Certificate, contradictions
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
WHAT_IS_COMPARED = (
    "A step that is computed again after a resume is compared with the recorded one; a difference "
    "ends the run."
)
HOW_READ = ("name", "as they are", "from a converted copy", "of all, turned by EXIF")
WHERE_BITS_ARE_EQUAL = "Equal bits are promised on a machine with the same numerics digest."


def study(runs: Sequence[RunRecord]) -> Section:
    """What was run: recipe, seeds, lengths, ends."""
    columns = ("run", "recipe", "status", "steps", "epochs", "began", "ended", "wall time")
    rows = tuple(
        (
            run.name,
            f"{run.started.recipe.name}-{run.started.recipe_digest[:8]}",
            run.status,
            f"{count(len(run.series))} of {count(run.started.steps_total)}",
            f"{len(run.series) / run.started.steps_per_epoch:.2f}",
            moment(run.started.time_s),
            moment(run.last_time_s),
            duration(run.last_time_s - run.started.time_s),
        )
        for run in runs
    )
    notes = list(
        dict.fromkeys(
            f"{run.started.recipe.notes.title}. {run.started.recipe.notes.citation}" for run in runs
        )
    )
    table = Table("The runs", columns, rows, frozenset({3, 4, 7}))
    return Section("runs", "What was run", tuple(notes), tables=(table, *_turns(runs)))


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


def data(runs: Sequence[RunRecord], contact_sheet: Picture | None, missing: str) -> Section:
    """The data set: counts, root digest, classes, and a look at augmented training images.

    Args:
        runs: At least one.
        contact_sheet: Augmented training images.
        missing: Why there is no contact sheet, when there is none.
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
    if len(identities) > 1:
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
            Table("Data sets", columns, rows, frozenset({2, 3, 4})),
            Table("How the files are read", HOW_READ, files, frozenset({1, 2, 3})),
        ),
        pictures=(contact_sheet,) if contact_sheet else (),
    )


def _decisions(found: DataDecisions | None) -> tuple[str, str, str]:
    if found is None:
        return (MISSING,) * 3
    return count(found.as_is), count(found.converted), count(found.turned)


def determinism(runs: Sequence[RunRecord], certificates: Mapping[str, Certificate]) -> Section:
    """What supports the claim that the runs can be repeated bit for bit.

    Args:
        runs: At least one.
        certificates: Those that were found, by name of run.
    """
    rows = []
    for run in runs:
        numerics = run.started.numerics
        rows.append(
            (
                run.name,
                "on" if numerics.op_determinism else "off",
                plural(run.replayed_steps, "step"),
                run.finished.weights_fingerprint if run.finished else None,
                run.started.numerics_digest[:12],
            )
        )
    columns = (
        "run", "op determinism", "replayed and equal", "fingerprint of the final weights",
        "numerics",
    )  # fmt: skip
    cells = tuple(tuple(cell or MISSING for cell in row) for row in rows)
    foreign = _foreign(runs, certificates)
    missing = [run.name for run in runs if run.name not in certificates]
    paragraphs = [WHAT_IS_COMPARED]
    if missing:
        paragraphs.append(
            f"No determinism certificate lies beside {listed(missing)}; `harness certify` makes it."
        )
    tables = [Table("Repeatability", columns, cells, frozenset({2}))]
    for name, certificate in certificates.items():
        if name in foreign:
            paragraphs.append(
                f"{name}: the certificate beside this run belongs to another journal "
                f"({listed(list(foreign[name]))}); it says nothing about this run."
            )
            continue
        paragraphs.append(f"{name}: {certificate.statement}")
        tables.append(_certificate(name, certificate))
    return Section("determinism", "Determinism", tuple(paragraphs), tables=tuple(tables))


def _foreign(
    runs: Sequence[RunRecord], certificates: Mapping[str, Certificate]
) -> dict[str, tuple[str, ...]]:
    """What contradicts the journal, by name of run, for certificates of other journals."""
    found = {
        run.name: contradictions(certificates[run.name], run.started, run.journal_sha256)
        for run in runs
        if run.name in certificates
    }
    return {name: words for name, words in found.items() if words}


def _certificate(name: str, certificate: Certificate) -> Table:
    equal = {True: "equal", False: "different", None: "not compared"}
    rows = (
        ("agrees", "yes" if certificate.agrees else "no"),
        ("level", certificate.level.replace("_", " ")),
        ("compared", "to the bit" if certificate.exact else f"within {certificate.tolerance}"),
        (
            "steps replayed",
            f"{count(certificate.steps_replayed)} of {count(certificate.steps_in_run)}",
        ),
        ("final weights", equal[certificate.final_weights_equal]),
        ("predictions", equal[certificate.predictions_equal]),
        ("numerics that differ", listed(list(certificate.numerics_differences)) or MISSING),
        ("sha256 of the journal", certificate.journal_digest),
        ("made", f"{moment(certificate.time_s)} by version {certificate.harness_version}"),
    )
    return Table(f"Certificate of {name}", ("entry", "value"), rows)


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
        words = "The runs were made in the same environment: no entry differs."
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


def deviations(runs: Sequence[RunRecord]) -> Section:
    """Settings that differ from the registered recipe, and warnings."""
    said: dict[str, list[str]] = {}
    for run in runs:
        for text in _deviations_of(run):
            said.setdefault(text, []).append(run.name)
    paragraphs = [f"{listed(names)}: {text}" for text, names in said.items()]
    unlike = len({run.started.recipe_digest for run in runs}) > 1
    if unlike:
        paragraphs.append("The runs have different recipes: their numbers must not be pooled.")
    rows = tuple(
        (run.name, count(event.step), event.topic, event.text)
        for run in runs
        for event in run.warnings
    )
    tables = (Table("Warnings", ("run", "step", "topic", "text"), rows, frozenset({1})),)
    return Section(
        "deviations",
        "Deviations and warnings",
        tuple(paragraphs) or ("The runs follow the registered recipe; no deviation.",),
        tables=tables if rows else (),
    )


def _deviations_of(run: RunRecord) -> list[str]:
    started = run.started
    found = list(started.recipe.notes.deviations)
    if started.deviations:
        found.append(f"run with {' '.join(started.deviations)}.")
    registered = RECIPES.get(started.recipe.name)
    if registered is None:
        found.append(f"the recipe {started.recipe.name} is not registered.")
    elif registered.digest != started.recipe_digest:
        found.append(
            f"the recipe's digest is {started.recipe_digest[:12]}, the registered one's "
            f"{registered.digest[:12]}."
        )
    return found


def repeat(runs: Sequence[RunRecord]) -> Section:
    """The command lines that were given, and the commit they need."""
    commands = tuple(dict.fromkeys(_command(run) for run in runs))
    commits = sorted({run.started.git_commit or "" for run in runs} - {""})
    need = f"Commit of the harness: {listed(commits)}. " if commits else ""
    roots = listed(sorted({run.started.data.root_digest for run in runs}))
    words = f"{need}Data with the root digest {roots}. {WHERE_BITS_ARE_EQUAL}"
    return Section("repeat", "How to repeat this exactly", (words,), commands=commands)


def _command(run: RunRecord) -> str:
    words = run.started.command
    # Words that were quoted when they were recorded are not quoted again.
    return " ".join(
        word if word == shlex.quote(word) or "'" in word else shlex.quote(word) for word in words
    )


def files(runs: Sequence[RunRecord]) -> Section:
    """The files that every number here comes from."""
    rows = tuple(
        (
            run.name,
            run.folder,
            run.journal_sha256,
            MISSING if not run.torn_bytes else f"{plural(run.torn_bytes, 'byte')} left out",
            plural(len(run.checkpoints), "checkpoint"),
            number(sum(one.bytes for one in run.checkpoints) / MEGABYTE) + " MB",
        )
        for run in runs
    )
    columns = ("run", "folder", "sha256 of the journal", "torn last line", "written", "in all")
    words = (
        "Every number of this page is computed from the journals and prediction files beside it.",
    )
    return Section("files", "Sources", words, tables=(Table("Journals", columns, rows),))
