"""Damaged, full and read-only storage: told in words, and nothing half-written is used."""

import os
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
) -> None:
    before = f"after step {command.journal().last_step}"
    ended = command.finish()
    equal = ended.exit_code == 0 and bits_of(command.journal()) == uninterrupted.bits
    table.append(Row(fault, before, outcome, equal, ended.exit_code))
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    assert bits_of(command.journal()) == uninterrupted.bits


def test_torn_journal_and_damaged_checkpoints(
    tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    """A run whose last two checkpoints and last line of the journal are damaged at once."""
    command = uninterrupted.copy(tmp_path)
    path = command.journal().path
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if b'"event":"checkpoint"' in line)
    path.write_bytes(b"".join(lines[: last + 1])[:-9])
    assert command.journal().torn_bytes > 0
    checkpoints = command.folder / "checkpoints"
    flip(checkpoints / folder_name(40) / STATE_FILE)
    tear(checkpoints / folder_name(39) / STATE_FILE)
    finishes_equal(
        command, uninterrupted, table, "torn and flipped checkpoint, torn journal", "from step 36"
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
    finishes_equal(command, uninterrupted, table, f"all checkpoints: {damage.__name__}", "from 0")


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
    finishes_equal(command, uninterrupted, table, "journal without its last steps", "from step 12")


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
    assert "the disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert command.journal().torn_bytes == 0
    assert [p.name for p in checkpoints.iterdir() if p.name.startswith(".")] == []
    assert set(before) >= {p.name for p in list_checkpoints(checkpoints)}
    table.append(Row("full disk", full, "told, nothing torn", None, ended.exit_code))
    finishes_equal(command, uninterrupted, table, "full disk, then room again", f"{full} failed")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read-only", "a file"])
def test_runs_folder_that_cannot_be_written(
    kind: str, digits: Path, tmp_path: Path, table: list[Row]
) -> None:
    folder = tmp_path / "runs"
    if kind == "a file":
        folder.write_text("")
    else:
        folder.mkdir(mode=0o555)
        if os.access(folder, os.W_OK):
            pytest.skip("this user, an administrator, may write to every folder")
    ended = Command(digits, folder / "inside").finish()
    table.append(Row(f"runs folder is {kind}", "start", "told", None, ended.exit_code))
    assert ended.exit_code == 2
    assert "cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
