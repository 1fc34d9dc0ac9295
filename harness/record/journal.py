"""The append-only journal of a run.

Appending is one `write` of whole lines; `sync` makes them durable. A torn last
line, which a killed process can leave, is dropped on reading and cut off
before anything is appended. The lines are a chain (`harness/record/chain.py`).
"""

import json
import lzma
import mmap
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from pydantic import ValidationError

from harness.errors import RecordError
from harness.record.chain import NO_LINES, Chain, Head, without_link
from harness.record.schema import (
    EVENT,
    SCHEMA_VERSION,
    AnyEvent,
    CheckpointWritten,
    Evaluation,
    Excerpt,
    Interrupted,
    Replayed,
    Resumed,
    RunFinished,
    RunStarted,
    Steps,
    Warned,
)

FILE_NAME = "journal.jsonl"
EXCERPT_NAME = "journal.jsonl.xz"
"""In the place of a journal, a part of it: `harness excerpt`."""
LARGEST_EXCERPT = 1 << 28
"""Bytes that an excerpt may have when it is unpacked."""


@dataclass(frozen=True)
class Journal:
    """A journal as read: its events in order, what was dropped at a torn end, its chain's head."""

    path: Path
    events: tuple[AnyEvent, ...]
    torn_bytes: int
    head: Head = NO_LINES

    @property
    def started(self) -> RunStarted:
        """The run's identity. Raises `RecordError` when the journal has none."""
        if not self.events or not isinstance(self.events[0], RunStarted):
            raise RecordError(
                "the journal does not begin with run_started",
                where=str(self.path),
                expected="a journal written by `harness run`",
                remedy="leave this folder out, or restore the file from a copy",
            )
        return self.events[0]

    @property
    def excerpt(self) -> Excerpt | None:
        """What the journal was taken from, where it is an excerpt."""
        return next((e for e in self.events[1:2] if isinstance(e, Excerpt)), None)

    @property
    def steps(self) -> tuple[Steps, ...]:
        """Windows of steps in order."""
        return tuple(e for e in self.events if isinstance(e, Steps))

    @property
    def replayed(self) -> tuple[Replayed, ...]:
        """Windows of steps that were computed again."""
        return tuple(e for e in self.events if isinstance(e, Replayed))

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Evaluations in order."""
        return tuple(e for e in self.events if isinstance(e, Evaluation))

    @property
    def checkpoints(self) -> tuple[CheckpointWritten, ...]:
        """Checkpoints in order of writing."""
        return tuple(e for e in self.events if isinstance(e, CheckpointWritten))

    @property
    def interruptions(self) -> tuple[Interrupted | Resumed, ...]:
        """Stops and continuations in order."""
        return tuple(e for e in self.events if isinstance(e, Interrupted | Resumed))

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """Warnings in order."""
        return tuple(e for e in self.events if isinstance(e, Warned))

    @property
    def finished(self) -> RunFinished | None:
        """The end, if the run has one."""
        ends = [e for e in self.events if isinstance(e, RunFinished)]
        return ends[-1] if ends else None

    @property
    def last_step(self) -> int:
        """Steps recorded so far; 0 when there are none."""
        windows = self.steps
        return windows[-1].step[-1] + 1 if windows else 0

    def column(self, name: str) -> np.ndarray:
        """A measurement of `Steps` over all recorded steps, in order.

        Args:
            name: A field with one number for each step, such as `loss`; `step` or `compiled`.

        Returns:
            float64 [steps]; for `compiled` bool [steps], true where a step holds compilation.
        """
        if name == "compiled":
            listed = [step for window in self.steps for step in window.compiled]
            return np.isin(self.column("step"), listed)
        values = (np.asarray(getattr(window, name), np.float64) for window in self.steps)
        return np.concatenate([np.zeros(0), *values])

    def fingerprints(self) -> dict[int, str]:
        """The fingerprint of each recorded step."""
        return {
            step: fingerprint
            for window in self.steps
            for step, fingerprint in zip(window.step, window.fingerprint, strict=True)
        }

    def replayed_equal(self) -> int:
        """Steps that were computed again after a resume, each time with the recorded bits."""
        if not self.replayed:
            return 0
        recorded, equal = self.fingerprints(), dict[int, bool]()
        for window in self.replayed:
            for step, found in zip(window.step, window.fingerprint, strict=True):
                equal[step] = equal.get(step, True) and recorded.get(step) == found
        return sum(equal.values())


def read_journal(path: Path) -> Journal:
    """Read a journal file, or the journal in a run's folder.

    Raises:
        RecordError: no such file, a line in the middle that is no event, an
            event of a newer schema, a broken chain, or steps that are missing or doubled.
    """
    path, raw = journal_content(path)
    whole, torn = _split_torn_end(raw)
    chain = Chain()
    events = []
    for number, line in enumerate(whole.splitlines(keepends=True), start=1):
        chain.check(line, path)
        if line.strip():
            events.append(parse_event(line, path, number))
    journal = Journal(path, tuple(events), torn_bytes=len(torn), head=chain.head)
    _check_consecutive(journal)
    return journal


def journal_in(folder: Path) -> Path | None:
    """The file of a run's journal, or of an excerpt of it; None where there is neither."""
    files = (folder / name for name in (FILE_NAME, EXCERPT_NAME))
    return next((file for file in files if file.exists()), None)


def journal_content(path: Path) -> "tuple[Path, mmap.mmap | bytes]":
    """A journal's file and its bytes, mapped where the file can be; `path` may be its folder.

    Raises:
        RecordError: no such file, or an excerpt that does not unpack.
    """
    try:
        if path.is_dir():
            path = journal_in(path) or path / FILE_NAME
        with path.open("rb") as file:
            if path.name == EXCERPT_NAME:
                return path, _unpacked(file.read())
            try:
                return path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # some network file systems map nothing; so is empty
                return path, file.read()
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise RecordError(
            f"cannot read the journal ({getattr(error, 'strerror', None) or error})",
            where=str(path),
            expected=f"a run's folder with {FILE_NAME}",
            remedy="name a folder like runs/<recipe>-<digest>/seed-<n>",
        ) from error


def _unpacked(packed: bytes) -> bytes:
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    raw = unpacking.decompress(packed, LARGEST_EXCERPT)
    if not unpacking.eof:
        raise lzma.LZMAError("it is cut off, or larger than any excerpt")
    return raw


def _split_torn_end(raw: "mmap.mmap | bytes") -> tuple[bytes, bytes]:
    end = raw.rfind(b"\n") + 1
    return raw[:end], raw[end:]


def parse_event(line: bytes, path: Path, number: int) -> AnyEvent:
    """The event on line `number` of a journal, without its link.

    Raises:
        RecordError: no JSON object, no event, or one of a newer schema.
    """
    line = without_link(line)
    where = f"{path}, line {number}"
    try:
        event = EVENT.validate_json(line)
    except ValidationError as error:
        raise _malformed(line, where, error) from error
    if event.schema_version > SCHEMA_VERSION:
        raise _newer(event.schema_version, where)
    return event


def _malformed(line: bytes, where: str, error: ValidationError) -> RecordError:
    """Why a line is no event; only such a line is parsed twice."""
    try:
        version = json.loads(line).get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        return RecordError(
            "a line of the journal is not a JSON object",
            where=where,
            expected="one event a line",
            remedy="restore the file from a copy; lines are never edited",
        )
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return _newer(version, where)
    first = error.errors()[0]
    return RecordError(
        f"an event is malformed: {first['msg']}",
        where=f"{where}, field {'.'.join(str(p) for p in first['loc'])}",
        expected=f"an event of schema version {SCHEMA_VERSION}",
        remedy="restore the file from a copy; lines are never edited",
    )


def _newer(version: int, where: str) -> RecordError:
    return RecordError(
        f"the journal has schema version {version}",
        where=where,
        expected=f"at most {SCHEMA_VERSION}",
        remedy="read it with the newer harness that wrote it",
    )


def _check_consecutive(journal: Journal) -> None:
    expected = 0
    for window in journal.steps:
        if window.step[0] < expected or (window.step[0] > expected and not journal.excerpt):
            raise RecordError(
                f"steps {window.step[0]}.. follow step {expected - 1}",
                where=str(journal.path),
                expected="each step exactly once and in order",
                remedy="restore the file from a copy; it was edited or two processes wrote to it",
            )
        expected = window.step[-1] + 1


class JournalWriter:
    """Appends events to a journal file from any thread; use as a context manager.

    Raises:
        RecordError: the journal that is there has a broken chain.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._chain = _chain_so_far(path)
        self._appending = threading.Lock()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, event: AnyEvent) -> None:
        """Write one event as one line. Not yet durable: see `sync`.

        Raises:
            OSError: it could not be written; nothing of it stays in the file.
            KeyboardInterrupt: it was interrupted; the same holds.
        """
        with self._appending:
            line = self._chain.linked(event.model_dump_json().encode())
            before, chain = os.fstat(self._fd).st_size, self._chain
            try:
                rest = line
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
                self._chain = chain.after(line)
            except BaseException:
                os.ftruncate(self._fd, before)
                self._chain = chain
                raise

    def sync(self) -> None:
        """Make everything appended so far survive a power cut."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Sync and close."""
        if self._fd >= 0:
            self.sync()
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "JournalWriter":
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def _chain_so_far(path: Path) -> Chain:
    """The chain of the lines that are there; a torn end is cut off."""
    chain = Chain()
    if path.exists():
        with path.open("rb+") as file:
            whole, torn = _split_torn_end(file.read())
            if torn:
                file.truncate(len(whole))
                os.fsync(file.fileno())
        for line in whole.splitlines(keepends=True):
            chain.check(line, path)
    return chain
