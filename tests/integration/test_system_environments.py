"""What surrounds a command, in a table: environment, command, expected exit code and words.

Each row is the real command in a process of its own. Where the real thing cannot be had
the row says so: a stand-in for it is named as such.
"""

import errno
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
JOURNALS = ROOT / "tests/data/journals"
REPRODUCED, MISSED = str(JOURNALS / "reproduced"), str(JOURNALS / "below-the-margin")
LIST = ("list", "recipes")
JUDGE, JUDGE_MISSED = ("verdict", REPRODUCED), ("verdict", MISSED)
RUN = ("run", "smoke", "--data", "{place}/data", "--seed", "1", "--runs", "{place}/runs")
UNTRACKED = (*RUN, "--no-tracking")
REPORT = ("report", REPRODUCED, "--out", "{place}/page.html")
WAITING = ("verify", "{place}/pipe")
"""Waits for ever: nobody writes to the pipe."""

LONGEST_S = 300
PAGES: set[bytes] = set()
"""Pages that the rows wrote about the same runs; there is to be one."""


@dataclass(frozen=True)
class Row:
    """One environment.

    Attributes:
        name: What is odd about it.
        code: Expected exit code.
        words: After `harness`; `{place}` is the test's own folder.
        told: Words on standard error.
        environ: Variables that are set, or taken away by None.
        streams: `subprocess.Popen`'s arguments, made in the test.
        before: Called in the child before it becomes the command.
        inside: Statements that the command's own process runs before the command.
        sent: A signal that is sent once the command runs.
        home: The working directory; None is the test's own folder.
    """

    name: str
    code: int
    words: tuple[str, ...] = LIST
    told: str = ""
    environ: dict[str, str | None] = field(default_factory=dict)
    streams: Callable[[], dict[str, Any]] = dict
    before: Callable[[], None] | None = None
    inside: str = ""
    sent: signal.Signals | None = None
    home: str | None = None


def broken_pipe(stream: str) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        reading, writing = os.pipe()
        os.close(reading)
        return {stream: writing}

    return make


def full(stream: str) -> Callable[[], dict[str, Any]]:
    return lambda: {stream: os.open("/dev/full", os.O_WRONLY)}


def vanished_terminal() -> dict[str, Any]:
    ours, theirs = pty.openpty()
    os.close(ours)
    return {"stdout": theirs, "stderr": theirs}


def closed(*descriptors: int) -> Callable[[], None]:
    return lambda: [os.close(one) for one in descriptors] and None


def limited(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def without_hang_up() -> None:
    """As `nohup` starts a command."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def tracker(name: str, uri: str, told: str) -> Row:
    return Row(f"tracker {name}", 2, (*RUN, "--tracking-uri", uri), told)


def stopped(sent: signal.Signals, told: str) -> Row:
    return Row(f"{sent.name} while a command waits", 75, WAITING, told, sent=sent)


NOWHERE = "/nonexistent/folder"
NO_THREAD = """import threading
def refuse(*_): raise RuntimeError("can't start new thread")"""
ROWS = (
    Row("nothing odd", 0),
    Row("nothing odd, missed", 1, JUDGE_MISSED),
    Row("nothing odd, inconclusive", 3, ("verdict", str(JOURNALS / "two-seeds"))),
    # Streams
    Row("reader of the answer gone", 0, LIST, streams=broken_pipe("stdout")),
    Row("reader of the answer gone, missed", 141, JUDGE_MISSED, streams=broken_pipe("stdout")),
    Row("reader of the messages gone", 2, ("list",), streams=broken_pipe("stderr")),
    Row("answer to a full disk", 2, LIST, "No space left", streams=full("stdout")),
    Row("missed, to a full disk", 2, JUDGE_MISSED, "No space left", streams=full("stdout")),
    Row("messages to a full disk", 1, JUDGE_MISSED, streams=full("stderr")),
    Row("terminal gone", 0, LIST, streams=vanished_terminal),
    Row("terminal gone, missed", 141, JUDGE_MISSED, streams=vanished_terminal),
    Row("standard input closed", 1, JUDGE_MISSED, before=closed(0)),
    Row("standard output closed", 1, JUDGE_MISSED, before=closed(1)),
    Row("standard error closed", 2, ("no-such-command",), before=closed(2)),
    Row("all streams closed", 1, JUDGE_MISSED, before=closed(0, 1, 2)),
    Row("ASCII streams", 0, LIST, environ={"PYTHONIOENCODING": "ascii"}),
    Row("Latin-1 streams, another time zone", 0, REPORT,
        environ={"PYTHONIOENCODING": "latin-1", "TZ": "Pacific/Kiritimati"}),
    Row("unknown encoding of a locale", 0, LIST,
        environ={"LC_ALL": "xx_YY.KLINGON", "LANG": "xx"}),
    Row("C locale without coercion", 0, LIST,
        environ={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
    Row("a dumb terminal of no width", 0, LIST, environ={"TERM": "dumb", "COLUMNS": "0"}),
    # Users and folders
    Row("no HOME", 0, LIST, environ={"HOME": None}),
    Row("a HOME that is a file, a back end of matplotlib that is not there", 0, REPORT,
        environ={"HOME": "/dev/null", "MPLBACKEND": "nonsense", "MPLCONFIGDIR": NOWHERE}),
    Row("TMPDIR that is not there", 0, LIST, environ={"TMPDIR": NOWHERE}),
    Row("an empty PATH", 0, LIST, environ={"PATH": ""}),
    Row("no git", 2, ("gate", "HEAD", "HEAD~1"), "git is not installed", {"PATH": NOWHERE}),
    Row("GIT_DIR of a hook", 2, ("gate", "no-such-revision", "HEAD"),
        "no-such-revision is no revision of this checkout", {"GIT_DIR": NOWHERE}),
    Row("a revision like an option", 2, ("gate", "--", "--output=x", "HEAD"), "no revision"),
    Row("a foreign harness in the working directory", 0, LIST, home="foreign"),
    Row("a working directory that was removed", 0, LIST, home="removed"),
    Row("a HOME that is not there, a hostile matplotlibrc in the working directory", 0, REPORT,
        environ={"HOME": NOWHERE}, home="matplotlib"),
    Row("the runs folder is a file", 2, (*UNTRACKED, "--runs", "/dev/null"),
        "nothing can be written here"),
    Row("the runs folder is below a file", 2, (*UNTRACKED, "--runs", "/dev/null/runs"),
        "nothing can be written here"),
    Row("the runs folder is in a system that takes none", 2, (*UNTRACKED, "--runs", "/proc/runs"),
        "nothing can be written here"),
    Row("an empty name for a folder", 2, (*UNTRACKED, "--runs", ""), "a path must have a name"),
    Row("a runs folder whose name is not UTF-8", 2, (*UNTRACKED, "--runs", "Bilder_\udce4"),
        "the name Bilder_\N{REPLACEMENT CHARACTER} is not UTF-8"),
    Row("data whose name is not UTF-8", 2, ("prepare", "--source", "\udce4", "--out", "{place}"),
        "is not UTF-8, which journals and manifests need: rename it, or name a link to it"),
    Row("no data", 2, UNTRACKED, "no data set lies there"),
    Row("data that is a file", 2, (*UNTRACKED, "--data", "/dev/null"), "/dev/null"),
    Row("a page below a file", 2, ("report", REPRODUCED, "--out", "/dev/null/page.html"),
        "nothing can be written here"),
    Row("a page that is a folder", 2, ("report", REPRODUCED, "--out", "{place}"), "directory"),
    Row("a bundle where nothing is written", 2, ("bundle", REPRODUCED, "--out", "/proc/x.tar"),
        "nothing can be written here"),
    Row("a bundle that is a folder", 2, ("verify", "{place}"), "is a directory"),
    Row("no room for a file", 2, REPORT, "File too large",
        before=limited(resource.RLIMIT_FSIZE, 1024)),
    # Set once Python stands: how many files its own start opens differs between installations.
    Row("no descriptors", 2, JUDGE, "Too many open files",
        inside="import resource, scipy.stats, harness.__main__, harness.cli.judge.verdict\n"
        "import harness.analysis.verdict\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))"),
    Row("processor time used up", 75, REPORT, "stopped by SIGXCPU",
        before=limited(resource.RLIMIT_CPU, 1)),
    Row("no further thread", 0, JUDGE, inside=f"{NO_THREAD}\nthreading.Thread.start = refuse"),
    Row("no further thread, where one is needed", 2, ("doctor", "--runs", "{place}/runs"),
        "no further thread can be started",
        inside=f"{NO_THREAD}\nimport harness.doctor.run as one; one.diagnose = refuse"),
    Row("no memory, not even to tell it in", 2, ("doctor", "--runs", "{place}/runs"),
        "and in telling it: MemoryError",
        inside="def refuse(*_): raise MemoryError\nimport harness.cli.net as net\n"
        "import harness.doctor.run as one\none.diagnose = net.write_trace = refuse"),
    # Python
    Row("a package that is missing", 2, LIST, "cannot be used: import of click halted",
        inside="import sys; sys.modules['click'] = None"),
    Row("a date for builds that is none", 2, JUDGE, "an installed package cannot be used",
        {"SOURCE_DATE_EPOCH": "x"}),
    Row("warnings are errors", 0, JUDGE, environ={"PYTHONWARNINGS": "error"}),
    Row("no docstrings", 0, LIST, environ={"PYTHONOPTIMIZE": "2"}),
    Row("development mode", 0, LIST, environ={"PYTHONDEVMODE": "1"}),
    Row("no bytecode, another hash seed", 0, LIST,
        environ={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "7"}),
    Row("settings of Keras for another back end", 0, LIST,
        environ={"KERAS_BACKEND": "jax", "KERAS_HOME": NOWHERE}),
    Row("proxies", 0, LIST, environ={"http_proxy": "http://127.0.0.1:9", "ALL_PROXY": "x"}),
    # Trackers; every other wrong address is in `test_tracking_check.py`, without a process.
    tracker("with half an address", "http://[::1", "Invalid IPv6 URL"),
    tracker("where nothing is written", "sqlite:////proc/x/mlflow.db", "cannot be written"),
    Row("tracker of the environment", 2, RUN, "a folder is no tracker",
        {"MLFLOW_TRACKING_URI": "file:///tmp/mlruns"}),
    # Signals
    stopped(signal.SIGINT, "interrupted from the keyboard"),
    stopped(signal.SIGTERM, "stopped by SIGTERM"),
    stopped(signal.SIGHUP, "stopped by SIGHUP"),
    stopped(signal.SIGUSR1, "stopped by SIGUSR1"),
    stopped(signal.SIGUSR2, "stopped by SIGUSR2"),
    stopped(signal.SIGXCPU, "stopped by SIGXCPU"),
    Row("a hang-up under nohup, then SIGTERM", 75, WAITING, "stopped by SIGTERM",
        before=without_hang_up, sent=signal.SIGTERM),
    # Networks
    Row("a host that is not this machine's", 2, ("ui", "--runs", "{place}/tracked", "--host",
        "192.0.2.1"), "nothing can listen on 192.0.2.1"),
    Row("a host without a name", 2, ("ui", "--runs", "{place}/tracked", "--host", "no host"),
        "nothing can listen on no host"),
    Row("a cluster that cannot be read", 2, UNTRACKED, "TF_CONFIG", {"TF_CONFIG": "{"}),
    Row("a device list that ends in another place", 0, LIST,
        environ={"CUDA_VISIBLE_DEVICES": "NoDevFiles"}),
    # TensorFlow is started for these
    Row("flags that TensorFlow does not know", 2, (*UNTRACKED, "--data", "{place}/images"),
        "Unknown flag in TF_XLA_FLAGS", {"TF_XLA_FLAGS": "--nonsense=1"}),
    Row("flags that the compiler does not know", 2, (*UNTRACKED, "--data", "{place}/images"),
        "Unknown flag in XLA_FLAGS", {"XLA_FLAGS": "--nonsense=1"}),
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "data").mkdir()
    (tmp_path / "tracked").mkdir()
    (tmp_path / "tracked" / "mlflow.db").touch()
    for split in ("train", "val"):
        (tmp_path / "images" / split / "a").mkdir(parents=True)
        (tmp_path / "images" / split / "a" / "x.jpg").write_bytes(b"none")
    return tmp_path


def working_directory(row: Row, place: Path) -> Path:
    folder = place / (row.home or "here")
    folder.mkdir()
    if row.home == "foreign":
        (folder / "harness").mkdir()
        for name in ("harness/__init__.py", "json.py", "random.py", "click.py"):
            (folder / name).write_text("raise SystemExit('foreign')\n")
    if row.home == "matplotlib":
        (folder / "matplotlibrc").write_text("font.size: 40\naxes.facecolor: black\n")
    return folder


def start(row: Row, place: Path) -> "subprocess.Popen[str]":
    environ = {**os.environ, **{k: v for k, v in row.environ.items() if v is not None}}
    for name in (k for k, v in row.environ.items() if v is None):
        environ.pop(name, None)
    streams = row.streams()
    folder = working_directory(row, place)

    def before() -> None:
        # Tests that nohup started would hand an ignored hang-up on.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if row.home == "removed":
            folder.rmdir()
        if row.before is not None:
            row.before()

    command = f"{row.inside}\nfrom harness.__main__ import main\nmain()"
    started = ["-c", command] if row.inside else ["-m", "harness"]
    process = subprocess.Popen(
        [sys.executable, "-P", *started, *(w.format(place=place) for w in row.words)],
        env=environ,
        cwd=folder,
        preexec_fn=before,  # noqa: PLW1509 - no thread is here
        text=True,
        errors="replace",
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )
    for descriptor in set(streams.values()):
        os.close(descriptor)
    return process


def held_pipe(process: "subprocess.Popen[str]", pipe: Path) -> int:
    """The other end of a pipe that the command has opened and now reads from, in vain."""
    deadline = time.monotonic() + LONGEST_S
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # somebody reads
                raise
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_environment(row: Row, place: Path) -> None:
    process = start(row, place)
    if row.sent is not None:
        descriptor = held_pipe(process, place / "pipe")
        if row.before is without_hang_up:
            process.send_signal(signal.SIGHUP)
        process.send_signal(row.sent)
    printed, told = process.communicate(timeout=LONGEST_S)
    if row.sent is not None:
        os.close(descriptor)
    assert process.returncode == row.code, told
    assert "Traceback" not in f"{printed}{told}"
    assert "a defect of the harness" not in f"{told}"
    if told is not None:
        assert row.told in told
    if row.words == REPORT and row.code == 0:
        PAGES.add((place / "page.html").read_bytes())
        assert len(PAGES) == 1, "the same runs give the same bytes"
    left = [path for path in place.rglob("*") if path.suffix == ".tmp" or ".harness-" in path.name]
    assert left == []


def test_the_table_is_long_enough() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 50
