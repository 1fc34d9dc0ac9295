import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from harness.errors import RecordError
from harness.record.journal import read_journal
from harness.tracking import ui
from harness.tracking.mirror import default_tracking_uri, sync_run
from harness.tracking.ui import serving
from tests.record_samples import SampleRun, write_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # SQLAlchemy 2.1 under MLflow 3.17
)


FOREIGN = {
    "http_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "MLFLOW_BACKEND_STORE_URI": "sqlite:////nonexistent/mlflow.db",
    "MLFLOW_HOST": "192.0.2.1",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "UVICORN_APP_DIR": ".",
}


@pytest.mark.parametrize(
    ("host", "loopback", "address", "reached"),
    [
        ("127.0.0.1", True, "127.0.0.1", "127.0.0.1"),
        ("::1", True, "[::1]", "[::1]"),
        ("localhost", True, "localhost", "localhost"),
        ("0.0.0.0", False, "0.0.0.0", "127.0.0.1"),
        ("::", False, "[::]", "[::1]"),
        ("192.0.2.1", False, "192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_of_both_kinds(host: str, loopback: bool, address: str, reached: str) -> None:
    assert ui._is_loopback(host) == loopback
    assert ui._in_address(host) == address
    assert ui._reached_at(host) == reached
    checked = ui._host_check(host, 5000)
    assert checked == () if host in {"0.0.0.0", "::"} else f"{address}:5000" in checked[1]


def test_a_folder_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no MLflow database"), serving(tmp_path):
        pass


def ask(address: str, question: object = None) -> Any:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def check_strangers(address: str) -> None:
    """Another site's name does not lead here, and its pages change nothing; our own may."""
    search = f"{address}/api/2.0/mlflow/experiments/create"
    for number, (header, value, code) in enumerate(
        [
            ("Host", "10.example.org", 403),
            ("Host", f"example.org:{address.rpartition(':')[2]}", 403),
            ("Origin", "http://example.org", 403),
            ("Origin", address, 200),
        ]
    ):
        body = json.dumps({"name": f"made by a stranger {number}"}).encode()
        headers = {"Content-Type": "application/json", header: value}
        try:
            request = urllib.request.Request(search, body, headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                found = answer.status
        except urllib.error.HTTPError as error:
            found = error.code
            error.close()
        assert (header, value, found) == (header, value, code)


def test_the_command_serves_the_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "study" / "seed-1", SampleRun())
    sync_run(read_journal(folder), tracking_uri=default_tracking_uri(tmp_path), study="study")
    # In another clone, behind a proxy, with the settings of another server.
    foreign = tmp_path / "clone"
    (foreign / "harness").mkdir(parents=True)
    for name in ("harness/__init__.py", "mlflow.py", "uvicorn.py", "json.py"):
        (foreign / name).write_text("raise SystemExit('foreign')\n")
    command = [sys.executable, "-P", "-m", "harness", "ui", "--runs", str(tmp_path)]
    environ = {**os.environ, **FOREIGN}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environ, cwd=foreign
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        newest = next(line for line in lines if line.startswith("newest study"))
        address = next(line.split()[1] for line in lines if line.startswith("MLflow: http"))
        assert newest.startswith(f"newest study, study: {address}/#/experiments/")
        experiment, _, wanted = newest.rpartition("/#/experiments/")[2].strip().partition("/runs?")
        key = f"mlflow.sharedViewState.{parse_qs(wanted)['viewStateShareKey'][0]}"
        kept = ask(f"{address}/api/2.0/mlflow/experiments/get?experiment_id={experiment}")
        tags = {tag["key"]: tag["value"] for tag in kept["experiment"]["tags"]}
        question = {
            "experiment_ids": [experiment],
            "filter": json.loads(tags[key])["searchFilter"],
        }
        found = ask(f"{address}/api/2.0/mlflow/runs/search", question)
        assert len(found["runs"]) == 2  # the study and its seed
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"MLflow" in answer.read()
        check_strangers(address)
        os.kill(process.pid, signal.SIGTERM)
        rest = "".join(lines)
        assert process.wait(30) == 0
    assert "stopped" in rest
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)
