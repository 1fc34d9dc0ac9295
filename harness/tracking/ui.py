"""MLflow's own interface over the runs, on this machine only."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from harness.errors import MachineError, RecordError
from harness.tracking.mirror import default_tracking_uri

LOOPBACK = "127.0.0.1"
START_LIMIT_S = 120.0
POLL_S = 0.2
STOP_LIMIT_S = 10.0
_SERVER_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Background jobs serve language models; without them the server is up in half the time.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
OPEN_TO_OTHERS = (
    "warning: MLflow asks nobody for a password: whoever reaches {host} reads, changes and "
    "deletes these runs"
)


@contextmanager
def serving(
    runs: Path, *, host: str = LOOPBACK, port: int | None = None
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Yield the address of a server that answers and its process; stop it at the end.

    Args:
        runs: Folder with `mlflow.db`.
        host: Address to listen on.
        port: None takes a free one.

    Raises:
        RecordError: nothing was recorded there.
        MachineError: the server does not come up.
    """
    if not (runs / "mlflow.db").is_file():
        raise RecordError(
            "there is no MLflow database",
            where=str(runs.resolve()),
            expected="mlflow.db, written by `harness run` or `harness sync`",
            remedy="run something first, or name the folder with --runs",
        )
    port = _free_port(host) if port is None else port
    process = _start(runs, host, port)
    address = f"http://{host}:{port}"
    try:
        _wait_until_it_answers(process, f"{address}/health")
        yield address, process
    finally:
        _stop(process)


def ui(
    runs: Path,
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C or SIGTERM, printing the address and how to stop."""
    if host != LOOPBACK:
        say(OPEN_TO_OTHERS.format(host=host))
    say(f"starting MLflow over {runs.resolve()} ...")
    with _sigterm_as_interrupt():
        try:
            with serving(runs, host=host, port=port) as (address, process):
                say(f"MLflow: {address}\nCtrl-C stops it; the runs stay where they are.")
                process.wait()
                raise MachineError(
                    f"MLflow ended by itself with code {process.returncode}",
                    where=address,
                    expected="a server that goes on until Ctrl-C",
                    remedy="read its messages above; another --port may help",
                )
        except KeyboardInterrupt:
            say("stopped")


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _start(runs: Path, host: str, port: int) -> "subprocess.Popen[bytes]":
    artifacts = (runs.resolve() / "mlartifacts").as_uri()
    arguments = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", default_tracking_uri(runs)),
        *("--artifacts-destination", artifacts),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]
    # A session of its own: Ctrl-C reaches this process alone, which then stops all of the server's.
    return subprocess.Popen(
        arguments,
        env={**os.environ, **_SERVER_SETTINGS},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own http address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise MachineError(
        "MLflow's server did not come up",
        where=address,
        expected=f"an answer within {START_LIMIT_S:g} s",
        remedy="read its messages above; the port may be taken: choose another with --port",
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(STOP_LIMIT_S)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait()


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
