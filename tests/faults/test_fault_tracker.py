"""The tracking server is away for a while: training goes on, nothing is lost or doubled."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.faults.command import STEPS, STEPS_PER_EPOCH, Command, bits_of, wait_for_step
from tests.faults.conftest import Reference, Row, Stopped
from tests.integration.test_tracking_server import PASSWORD, Server

USER = (("MLFLOW_TRACKING_USERNAME", "admin"), ("MLFLOW_TRACKING_PASSWORD", PASSWORD))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, value in USER:
        monkeypatch.setenv(name, value)
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    yield server
    server.kill()


def tracked(stopped: Stopped, place: Path, server: Server) -> Command:
    extra = ("--tracking-uri", server.uri)
    return replace(stopped.copy(place), extra=extra, environment=USER)


def still(process: subprocess.Popen[str]) -> None:
    """Hold the run, so that it cannot end while the server starts."""
    process.send_signal(signal.SIGSTOP)


def check_tracker(server: Server) -> None:
    client = MlflowClient(server.uri)
    ids = [e.experiment_id for e in client.search_experiments()]
    (run,) = [r for r in client.search_runs(ids) if "mlflow.parentRunId" in r.data.tags]
    assert run.info.status == "FINISHED"
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "loss")]
    assert steps == list(range(STEPS_PER_EPOCH, STEPS + 1, STEPS_PER_EPOCH)), "each window once"


def check_run(
    command: Command,
    process: subprocess.Popen[str],
    uninterrupted: Reference,
    table: list[Row],
    moment: str,
) -> str:
    ended = command.finish(process)
    equal = ended.exit_code == 0 and bits_of(command.journal()) == uninterrupted.bits
    table.append(Row("tracking server away", moment, "training went on", equal, ended.exit_code))
    assert ended.exit_code == 0, ended.stderr
    assert equal
    return ended.stderr


@pytest.mark.slow
def test_away_at_the_start(
    stopped: Stopped, tmp_path: Path, server: Server, uninterrupted: Reference, table: list[Row]
) -> None:
    command = tracked(stopped, tmp_path, server)
    process = command.start()
    assert wait_for_step(command, process, 20)
    still(process)
    server.start()
    process.send_signal(signal.SIGCONT)
    told = check_run(command, process, uninterrupted, table, "until step 20")
    assert "MLflow: run" in told
    check_tracker(server)


@pytest.mark.slow
def test_away_in_the_middle(
    stopped: Stopped, tmp_path: Path, server: Server, uninterrupted: Reference, table: list[Row]
) -> None:
    command = tracked(stopped, tmp_path, server)
    server.start()
    process = command.start()
    assert wait_for_step(command, process, 18)
    server.kill()
    assert wait_for_step(command, process, 27)
    still(process)
    server.start()
    process.send_signal(signal.SIGCONT)
    check_run(command, process, uninterrupted, table, "steps 18 to 27")
    check_tracker(server)


@pytest.mark.slow
def test_away_at_the_end(
    stopped: Stopped, tmp_path: Path, server: Server, uninterrupted: Reference, table: list[Row]
) -> None:
    command = tracked(stopped, tmp_path, server)
    server.start()
    process = command.start()
    assert wait_for_step(command, process, 30)
    server.kill()
    told = check_run(command, process, uninterrupted, table, "from step 30")
    assert "not everything was recorded" in told
    server.start()
    words = [sys.executable, "-m", "harness", "sync", str(command.folder)]
    for _ in range(2):
        subprocess.run([*words, "--tracking-uri", server.uri], check=True, capture_output=True)
    check_tracker(server)
