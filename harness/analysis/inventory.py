"""`harness list`: what recipes, models, targets, baselines, protocols and runs there are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.baselines import load_baselines
from harness.baselines.schema import Target, ThresholdTarget
from harness.errors import HarnessError, RecordError, UsageError
from harness.models.catalogue import describe, names
from harness.recipes.catalogue import RECIPES
from harness.recipes.normalisations import normalisation_name
from harness.recipes.protocol import Protocol
from harness.recipes.protocol_catalogue import PROTOCOLS
from harness.recipes.recipe import Recipe
from harness.record.journal import Journal, read_journal
from harness.record.run_folder import runs_of_study
from harness.statistics.rounding import exact_percent

CLASS_ORDER_NOTE = (
    "Class order is no field: weights and data carry theirs, and results are in WordNet order."
)


@dataclass(frozen=True)
class Inventory:
    """A table and the same content as JSON-like data.

    Attributes:
        columns: Headings.
        rows: Cells as text.
        document: One entry a row, with every field.
        note: A line below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    document: list[dict[str, Any]]
    note: str = ""

    def text(self) -> str:
        """Aligned columns; the last one is as long as it is."""
        if not self.rows:
            return f"there are no {self.columns[0]}s here"
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*table, *(["", self.note] if self.note else [])])


def list_recipes() -> Inventory:
    """Every recipe with its network, size, digest and expected result."""
    recipes = RECIPES.values()
    return Inventory(
        ("recipe", "network", "batch", "length", "digest", "expected"),
        tuple(
            (r.name, r.model.name, str(r.batch), _length(r), r.digest[:8], r.notes.expected)
            for r in recipes
        ),
        [{**r.model_dump(mode="json"), "digest": r.digest} for r in recipes],
    )


def list_models(classes: int = 1_000, channels: int = 3) -> Inventory:
    """Every network with exact parameter counts for a number of classes and of input channels."""
    found = [describe(name, classes, channels) for name in names()]
    return Inventory(
        ("model", "trainable", "with moving statistics", "source"),
        tuple((d.name, f"{d.trainable:,}", f"{d.total:,}", d.source) for d in found),
        [
            {
                "name": d.name,
                "source": d.source,
                "classes": d.classes,
                "channels": d.channels,
                "image_size": d.image_size,
                "trainable_parameters": d.trainable,
                "parameters": d.total,
            }
            for d in found
        ],
    )


def list_baselines(protocol: str | None = None) -> Inventory:
    """Published accuracies with protocol, number of runs and source.

    Args:
        protocol: Only rows of this protocol.

    Raises:
        UsageError: no row has a protocol of this name.
    """
    every = load_baselines().accuracy
    rows = [row for row in every if protocol in (None, row.protocol.name)]
    if not rows:
        raise UsageError(
            f"no baseline has the protocol {protocol!r}",
            expected=", ".join(sorted({row.protocol.name for row in every})),
            remedy="name one of these, or leave --protocol out",
        )
    return Inventory(
        ("baseline", "model", "data", "protocol", "selection", "top-1", "n", "source"),
        tuple(
            (
                row.name,
                row.model,
                row.data,
                row.protocol.name,
                row.selection or "?",
                f"{100 * row.top1:.2f} %",
                "?" if row.n is None else str(row.n),
                row.source.title,
            )
            for row in rows
        ),
        [row.model_dump(mode="json") for row in rows],
    )


def list_protocols() -> Inventory:
    """Every field of every protocol, one line a field."""
    fields = [name for name in Protocol.model_fields if name != "name"]
    protocols = PROTOCOLS.values()
    rows = [("digest", *(p.digest[:8] for p in protocols))]
    rows += [(name, *(_cell(p, name) for p in protocols)) for name in fields]
    return Inventory(
        ("field", *PROTOCOLS),
        tuple(rows),
        [{**p.model_dump(mode="json"), "digest": p.digest} for p in protocols],
        CLASS_ORDER_NOTE,
    )


def list_targets() -> Inventory:
    """Every registered target: what it says, how it is judged, and its file."""
    baselines = load_baselines()
    return Inventory(
        ("target", "recipe", "top-1", "n", "selection", "margin", "declared seeds", "file"),
        tuple(
            (
                target.name,
                target.recipe,
                *_aim(target),
                ", ".join(map(str, target.declared_seeds)),
                baselines.target_files[target.name].name,
            )
            for target in baselines.targets
        ),
        [
            {
                **target.model_dump(mode="json"),
                "file": baselines.target_files[target.name].name,
            }
            for target in baselines.targets
        ],
    )


def _aim(target: Target) -> tuple[str, str, str, str]:
    """Accuracy, number of runs, selection and margin."""
    if isinstance(target, ThresholdTarget):
        return f"at least {100 * target.threshold:g} %", "-", target.selection, "-"
    margin = f"{100 * target.margin:.2f} points"
    return exact_percent(target.top1), str(target.n), target.selection, margin


RUN_COLUMNS = ("run", "status", "step", "of", "evaluation")


def list_runs(runs: Path) -> Inventory:
    """Every run below a folder with its state and last accuracy."""
    studies = sorted(runs.iterdir()) if runs.is_dir() else []
    entries = [entry for study in studies for entry in _entries(study)]
    columns = RUN_COLUMNS
    return Inventory(
        columns,
        tuple(tuple("" if e[c] is None else str(e[c]) for c in columns) for e in entries),
        entries,
    )


def _length(recipe: Recipe) -> str:
    """Such as `51 epochs` or `64,000 steps`; both where a recipe counts in both."""
    epochs = sum(phase.epochs or 0 for phase in recipe.phases)
    steps = sum(phase.steps or 0 for phase in recipe.phases)
    return " + ".join(f"{n:,} {unit}" for n, unit in ((epochs, "epochs"), (steps, "steps")) if n)


def _cell(protocol: Protocol, name: str) -> str:
    value = getattr(protocol, name)
    if name == "normalisation":
        return normalisation_name(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def _entries(study: Path) -> list[dict[str, Any]]:
    try:
        return [_run_entry(run) for run in sorted(runs_of_study(study))]
    except RecordError as error:
        return [_unreadable(study, error)]


def _unreadable(folder: Path, error: HarnessError) -> dict[str, Any]:
    status = f"unreadable: {error.found}"
    return {**dict.fromkeys(RUN_COLUMNS), "run": str(folder), "status": status}


def _run_entry(folder: Path) -> dict[str, Any]:
    try:
        journal = read_journal(folder)
        started = journal.started
    except HarnessError as error:
        return _unreadable(folder, error)
    return {
        "run": str(folder),
        "status": journal.finished.status if journal.finished else "unfinished",
        "step": journal.last_step,
        "of": started.steps_total,
        "evaluation": _last_accuracy(journal),
    }


def _last_accuracy(journal: Journal) -> str | None:
    if not journal.evaluations:
        return None
    last = journal.evaluations[-1]
    return f"{last.protocol.name} {100 * last.top1_accuracy:.2f} % at step {last.step}"
