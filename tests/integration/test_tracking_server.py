"""The mirror against a real `mlflow server` on loopback: plain, with passwords, killed and back."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import TrackerError
from harness.record.journal import JournalWriter, read_journal
from harness.record.schema import AnyEvent
from harness.tracking.mirror import open_mirror, sync_run
from tests.record_samples import SampleRun, events, windows, write_run, write_start_files

RUN = SampleRun()
PASSWORD = "a-password-of-16"


class Server:
    """One server with passwords over one store, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "auth.ini").write_text(
            "[mlflow]\ndefault_permission = READ\n"
            f"database_uri = sqlite:///{folder / 'auth.db'}\n"
            f"admin_username = admin\nadmin_password = {PASSWORD}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )

    def start(self) -> None:
        settings = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for a test",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                    *("--backend-store-uri", f"sqlite:///{self.folder / 'store.db'}"),
                    *("--artifacts-destination", (self.folder / "artifacts").as_uri()),
                    *("--app-name", "basic-auth"),
                ],
                env={**os.environ, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait(self.process)

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        pytest.fail((self.folder / "log").read_text()[-3000:])

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)


def losses(uri: str, run_id: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(uri).get_metric_history(run_id, "loss")
    return sorted((m.step, m.timestamp, m.value) for m in history)


@pytest.mark.usefixtures("password")
def test_a_server_killed_in_the_middle_gets_everything_after_all(
    server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "study" / "seed-1"
    write_start_files(folder, RUN)
    whole = list(events(folder, RUN))
    clock = [0.0]
    mirror = open_mirror(
        tracking_uri=server.uri, run_dir=folder, study="study", system_every_s=None,
        retry_s=30.0, now=lambda: clock[0],
    )  # fmt: skip
    with JournalWriter(folder / "journal.jsonl") as journal:

        def happen(*some: AnyEvent) -> None:
            for event in some:
                journal.append(event)
                mirror.publish(event)

        happen(*whole[:2])
        _until(lambda: mirror._sent_events == 2)
        server.kill()
        happen(*whole[2:4])
        _until(lambda: mirror._behind)
        server.start()
        clock[0] += 31.0
        happen(*whole[4:])
        outcome = mirror.close(60)
    assert outcome.complete, outcome.reason
    live = losses(server.uri, outcome.mlflow_run_id)
    assert [step for step, _, _ in live] == [80, 160, 240]
    again = sync_run(read_journal(folder), tracking_uri=server.uri, study="study")
    assert again.mlflow_run_id == outcome.mlflow_run_id
    assert losses(server.uri, again.mlflow_run_id) == live
    client = MlflowClient(server.uri)
    assert client.get_run(again.mlflow_run_id).info.status == "FINISHED"
    assert "journal.jsonl" in {file.path for file in client.list_artifacts(again.mlflow_run_id)}


def _until(condition) -> None:  # noqa: ANN001 - any test of the mirror's state
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the mirror's thread did not get there"
        time.sleep(0.02)


def test_a_tracker_that_never_answers_costs_the_run_nothing(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://somebody:secret@127.0.0.1:{unused.getsockname()[1]}"
        folder = write_run(tmp_path / "study" / "seed-1", RUN)
        mirror = open_mirror(tracking_uri=uri, run_dir=folder, study="study", system_every_s=None)
        begun = time.perf_counter()
        for event in windows(RUN):
            mirror.publish(event)
        assert time.perf_counter() - begun < 0.5
        outcome = mirror.close(60)
    assert not outcome.complete
    assert "does not answer" in outcome.text
    assert "harness sync" in outcome.text
    assert "secret" not in outcome.text


@pytest.mark.usefixtures("password")
def test_a_refused_password_is_said_and_the_right_one_sends_all(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SampleRun(seed=2)
    folder = write_run(tmp_path / "study" / "seed-2", run)
    journal = read_journal(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(TrackerError, match="refuses the user or the password"):
        sync_run(journal, tracking_uri=server.uri, study="study")
    mirror = open_mirror(
        tracking_uri=server.uri, run_dir=folder, study="study", system_every_s=None
    )
    assert "refuses the user or the password" in mirror.close(60).text
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    outcome = sync_run(journal, tracking_uri=server.uri, study="study")
    assert [step for step, _, _ in losses(server.uri, outcome.mlflow_run_id)] == [80, 160, 240]
