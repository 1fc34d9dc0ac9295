"""Streams whose reader is gone, slow or narrow, in real processes over real pipes."""

import errno
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from harness.system.children import child_environment
from harness.system.streams import LastingFile, exit_code_of_answer

BODY = """
import sys, os, signal, time
from harness.system.streams import exit_code_of_answer, outliving_readers
with outliving_readers():
    {body}
    code, words = exit_code_of_answer({code})
os._exit(code)
"""
PRINT = "[print('x' * 999) for _ in range(200)]"


def start(body: str, code: int = 0, **streams: object) -> "subprocess.Popen[bytes]":
    environ = child_environment({**os.environ, "PYTHONIOENCODING": streams.pop("encoding", "utf8")})
    text = BODY.format(body=body, code=code)
    return subprocess.Popen([sys.executable, "-c", text], env=environ, **streams)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 141), (2, 2), (3, 141), (75, 75)])
def test_a_reader_that_goes_away_is_no_answer(code: int, expected: int) -> None:
    reading, writing = os.pipe()
    process = start(PRINT, code, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.close(reading)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (expected, b"")


@pytest.mark.parametrize(("code", "expected"), [(0, 2), (1, 2), (2, 2), (3, 2), (75, 75)])
def test_an_answer_that_finds_no_room_is_an_error(code: int, expected: int) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(PRINT, code, stdout=full)
        assert process.wait(60) == expected


@pytest.mark.parametrize("number", [1, 2])
def test_a_stream_that_was_closed_from_the_start(number: int, tmp_path: Path) -> None:
    """A file that is opened then does not get the number of standard output or error."""
    place = tmp_path / "file"
    body = (
        f"print('a'); print('b', file=sys.stderr); f = open({str(place)!r}, 'w'); "
        "f.write(str(f.fileno())); f.close(); os.write(2, b'native'); os.write(1, b'native')"
    )
    process = start(body, 1, preexec_fn=lambda: os.close(number))
    assert process.wait(60) == 1
    assert int(place.read_text()) > 2


def test_a_terminal_that_vanishes_ends_nothing() -> None:
    ours, theirs = pty.openpty()
    body = "print('begun', flush=True); sys.stdin.readline(); " + PRINT + "; print('on')"
    process = start(body, 0, stdout=theirs, stderr=theirs, stdin=subprocess.PIPE)
    assert os.read(ours, 5) == b"begun"
    os.close(ours)
    os.close(theirs)
    process.communicate(b"go on\n", timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf8"])
def test_every_character_gets_through(encoding: str) -> None:
    body = r"print('a \u2713 \ud800 \xe9', flush=True)"
    process = start(body, encoding=encoding, stdout=subprocess.PIPE)
    written, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert written.startswith(b"a ")
    assert b"\\ud800" in written


def test_a_stream_that_does_not_wait_for_its_reader_gets_everything() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = start(PRINT, 0, stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert len(pipe.read()) == 200 * 1000
    assert process.wait(60) == 0


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "planted-value")
    body = "print('http://u:pw@h', os.environ['SOME_TOKEN'])"
    process = start(body, 0, stdout=subprocess.PIPE)
    assert process.communicate(timeout=60)[0] == b"http://***@h ***\n"


def test_the_first_error_is_remembered() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    file = LastingFile(writing)
    assert file.write(b"abc") == 3
    assert file.error is not None
    assert file.error.errno == errno.EPIPE
    assert file.write(b"abc") == 3
    assert not file.isatty()
    os.close(writing)


def test_streams_of_another_program_are_left_alone() -> None:
    assert exit_code_of_answer(1) == (1, "")
