"""A planted password: in nothing that a run, its tracker, its page and its bundle leave."""

import base64
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.chained_journals import events_of
from tests.faults.command import Command

PASSWORD = 'planted "p@ss/w0rd"'
TOKEN = "planted-token-1234567"
IN_NETRC, IN_MLFLOW, OF_PROXY = "planted-netrc", "planted-credentials", "planted-proxy"
PASSWORDS = (PASSWORD, IN_NETRC, IN_MLFLOW, OF_PROXY)
FORMS = (
    *PASSWORDS,
    quote(PASSWORD, safe=""),
    json.dumps(PASSWORD)[1:-1],
    *(base64.b64encode(f"me:{password}".encode()).decode() for password in PASSWORDS),
    TOKEN,
)
SECRETS = {
    "MLFLOW_TRACKING_PASSWORD": PASSWORD,
    "SOME_API_KEY": TOKEN,
    "TF_SOME_TOKEN": TOKEN,
    "https_proxy": f"http://me:{OF_PROXY}@127.0.0.1:9",
}


class Repeating(BaseHTTPRequestHandler):
    """A server in trouble that says back who asked, as it came and as it is meant."""

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "Basic ").removeprefix("Basic ")
        meant = base64.b64decode(sent).decode()
        self.server.seen.append(meant)  # type: ignore[attr-defined]
        body = f"cannot serve {sent}, which is {meant}, at {self.path}".encode()
        self.send_response(500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repeating)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A home folder with the files in which a tracker's client looks for passwords by itself."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".netrc").write_text(f"machine 127.0.0.1 login me password {IN_NETRC}\n")
    (folder / ".mlflow").mkdir()
    account = f"mlflow_tracking_username = me\nmlflow_tracking_password = {IN_MLFLOW}\n"
    (folder / ".mlflow" / "credentials").write_text(f"[mlflow]\n{account}")
    return str(folder)


def places(folder: Path, texts: dict[str, str]) -> Iterator[str]:
    """Where one of the forms is found."""
    contents = {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    contents |= {name: text.encode() for name, text in texts.items()}
    for name, content in contents.items():
        for form in FORMS:
            if form.encode() in content:
                yield f"{form!r} in {name}"


def call(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        env={**os.environ, **SECRETS, **environ},
        preexec_fn=lambda: os.umask(0) and None,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_planted_password_is_nowhere(
    digits: Path, tmp_path: Path, home: str, server: ThreadingHTTPServer
) -> None:
    """Of the address, the environment, `.netrc` and MLflow's file; the server repeats them."""
    address = f"127.0.0.1:{server.server_port}/?access_token={TOKEN}"
    uri = f"http://me:{quote(PASSWORD, safe='')}@{address}"
    command = replace(
        Command(digits, tmp_path / "runs"),
        extra=("--steps", "3", "--eval-images", "4", "--tracking-uri", uri),
        environment=(*SECRETS.items(), ("HOME", home)),
    )
    ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
    assert f"me:{IN_NETRC}" in server.seen  # type: ignore[attr-defined]
    assert "cannot serve ***, which is me:***, at" in ended.stderr
    texts = {"stdout of run": ended.stdout, "stderr of run": ended.stderr}
    assert "http://***@127.0.0.1" in command.journal().started.command[-1]
    run = str(command.folder)
    outputs = {
        "sync": ("sync", run),
        "report": ("report", run, "--out", str(tmp_path / "page.html"), "--markdown",
                   str(tmp_path / "page.md")),
        "bundle": ("bundle", run, "--out", str(tmp_path / "bundle.tar")),
        "status": ("status", str(command.folder.parent)),
        "a wrong address": ("sync", run, "--tracking-uri", uri.replace("http:", "gopher:")),
        "a server in trouble": ("sync", run, "--tracking-uri", uri),
    }  # fmt: skip
    for name, words in outputs.items():
        done = call(*words, HOME=home)
        assert done.returncode == (2 if name.startswith("a ") else 0), done.stderr
        texts[name] = done.stdout + done.stderr
    assert (tmp_path / "runs" / "mlflow.db").is_file()
    assert list(places(tmp_path, texts)) == []
    # With a umask of 0, which forbids nothing.
    open_to_all = [p for p in tmp_path.rglob("*") if p.stat().st_mode & stat.S_IWOTH]
    assert open_to_all == []


def test_a_journal_with_a_password_is_not_bundled(tmp_path: Path) -> None:
    """Version 0.2.0 wrote the command line as it was given."""
    source = Path(__file__).parents[1] / "data/journals/reproduced/seed-1/journal.jsonl"
    folder = tmp_path / "study" / "seed-1"
    folder.mkdir(parents=True)
    first, *rest = events_of(source)
    event = json.loads(first)
    event["command"] = ["harness", "run", "--tracking-uri", "http://me:secret-word@host:5000"]
    (folder / "journal.jsonl").write_text("\n".join([json.dumps(event), *rest]) + "\n")
    done = call("bundle", str(folder), "--out", str(tmp_path / "bundle.tar"))
    assert done.returncode == 2
    assert "looks like a password" in done.stderr
    assert not (tmp_path / "bundle.tar").exists()
    done = call("report", str(folder), "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    assert "secret-word" not in (tmp_path / "page.html").read_text() + done.stderr
