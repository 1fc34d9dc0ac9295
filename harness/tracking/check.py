"""One check of the tracker before the work: what can never work is refused, an outage reported."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import MachineError, TrackerError
from harness.system.folders import try_output
from harness.system.secrets import redacted
from harness.tracking.address import check_address, shown_uri, unusable
from harness.tracking.client import (
    EXPERIMENT,
    prepare_client,
    reason_of,
    sqlite_file,
    tables_whole,
)
from harness.tracking.failures import is_of_settings, is_permanent, status_of

T = TypeVar("T")
LONGEST_S = 20.0
"""A tracker that takes longer is slow or down; the mirror's thread deals with that."""

CORRECT_SETTINGS = (
    "correct or unset the variable that this is about (`env | grep MLFLOW` shows them), install "
    "what is missing, or train with --no-tracking"
)
OLDER = (
    "its tables are those of an older MLflow (schema {found}; this one has {expected})",
    "make a copy of the database, then: mlflow db upgrade '{uri}'",
)
NEWER = (
    "its tables are those of a newer MLflow (schema {found}; this one has {expected})",
    "install the MLflow that wrote it, or name another database",
)


def check_tracker(
    tracking_uri: str, *, experiment: str = EXPERIMENT, longest_s: float = LONGEST_S
) -> str:
    """Ask a tracker for its experiment, without changing anything there.

    Args:
        tracking_uri: See `open_mirror`.
        experiment: MLflow experiment.
        longest_s: How long to wait for it.

    Returns:
        Why it cannot be reached now; empty where it can.

    Raises:
        TrackerError: it can never work: see `check_address`; or it refuses the password, is no
            MLflow, has tables of another version, or its experiment was deleted.
    """
    check_address(tracking_uri)
    try:
        return within(longest_s, lambda: _asked(tracking_uri, experiment))
    except TimeoutError as error:
        return reason_of(error, tracking_uri)


def within(longest_s: float, ask: Callable[[], T]) -> T:
    """What `ask` returns or raises, awaited in a thread that is left behind when it is late.

    Raises:
        TimeoutError: it took longer, in words.
    """
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            answer.set_exception(error)

    threading.Thread(target=work, name="tracker-check", daemon=True).start()
    if not wait([answer], longest_s).done:
        raise TimeoutError(f"took longer than {longest_s:g} s")
    return answer.result()


def _asked(tracking_uri: str, experiment: str) -> str:
    try:
        file = sqlite_file(tracking_uri)
        if file is not None:
            _check_file(tracking_uri, file)
        if file is None or file.exists():
            with tables_whole(tracking_uri):
                _check_schema(tracking_uri)
                _check_experiment(tracking_uri, experiment)
    except TrackerError:
        raise
    except Exception as error:
        reason = reason_of(error, tracking_uri)
        if is_permanent(error):
            remedy = CORRECT_SETTINGS if is_of_settings(error) else ""
            expected = "an MLflow tracker that accepts runs"
            raise unusable(tracking_uri, reason, expected, remedy) from error
        return f"{reason}{_last_words(tracking_uri) if status_of(error) else ''}"
    return ""


def _last_words(tracking_uri: str) -> str:
    """What a server in trouble says: MLflow's client drops it after its last try."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_default_host_creds(tracking_uri),
            "/api/2.0/mlflow/experiments/get-by-name",
            "GET",
            max_retries=0,
            raise_on_status=False,
            params={"experiment_name": EXPERIMENT},
        )
    except Exception:  # noqa: BLE001 - then it says nothing
        return ""
    return f"; it says: {redacted(answer.text)}" if answer.text else ""


def _check_file(tracking_uri: str, file: Path) -> None:
    """A new database needs a folder that takes it, an existing one a file that does."""
    try:
        if file.exists():
            with file.open("rb+"):
                pass
        try_output(file)
    except (OSError, MachineError) as error:
        words = error.found if isinstance(error, MachineError) else error.strerror or str(error)
        raise unusable(tracking_uri, f"the database cannot be written: {words}") from error


def _check_schema(tracking_uri: str) -> None:
    """Compare the revision of the tables with MLflow's, before MLflow tries ten times."""
    if tracking_uri.startswith(("http:", "https:", "databricks")):
        return
    import sqlalchemy
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    engine = sqlalchemy.create_engine(tracking_uri)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    script = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    expected = script.get_current_head()
    if found in (None, expected):
        return
    known = {revision.revision for revision in script.walk_revisions()}
    words, remedy = OLDER if found in known else NEWER
    values = {"found": found, "expected": expected, "uri": shown_uri(tracking_uri)}
    raise unusable(
        tracking_uri,
        words.format(**values),
        "tables of the installed MLflow",
        remedy.format(**values),
    )


def _check_experiment(tracking_uri: str, experiment: str) -> None:
    client: Any = prepare_client(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is not None and found.lifecycle_stage != "active":
        raise unusable(
            tracking_uri,
            f"the experiment {experiment} was deleted there",
            "an experiment that takes runs",
            f"restore it: mlflow experiments restore --experiment-id {found.experiment_id}",
        )
