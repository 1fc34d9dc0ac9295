"""What supports that a run can be repeated: determinism, deviations, and how to repeat it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from harness.recipes.catalogue import RECIPES
from harness.record.certificate import Certificate, contradictions
from harness.report.rendering.content import Section, Table
from harness.report.rendering.wording import MISSING, count, listed, moment, plural
from harness.report.run_record import RunRecord
from harness.verdict.checks import divided_normalisation

WHAT_IS_COMPARED = (
    "A step that is computed again after a resume is compared with the recorded one; a difference "
    "ends the run, unless it was told to go on under other numerics."
)
WHERE_BITS_ARE_EQUAL = "Equal bits are promised on a machine with the same numerics digest."


NUMERICS = (
    "Numerics: a digest over threads, flags, versions, processor and devices, all that decides how "
    "the arithmetic is rounded."
)
FRESH_RUNS = "runs-again"


def determinism(
    runs: Sequence[RunRecord],
    certificates: Mapping[str, Certificate],
    repeated: Mapping[str, str] = MappingProxyType({}),
) -> Section:
    """What supports the claim that the runs can be repeated bit for bit.

    Args:
        runs: At least one.
        certificates: Those that were found, by name of run.
        repeated: What a repetition in another process showed, by name of run.
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
    paragraphs = [WHAT_IS_COMPARED, *(f"{name}: {words}." for name, words in repeated.items())]
    if missing:
        paragraphs.append(
            f"No determinism certificate lies beside {listed(missing)}; `harness certify` makes it."
        )
    tables = [Table("Repeatability", columns, cells, frozenset({2}), note=NUMERICS)]
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


def _evaluations(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """A row where evaluations were repeated; certificates of before repeated none on the way."""
    if certificate.evaluations_repeated:
        differ = len(certificate.differing_evaluations)
        words = f"{differ} differ" if differ else "each image's prediction equal"
        yield ("evaluations repeated", f"{count(certificate.evaluations_repeated)}, {words}")


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
        *_evaluations(certificate),
        ("numerics that differ", listed(list(certificate.numerics_differences)) or MISSING),
        ("sha256 of the journal", certificate.journal_digest),
        ("made", f"{moment(certificate.time_s)} by version {certificate.harness_version}"),
    )
    return Table(f"Certificate of {name}", ("entry", "value"), rows)


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
    found += [f"{words}." for words in divided_normalisation(started, run.interruptions)]
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
    words = (
        f"{need}Data with the root digest {roots}. {WHERE_BITS_ARE_EQUAL} `harness diff` compares "
        "the two runs then."
    )
    return Section("repeat", "How to repeat this exactly", (words,), commands=commands)


def _command(run: RunRecord) -> str:
    """The command line with a fresh folder for the runs: in the old one all is done already."""
    words = [
        # Words that were quoted when they were recorded are not quoted again.
        word if word == shlex.quote(word) or "'" in word else shlex.quote(word)
        for word in run.started.command
    ]
    if "--runs" in words[:-1]:
        words[words.index("--runs") + 1] = FRESH_RUNS
    else:
        words = [word for word in words if not word.startswith("--runs=")]
        words += ["--runs", FRESH_RUNS]
    return " ".join(words)
