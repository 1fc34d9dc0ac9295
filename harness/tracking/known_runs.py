"""What trackers know of the runs of a recipe; one that does not answer is named, never fatal.

A SQLite file is read without MLflow, which takes seconds to import.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.errors import HarnessError
from harness.tracking.address import check_address, shown_uri
from harness.tracking.check import within
from harness.tracking.client import EXPERIMENT, prepare_client, reason_of, sqlite_file
from harness.tracking.rows import HEAD_TAG, RUN_TAG, STATUS_TAG, TOP1_KEY

_OLD_END = "harness.end"
"""Written until version 0.2.0, in place of the status."""
_TAGS = (RUN_TAG, HEAD_TAG, STATUS_TAG, _OLD_END)
_PARAMS = ("seed", "recipe_digest", "data.root_digest")
DATABASE = "mlflow.db"
LONGEST_S = 10.0
_ROWS = 1000


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
        top1: Its accuracy, a fraction; None where it has none.
    """

    run_id: str
    seed: str
    recipe_digest: str
    data_root: str
    head: str
    ended: bool
    deleted: bool
    top1: float | None = None


@dataclass(frozen=True)
class Known:
    """The runs that trackers know, and in words which of them could not be asked."""

    runs: tuple[KnownRun, ...] = ()
    unasked: tuple[str, ...] = ()

    def __add__(self, other: "Known") -> "Known":
        """What two trackers know."""
        return Known((*self.runs, *other.runs), (*self.unasked, *other.unasked))


def known_beside(runs: Path) -> Known:
    """What the SQLite file in a runs folder knows; nothing where there is none."""
    database = runs / DATABASE
    return _known_in(database) if database.is_file() else Known()


def known_at(tracking_uri: str, recipe_digest: str, *, longest_s: float = LONGEST_S) -> Known:
    """What a tracker knows of a recipe's runs, deleted ones included.

    Args:
        tracking_uri: See `open_mirror`; named by the reader.
        recipe_digest: Hex sha256.
        longest_s: How long to wait for a server.
    """
    try:
        check_address(tracking_uri)
        file = sqlite_file(tracking_uri)
        if file is not None:
            return _known_in(file)
        rows = within(longest_s, lambda: _searched(tracking_uri, recipe_digest))
        return Known(tuple(_run(row) for row in rows if RUN_TAG in row))
    except HarnessError as error:
        reason = f"the tracker at {shown_uri(tracking_uri)} was not asked: {error.found}"
    except Exception as error:  # noqa: BLE001 - no failure of a tracker changes a verdict
        reason = reason_of(error, tracking_uri)
    return _unasked(reason)


def not_asked(tracking_uri: str) -> Known:
    """A tracker that only a journal names: its writer would choose whom this machine calls."""
    return _unasked(
        f"the tracker at {shown_uri(tracking_uri)}, which a journal names, was not asked: name it "
        "with --tracking-uri if you trust it"
    )


def _unasked(reason: str) -> Known:
    line = " ".join(reason.split())
    return Known(unasked=(f"{line}; whether a seed was run more than once is not known from it",))


def _searched(tracking_uri: str, recipe_digest: str) -> list[dict[str, Any]]:
    client = prepare_client(tracking_uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    query = f"params.recipe_digest = '{recipe_digest}'"
    rows: list[dict[str, Any]] = []
    token = None
    while experiment is not None:
        page: Any = client.search_runs(
            [experiment.experiment_id], query, run_view_type=3, max_results=_ROWS, page_token=token
        )
        for run in page:
            data, stage = run.data, run.info.lifecycle_stage
            rows.append({**data.tags, **data.params, **data.metrics, "stage": stage})
        token = page.token
        if not token:
            break
    return rows


def _known_in(database: Path) -> Known:
    address = f"file:{quote(str(database.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as connection:
            found = _columns(connection)
    except sqlite3.Error as error:  # of another version of MLflow, busy, or gone
        return _unasked(f"the tracker's file {database.name} cannot be read ({error})")
    return Known(tuple(_run(row) for row in found.values() if RUN_TAG in row))


def _columns(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for table, keys in (("tags", _TAGS), ("params", _PARAMS)):
        marks = ", ".join("?" * len(keys))
        query = f"SELECT run_uuid, key, value FROM {table} WHERE key IN ({marks})"  # noqa: S608
        for run, key, value in connection.execute(query, keys):
            found.setdefault(run, {})[key] = value
    query = "SELECT run_uuid, value FROM latest_metrics WHERE key = ?"
    for run, value in connection.execute(query, (TOP1_KEY,)):
        found.setdefault(run, {})[TOP1_KEY] = value
    for run, stage in connection.execute("SELECT run_uuid, lifecycle_stage FROM runs"):
        if run in found:
            found[run]["stage"] = stage
    return found


def _run(row: dict[str, Any]) -> KnownRun:
    return KnownRun(
        run_id=row[RUN_TAG],
        seed=row.get("seed", ""),
        recipe_digest=row.get("recipe_digest", ""),
        data_root=row.get("data.root_digest", ""),
        head=row.get(HEAD_TAG, ""),
        ended=row.get(STATUS_TAG, row.get(_OLD_END, "")).startswith(("completed", "diverged")),
        deleted=row.get("stage") == "deleted",
        top1=row.get(TOP1_KEY),
    )
