"""Damaged, full and read-only storage: told in words, and nothing half-written is used."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.training.checkpoint import STATE_FILE, folder_name, list_checkpoints
from tests.faults.command import Command, bits_of, check_counted_once
from tests.faults.conftest import Reference, Row, Stopped


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def tear(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def finishes_equal(
    command: Command, uninterrupted: Reference, table: list[Row], fault: str, outcome: str
) -> str:
    """Let the run end; returns what it told on stderr."""
    before = f"after step {command.journal().last_step}"
    ended = command.finish()
    equal = ended.exit_code == 0 and bits_of(command.journal()) == uninterrupted.bits
    table.append(Row(fault, before, outcome, equal, ended.exit_code))
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    assert bits_of(command.journal()) == uninterrupted.bits
    return ended.stderr


def check_told(stderr: str, *parts: str) -> None:
    """Each part is told once, as a warning that says where, what was expected and what to do."""
    for part in parts:
        (warning,) = [text for text in stderr.split("warning: ")[1:] if part in text]
        lines = warning.splitlines()
        assert [line.split(":")[0].strip() for line in lines[1:4]] == [
            "where", "expected", "what to do",
        ]  # fmt: skip


def test_torn_journal_and_damaged_checkpoints(
    tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    """A run whose last two checkpoints and last line of the journal are damaged at once."""
    command = uninterrupted.copy(tmp_path)
    path = command.journal().path
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if b'"event":"checkpoint"' in line)
    path.write_bytes(b"".join(lines[: last + 1])[:-9])
    torn = command.journal().torn_bytes
    assert torn > 0
    checkpoints = command.folder / "checkpoints"
    flip(checkpoints / folder_name(40) / STATE_FILE)
    tear(checkpoints / folder_name(39) / STATE_FILE)
    told = finishes_equal(
        command, uninterrupted, table, "torn and flipped checkpoint, torn journal", "from step 36"
    )
    check_told(
        told,
        f"the journal's last line was torn; its {torn} bytes were dropped",
        f"2 of the newest checkpoints could not be used: {folder_name(40)}: ",
        f"{folder_name(39)}: ",
        "the run resumes from step 36",
    )
    (resumed,) = [e for e in command.journal().interruptions if e.event == "resumed"]
    assert resumed.step == 36
    assert [text.partition(":")[0] for text in resumed.skipped] == [
        folder_name(40),
        folder_name(39),
    ]
    assert [step for r in command.journal().replayed for step in r.step] == [36, 37, 38, 39]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip, tear])
def test_every_checkpoint_damaged(
    damage: Callable[[Path], None],
    stopped: Stopped,
    tmp_path: Path,
    uninterrupted: Reference,
    table: list[Row],
) -> None:
    command = stopped.copy(tmp_path)
    for checkpoint in list_checkpoints(command.folder / "checkpoints"):
        damage(checkpoint / STATE_FILE)
    told = finishes_equal(
        command, uninterrupted, table, f"all checkpoints: {damage.__name__}", "from 0"
    )
    check_told(told, "3 of the newest checkpoints could not be", "the run resumes from step 0")


@pytest.mark.slow
def test_a_journal_that_lost_steps_does_not_gain_a_gap(
    stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    """Only a faulty disk can do that: the checkpoint of step 14 is ahead of the journal."""
    command = stopped.copy(tmp_path)
    path = command.journal().path
    lines = path.read_bytes().splitlines(keepends=True)
    kept = max(i for i, line in enumerate(lines) if b'"step":[12,13]' in line)
    path.write_bytes(b"".join(lines[:kept]))
    told = finishes_equal(
        command, uninterrupted, table, "journal without its last steps", "from step 12"
    )
    check_told(told, f"{folder_name(14)}: the journal ends at step 12")


def limited(command: Command, size: int) -> Command:
    """The same command in a process whose files may not grow beyond `size` bytes."""
    limit = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return replace(command, prefix=(sys.executable, "-c", limit.format(size)))


@pytest.mark.slow
@pytest.mark.parametrize("full", ["a checkpoint", "the journal"])
def test_full_disk(
    full: str, stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    command = stopped.copy(tmp_path)
    journal = command.journal().path
    checkpoints = command.folder / "checkpoints"
    before = [p.name for p in list_checkpoints(checkpoints)]
    size = 2_000_000 if full == "a checkpoint" else journal.stat().st_size + 100
    ended = limited(command, size).finish()
    assert ended.exit_code == 2, ended.stderr
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert command.journal().torn_bytes == 0
    assert [p.name for p in checkpoints.iterdir() if p.name.startswith(".")] == []
    assert set(before) >= {p.name for p in list_checkpoints(checkpoints)}
    table.append(Row("full disk", full, "told, nothing torn", None, ended.exit_code))
    finishes_equal(command, uninterrupted, table, "full disk, then room again", f"{full} failed")


WITHOUT_OVERRIDE = (
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
)
"""For an administrator, whom a folder's mode does not keep from writing otherwise."""


def kept_out(folder: Path) -> tuple[str, ...] | None:
    """Words before a command that make writing to a read-only folder fail; None: there are none."""
    for words in ((), WITHOUT_OVERRIDE):
        if words and shutil.which(words[0]) is None:
            continue
        tried = subprocess.run([*words, "test", "-w", str(folder)], check=False)
        if tried.returncode == 1:
            return words
    return None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read-only", "a file"])
def test_runs_folder_that_cannot_be_written(
    kind: str, digits: Path, tmp_path: Path, table: list[Row]
) -> None:
    folder = tmp_path / "runs"
    prefix: tuple[str, ...] | None = ()
    if kind == "a file":
        folder.write_text("")
    else:
        folder.mkdir(mode=0o555)
        prefix = kept_out(folder)
        if prefix is None:
            pytest.skip("this administrator may write to every folder, and no setpriv is here")
    ended = replace(Command(digits, folder / "inside"), prefix=prefix).finish()
    table.append(Row(f"runs folder is {kind}", "start", "told", None, ended.exit_code))
    assert ended.exit_code == 2
    assert "nothing can be written here" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert kind == "a file" or not list(folder.iterdir())
