"""What a runs folder's own tracker knows of its runs, read without MLflow, which takes seconds.

Only the SQLite file beside the runs is read. Of another tracker `harness sync` compares the
published head of each journal that it sends.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.tracking.rows import HEAD_TAG, RUN_TAG, STATUS_TAG

_OLD_END = "harness.end"
"""Written until version 0.2.0, in place of the status."""
_TAGS = (RUN_TAG, HEAD_TAG, STATUS_TAG, _OLD_END)
_PARAMS = ("seed", "recipe_digest", "data.root_digest")
DATABASE = "mlflow.db"


@dataclass(frozen=True)
class KnownRun:
    """A run as the tracker has it.

    Attributes:
        run_id: The journal's.
        seed: As text, as for the other parameters.
        recipe_digest: Of its recipe.
        data_root: Root digest of its data.
        head: The published head of its journal; empty where none was.
        ended: Whether it reached an outcome: completed or diverged.
        deleted: Whether somebody deleted it there.
    """

    run_id: str
    seed: str
    recipe_digest: str
    data_root: str
    head: str
    ended: bool
    deleted: bool


def known_runs(runs: Path) -> tuple[KnownRun, ...]:
    """The runs that the tracker in a runs folder knows; none where there is no such file."""
    database = runs / DATABASE
    if not database.is_file():
        return ()
    address = f"file:{quote(str(database.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as connection:
            found = _columns(connection)
    except sqlite3.Error:
        return ()  # of another version of MLflow, or busy: the folder alone is looked at
    return tuple(_run(row) for row in found.values() if RUN_TAG in row)


def _columns(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, keys in (("tags", _TAGS), ("params", _PARAMS)):
        marks = ", ".join("?" * len(keys))
        query = f"SELECT run_uuid, key, value FROM {table} WHERE key IN ({marks})"  # noqa: S608
        for run, key, value in connection.execute(query, keys):
            found.setdefault(run, {})[key] = value
    for run, stage in connection.execute("SELECT run_uuid, lifecycle_stage FROM runs"):
        if run in found:
            found[run]["stage"] = stage
    return found


def _run(row: dict[str, str]) -> KnownRun:
    return KnownRun(
        run_id=row[RUN_TAG],
        seed=row.get("seed", ""),
        recipe_digest=row.get("recipe_digest", ""),
        data_root=row.get("data.root_digest", ""),
        head=row.get(HEAD_TAG, ""),
        ended=row.get(STATUS_TAG, row.get(_OLD_END, "")).startswith(("completed", "diverged")),
        deleted=row.get("stage") == "deleted",
    )
