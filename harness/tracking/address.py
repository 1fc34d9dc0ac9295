"""What can be said of a tracker's address before anybody is asked."""

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import TrackerError
from harness.system.secrets import redacted, without_credentials

SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
HOSTED = ("databricks",)
EXAMPLES = "http://host:5000, or sqlite:////absolute/folder/mlflow.db"
DRIVERS = {
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "pymysql, with an address that begins with mysql+pymysql://",
    "pymysql": "pymysql",
    "pyodbc": "pymssql, with an address that begins with mssql+pymssql://",
    "pymssql": "pymssql",
}
"""What to install, by the module that SQLAlchemy misses."""
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]):\d+(?:/.*)?")


def shown_uri(tracking_uri: str) -> str:
    """The address without user, password and tokens, for messages and records."""
    return without_credentials(tracking_uri)


def check_address(tracking_uri: str) -> None:
    """Look at an address alone.

    Raises:
        TrackerError: it can never work: no scheme, one that MLflow lacks, a port out of
            range, a database in memory, a driver that is not installed.
    """
    if tracking_uri != tracking_uri.strip():  # from a file of settings with Windows' line ends
        raise unusable(tracking_uri, "the tracker's address begins or ends with white space")
    scheme = _scheme(tracking_uri)
    if scheme in SERVERS:
        _check_server(tracking_uri)
    elif scheme in DATABASES:
        _check_database(tracking_uri, scheme)
    elif scheme not in (*HOSTED, *(p.name for p in entry_points(group="mlflow.tracking_store"))):
        raise unusable(
            tracking_uri,
            f"MLflow has no tracker of the kind {scheme}",
            f"an address that begins with one of {', '.join((*SERVERS, *DATABASES, *HOSTED))}",
        )


def _scheme(tracking_uri: str) -> str:
    if tracking_uri in HOSTED:
        return tracking_uri
    if _HOST_AND_PORT.fullmatch(tracking_uri):
        raise unusable(
            tracking_uri,
            "the tracker's address does not say how to reach it",
            f"http://{tracking_uri}",
            f"write http://{tracking_uri}, or https://",
        )
    scheme, colon, rest = tracking_uri.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) or scheme == "file":
        folder = Path(tracking_uri.removeprefix("file:").removeprefix("//"))
        raise unusable(
            tracking_uri,
            "a folder is no tracker: MLflow's own files have given way to a database",
            EXAMPLES,
            f"leave --tracking-uri out, which writes mlflow.db in the runs folder, or write "
            f"sqlite:///{without_credentials(str(folder.absolute()))}/mlflow.db",
        )
    if scheme != scheme.lower():
        written = f"{scheme.lower()}{colon}{rest}"
        found = "MLflow reads the beginning of an address in small letters alone"
        raise unusable(tracking_uri, found, shown_uri(written), f"write {shown_uri(written)}")
    return scheme.partition("+")[0]


def _check_server(tracking_uri: str) -> None:
    try:
        parts = urlsplit(tracking_uri)
        port = parts.port
    except ValueError as error:
        raise unusable(tracking_uri, f"the tracker's address cannot be read: {error}") from error
    if not parts.hostname or port == 0 or any(c.isspace() for c in tracking_uri):
        raise unusable(tracking_uri, "the tracker's address names no host and port")
    if parts.fragment:
        server = shown_uri(tracking_uri.partition("#")[0])
        raise unusable(
            tracking_uri,
            "the tracker's address is that of a page in a browser",
            server,
            f"write {server}",
        )


def _check_database(tracking_uri: str, kind: str) -> None:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = sqlalchemy.make_url(tracking_uri)
        lost = kind == "sqlite" and in_memory(url)
        if not lost:
            sqlalchemy.create_engine(url)
    except (NoSuchModuleError, ImportError) as error:
        missing = getattr(error, "name", None)
        raise unusable(
            tracking_uri,
            f"the driver for this database is not installed: {error}",
            "a driver of SQLAlchemy",
            f"pip install {DRIVERS[missing]}" if missing in DRIVERS else f"write {EXAMPLES}",
        ) from error
    except (ArgumentError, ValueError, TypeError) as error:
        raise unusable(tracking_uri, f"the tracker's address cannot be read: {error}") from error
    if lost:
        raise unusable(
            tracking_uri,
            "this database lives in memory: it is lost when the command ends",
            "a file",
            "write sqlite:////absolute/folder/mlflow.db, with four strokes",
        )
    if kind == "sqlite" and str(url.database).startswith("~"):
        raise unusable(
            tracking_uri,
            "a tilde in a database's address is the name of a folder, not the home folder",
            "sqlite:////absolute/folder/mlflow.db",
        )


def in_memory(url: Any) -> bool:
    """Whether an address of SQLite (SQLAlchemy's `URL`) names no file."""
    database = url.database or ""
    return (
        database in {"", ":memory:"}
        or ":memory:" in database
        or (url.query.get("mode") == "memory")
    )


def unusable(
    tracking_uri: str, found: str, expected: str = EXAMPLES, remedy: str = ""
) -> TrackerError:
    """A tracker that will not work however long one waits."""
    return TrackerError(
        redacted(found),
        where=shown_uri(tracking_uri) or "an empty address",
        expected=expected,
        remedy=remedy
        or "correct --tracking-uri or MLFLOW_TRACKING_URI, or train with "
        "--no-tracking; `harness sync` sends the journals later",
    )
