"""MLflow's own interface over the runs, on this machine only."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import MachineError, RecordError
from harness.system.children import start_python
from harness.tracking.mirror import default_tracking_uri
from harness.tracking.view import newest_study, share_view

LOOPBACK = "127.0.0.1"
START_LIMIT_S = 120.0
POLL_S = 0.2
STOP_LIMIT_S = 10.0
FOREIGN_SETTINGS = (
    "MLFLOW_", "_MLFLOW_", "UVICORN_", "GUNICORN_", "FLASK_", "WEB_CONCURRENCY",
    "FORWARDED_ALLOW_IPS",
)  # fmt: skip
"""Variables that are meant for another server, or for this user's client of one."""

SERVER_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Background jobs serve language models; without them the server is up in half the time.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Its server looks for modules here first: by default in the working directory.
    "UVICORN_APP_DIR": "/nonexistent",
}
OPEN_TO_OTHERS = (
    "warning: MLflow asks nobody for a password: whoever reaches {host} reads, changes and "
    "deletes these runs"
)


@contextmanager
def serving(
    runs: Path, *, host: str = LOOPBACK, port: int | None = None
) -> Iterator[tuple[str, "subprocess.Popen[Any]"]]:
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
    port = _free_port(host, port or 0)
    process = _start(runs, host, port)
    try:
        _wait_until_it_answers(process, f"http://{_reached_at(host)}:{port}/health")
        yield f"http://{_in_address(host)}:{port}", process
    finally:
        _stop(process)


def ui(
    runs: Path,
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    browser: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C or another signal, printing the address and how to stop.

    Args:
        runs: Folder with `mlflow.db`.
        host: Address to listen on.
        port: None takes a free one.
        browser: Open the newest study's page where this machine has a screen.
        say: Told addresses.
    """
    if not _is_loopback(host):
        say(OPEN_TO_OTHERS.format(host=host))
    say(f"starting MLflow over {runs.resolve()} ...")
    try:
        with serving(runs, host=host, port=port) as (address, process):
            newest = newest_study(runs / "mlflow.db")
            page = address if newest is None else share_view(_near(address, host), newest)
            if newest is not None:
                say(f"newest study, {newest.name}: {page}")
            say(f"MLflow: {address}\nCtrl-C stops it; the runs stay where they are.")
            if browser and _has_screen():
                webbrowser.open(page)
            process.wait()
            raise MachineError(
                f"MLflow ended by itself with code {process.returncode}",
                where=address,
                expected="a server that goes on until Ctrl-C",
                remedy="read its messages above; another --port may help",
            )
    except KeyboardInterrupt:
        say("stopped")


def _near(address: str, host: str) -> str:
    """The server's address as this machine reaches it."""
    return address.replace(f"//{_in_address(host)}:", f"//{_reached_at(host)}:")


def _has_screen() -> bool:
    """Without one Python would open a browser of text in this terminal."""
    return sys.platform == "darwin" or any(
        os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_address(host: str) -> str:
    """The host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _reached_at(host: str) -> str:
    """Where this machine reaches a server that listens on `host`, which may mean every address."""
    return {"0.0.0.0": LOOPBACK, "::": "[::1]"}.get(host, _in_address(host))  # noqa: S104 - to ask


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        MachineError: nothing can listen there.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            return int(probe.getsockname()[1])
    except (OSError, UnicodeError) as error:
        raise MachineError(
            f"nothing can listen on {host} port {port or 'any'}: {error}",
            where="--host and --port",
            expected="an address of this machine, such as 127.0.0.1 or ::1, and a port that is "
            "free",
            remedy="choose another, or leave both out",
        ) from error


def _start(runs: Path, host: str, port: int) -> "subprocess.Popen[Any]":
    artifacts = (runs.resolve() / "mlartifacts").as_uri()
    arguments = [
        "server",
        *("--backend-store-uri", default_tracking_uri(runs)),
        *("--artifacts-destination", artifacts),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *_host_check(host, port),
    ]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_SETTINGS)}
    # A session of its own: Ctrl-C reaches this process alone, which then stops all of the server's.
    return start_python(
        "mlflow",
        *arguments,
        environ={**inherited, **SERVER_SETTINGS},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd=runs.resolve(),
        start_new_session=True,
    )


def _host_check(host: str, port: int) -> tuple[str, ...]:
    """Which `Host` a request may name: this server's own, so that no other site's name leads here.

    MLflow's own list takes every name that begins with `10.`; it is kept only where the server
    listens on all addresses, whose names are unknown.
    """
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - asked for by the user
        return ()
    names = dict.fromkeys((_in_address(host), "localhost", LOOPBACK, "[::1]"))
    return ("--allowed-hosts", ",".join(f"{name}:{port}" for name in names))


def _wait_until_it_answers(process: "subprocess.Popen[Any]", address: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    # A proxy of the environment knows nothing of this machine's own addresses.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with direct.open(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise MachineError(
        "MLflow's server did not come up",
        where=address,
        expected=f"an answer within {START_LIMIT_S:g} s",
        remedy="read its messages above; the port may be taken: choose another with --port",
    )


def _stop(process: "subprocess.Popen[Any]") -> None:
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
