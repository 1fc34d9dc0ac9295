"""The one check of a tracker before the work: real databases, and a stand-in for servers."""

import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import TrackerError
from harness.tracking.check import check_tracker
from harness.tracking.client import EXPERIMENT, Tracker, default_tracking_uri, tables_whole

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning",  # SQLAlchemy 2.1 under MLflow 3.17
    "ignore::ResourceWarning",  # MLflow leaves its engines open
)
NONE_SUCH = '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}'


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("./mlruns", "a folder is no tracker"),
        ("mlruns", "a folder is no tracker"),
        ("file:///tmp/mlruns", "a folder is no tracker"),
        ("/tmp/mlruns", "a folder is no tracker"),
        ("localhost:5000", "write http://localhost:5000"),
        ("10.0.0.1:5000/mlflow", "write http://10.0.0.1:5000/mlflow"),
        ("http://host:99999", "cannot be read: Port out of range"),
        ("http://host:port", "cannot be read"),
        ("http://[::1", "cannot be read: Invalid IPv6 URL"),
        ("http://", "names no host"),
        ("http://:5000", "names no host"),
        ("http://a b:5000", "names no host"),
        ("http://host:0", "names no host"),
        ("sqlite:///", "lives in memory"),
        ("sqlite://", "lives in memory"),
        ("sqlite:///:memory:", "lives in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "lives in memory"),
        ("postgresql+nosuch://me:secret-word@h/db", "driver for this database is not installed"),
        ("postgresql://h:port/db", "cannot be read"),
        ("mssql+nosuch://h/db", "driver"),
        ("gopher://h", "no tracker of the kind gopher"),
        ("databricks-uc", "a folder is no tracker"),
        ("[::1]:5000", "write http://[::1]:5000"),
        ("http://host:5000\r", "begins or ends with white space"),
        (" http://host:5000", "begins or ends with white space"),
        ("sqlite+nosuch:////tmp/x.db", "driver"),
        ("sqlite:///~/mlflow.db", "not the home folder"),
        ("HTTP://host:5000", "write http://host:5000"),
        ("Sqlite:////tmp/x.db", "write sqlite:////tmp/x.db"),
        ("http://me:secret-word@host:5000/#/experiments/1", "write http://***@host:5000/"),
        ("postgresql://me:secret-word@h/db", "pip install 'psycopg[binary]'"),
        ("postgresql+psycopg2://h/db", "pip install psycopg2-binary"),
        ("mysql://h/db", "pip install pymysql, with an address that begins with mysql+pymysql"),
        ("databricks", "credential configuration failed"),
    ],
)
def test_an_address_that_can_never_work_is_refused_without_asking(uri: str, words: str) -> None:
    with pytest.raises(TrackerError) as told:
        check_tracker(uri)
    assert words in str(told.value)
    assert "secret-word" not in str(told.value)
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HTTP_REQUEST_TIMEOUT": "soon"}, "for MLFLOW_HTTP_REQUEST_TIMEOUT"),
        ({"HTTP_REQUEST_TIMEOUT": "0"}, "Attempted to set connect timeout to 0"),
        ({"HTTP_REQUEST_MAX_RETRIES": "99"}, "in excess of the maximum allowable"),
        ({"HTTP_REQUEST_BACKOFF_FACTOR": "-1"}, "value must be either 0"),
        ({"TRACKING_INSECURE_TLS": "maybe"}, "MLFLOW_TRACKING_INSECURE_TLS value must be one of"),
        ({"TRACKING_INSECURE_TLS": "true", "TRACKING_SERVER_CERT_PATH": "/x"}, "must not be set"),
        ({"TRACKING_AWS_SIGV4": "true"}, "No module named 'requests_auth_aws_sigv4'"),
    ],
)
def test_settings_that_the_client_cannot_work_with_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    with pytest.raises(TrackerError, match=words) as told:
        check_tracker("http://127.0.0.1:9")
    assert "env | grep MLFLOW" in str(told.value)


def test_a_runs_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match=r"no UTF-8") as told:
        default_tracking_uri(tmp_path / "a\udcffb")
    str(told.value).encode()


class StandIn(BaseHTTPRequestHandler):
    """Answers every request as the server's attributes say."""

    def do_GET(self) -> None:
        status, body, delay_s = self.server.answer  # type: ignore[attr-defined]
        time.sleep(delay_s)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def uri_of(server: ThreadingHTTPServer) -> str:
    return f"http://me:planted-password@127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, "You are not authenticated.", "refuses the user or the password"),
        (403, "Invalid Host header - possible attack", "refuses this request: .*Invalid Host hea"),
        (403, '{"error_code": "PERMISSION_DENIED", "message": "not yours"}', "not yours"),
        (404, "<html>nothing here</html>", "has nothing of MLflow at this address"),
        (200, "<html>a portal to log in</html>", "is no MLflow: .*a portal to log in"),
        (400, '{"error_code": "BAD_REQUEST", "message": "what?"}', "answers with error 400: .*wh"),
    ],
)
def test_a_server_that_can_never_work_is_refused_in_its_own_words(
    server: ThreadingHTTPServer, status: int, body: str, words: str
) -> None:
    server.answer = (status, body, 0.0)  # type: ignore[attr-defined]
    with pytest.raises(TrackerError, match=words) as told:
        check_tracker(uri_of(server))
    assert "planted-password" not in str(told.value)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, "Internal Server Error: the disk is full", "answers with error 500: .*disk is full"),
        (503, "come back later", "answers with error 503: .*come back later"),
        (429, '{"error_code": "RESOURCE_EXHAUSTED", "message": "too many"}', "error 429: .*too ma"),
    ],
)
def test_a_server_in_trouble_is_an_outage_in_its_own_words(
    server: ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: str,
    words: str,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server.answer = (status, body, 0.0)  # type: ignore[attr-defined]
    outage = check_tracker(uri_of(server))
    assert re.search(words, outage, re.DOTALL), outage
    assert "planted-password" not in outage


def test_a_server_without_the_experiment_is_fine(server: ThreadingHTTPServer) -> None:
    server.answer = (404, NONE_SUCH, 0.0)  # type: ignore[attr-defined]
    assert check_tracker(uri_of(server)) == ""


def test_a_slow_server_is_not_waited_for(server: ThreadingHTTPServer) -> None:
    server.answer = (404, NONE_SUCH, 1.0)  # type: ignore[attr-defined]
    assert "took longer than 0.1 s" in check_tracker(uri_of(server), longest_s=0.1)


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outage = check_tracker(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert "does not answer" in outage
    assert "Connection refused" in outage


def test_https_where_http_is_spoken_is_refused(server: ThreadingHTTPServer) -> None:
    server.answer = (200, "", 0.0)  # type: ignore[attr-defined]
    with pytest.raises(TrackerError, match="speaks http where https was asked for"):
        check_tracker(f"https://127.0.0.1:{server.server_port}")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    Tracker(default_tracking_uri(folder), EXPERIMENT)
    return folder / "mlflow.db"


@pytest.fixture
def copied(database: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "mlflow.db"
    copy.write_bytes(database.read_bytes())
    return copy


def uri(file: Path) -> str:
    return default_tracking_uri(file.parent)


def test_a_database_of_this_mlflow_is_fine_and_stays_as_it_is(copied: Path) -> None:
    before = copied.read_bytes()
    assert check_tracker(uri(copied)) == ""
    assert copied.read_bytes() == before


def test_a_database_that_is_not_there_yet_is_fine_and_is_not_made(tmp_path: Path) -> None:
    assert check_tracker(uri(tmp_path / "new" / "mlflow.db")) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("revision", "words", "remedy"),
    [
        ("451aebb31d03", "tables are those of an older MLflow", "mlflow db upgrade"),
        ("ffffffffffff", "tables are those of a newer MLflow", "install the MLflow that wrote it"),
    ],
)
def test_tables_of_another_version_are_refused_with_the_right_remedy(
    copied: Path, revision: str, words: str, remedy: str
) -> None:
    with closing(sqlite3.connect(copied)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()
    begun = time.monotonic()
    with pytest.raises(TrackerError, match=words) as told:
        check_tracker(uri(copied))
    assert remedy in str(told.value)
    assert time.monotonic() - begun < 15


def test_tables_that_another_process_is_making_are_waited_for(copied: Path) -> None:
    """While they are made they look like those of an older MLflow."""
    with closing(sqlite3.connect(copied)) as connection:
        (head,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()

        def at(revision: str) -> None:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            connection.commit()

        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(check_tracker(uri(copied))))
        with tables_whole(uri(copied)):
            at("451aebb31d03")
            asking.start()
            asking.join(1)
            assert answers == []
            at(head)
        asking.join(30)
    assert answers == [""]


def test_a_deleted_experiment_is_refused(copied: Path) -> None:
    client = MlflowClient(uri(copied))
    found = client.get_experiment_by_name(EXPERIMENT)
    client.delete_experiment(found.experiment_id)
    with pytest.raises(TrackerError, match="was deleted there") as told:
        check_tracker(uri(copied))
    remedy = f"mlflow experiments restore --experiment-id {found.experiment_id}"
    assert remedy in str(told.value)
    client.restore_experiment(found.experiment_id)
    assert check_tracker(uri(copied)) == ""


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, and long enough to be looked at" * 9)
    with pytest.raises(TrackerError, match="file is not a database"):
        check_tracker(uri(tmp_path / "mlflow.db"))


def test_a_database_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrackerError, match="the database cannot be written"):
        check_tracker(uri(tmp_path / "file" / "mlflow.db"))


@pytest.mark.parametrize("name", ["runs?x=1", "a%2Fb", "a#b", "a b", "ä", "%", "a&b;c"])
def test_the_database_lies_in_the_folder_of_the_runs_whatever_it_is_called(
    database: Path, tmp_path: Path, name: str
) -> None:
    """A database of before is opened: to make one takes seconds."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(database.read_bytes())
    Tracker(default_tracking_uri(folder), "another experiment")
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        found = connection.execute("SELECT name FROM experiments").fetchall()
    assert ("another experiment",) in found
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert check_tracker(default_tracking_uri(folder)) == ""
