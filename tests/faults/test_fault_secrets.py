"""A planted password: in nothing that a run, its tracker, its page and its bundle leave."""

import base64
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from tests.chained_journals import events_of
from tests.faults.command import Command

PASSWORD = 'planted "p@ss/w0rd"'
TOKEN = "planted-token-1234567"
FORMS = (
    PASSWORD,
    quote(PASSWORD, safe=""),
    json.dumps(PASSWORD)[1:-1],
    base64.b64encode(f"me:{PASSWORD}".encode()).decode(),
    TOKEN,
)
SECRETS = {"MLFLOW_TRACKING_PASSWORD": PASSWORD, "SOME_API_KEY": TOKEN, "TF_SOME_TOKEN": TOKEN}


def places(folder: Path, texts: dict[str, str]) -> Iterator[str]:
    """Where one of the forms is found."""
    contents = {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    contents |= {name: text.encode() for name, text in texts.items()}
    for name, content in contents.items():
        for form in FORMS:
            if form.encode() in content:
                yield f"{form!r} in {name}"


def call(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        env={**os.environ, **SECRETS},
        preexec_fn=lambda: os.umask(0) and None,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_planted_password_is_nowhere(digits: Path, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}/?access_token={TOKEN}"
        uri = f"http://me:{quote(PASSWORD, safe='')}@{address}"
        extra = ("--steps", "3", "--eval-images", "4", "--tracking-uri", uri)
        command = replace(
            Command(digits, tmp_path / "runs"),
            extra=extra,
            environment=tuple(SECRETS.items()),
        )
        ended = command.finish()
    assert ended.exit_code == 0, ended.stderr
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
    }  # fmt: skip
    for name, words in outputs.items():
        done = call(*words)
        assert done.returncode == (2 if name == "a wrong address" else 0), done.stderr
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
