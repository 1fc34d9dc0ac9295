"""A journal read for judging: identity, evaluations and end, and the marks of its steps.

Windows of steps are nearly all of a journal's bytes and a verdict needs none
of their measurements, so their lines are not parsed: the step numbers are
checked for gaps and the fingerprints are taken from their place. A line that
does not look as the writer writes it goes through the full parser.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.errors import RecordError
from harness.record.journal import FILE_NAME, Journal, parse_event
from harness.record.schema import (
    SCHEMA_VERSION,
    Evaluation,
    Interrupted,
    Resumed,
    RunFinished,
    RunStarted,
    Steps,
    Warned,
)

_HEAD = 96
"""Bytes of a line within which version, time and kind of the event stand."""
_VERSION = b'{"schema_version":%d,' % SCHEMA_VERSION
_STEPS = b'"event":"steps","step":['
_MARKS = b'"fingerprint":['
_SKIPPED = (b'"event":"replayed"', b'"event":"checkpoint"')
_MARK_BYTES = len(b'"0123456789abcdef",')
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class RunSummary:
    """What a judgement needs of one run.

    Attributes:
        folder: The run's folder.
        started: Its identity.
        evaluations: In order.
        finished: Its end, or None while it has none.
        interruptions: Stops and continuations in order.
        warnings: In order.
        last_step: Steps recorded; 0 when there are none.
        mark_steps: int64 [m], the first and the last step of each window.
        marks: uint64 [m], the fingerprints of those steps.
        steps_digest: Hex sha256 over the fingerprints of all steps in order.
        torn_bytes: Bytes dropped at a torn end.
    """

    folder: Path
    started: RunStarted
    evaluations: tuple[Evaluation, ...]
    finished: RunFinished | None
    interruptions: tuple[Interrupted | Resumed, ...]
    warnings: tuple[Warned, ...]
    last_step: int
    mark_steps: np.ndarray
    marks: np.ndarray
    steps_digest: str
    torn_bytes: int

    @property
    def completed(self) -> bool:
        """Whether the run reached its recipe's last step."""
        return self.finished is not None and self.finished.status == "completed"


@dataclass
class _Marks:
    """Fingerprints as they go by."""

    last_step: int = 0
    steps: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, first: int, marks: bytes, where: str) -> None:
        """Take a window's fingerprints: `marks` is `"<16 hex>","<16 hex>",...`."""
        if first != self.last_step:
            raise RecordError(
                f"steps {first}.. follow step {self.last_step - 1}",
                where=where,
                expected="each step exactly once and in order",
                remedy="restore the file from a copy; it was edited or two processes wrote to it",
            )
        self.last_step = first + (len(marks) + 1) // _MARK_BYTES
        self.steps += (first, self.last_step - 1)
        self.values += (marks[1:17], marks[-17:-1])
        self.digest.update(marks)
        self.digest.update(b",")

    def arrays(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values as arrays; `path` is for the error of a malformed one."""
        try:
            raw = bytes.fromhex(b"".join(self.values).decode())
        except ValueError as error:
            raise RecordError(
                "a fingerprint is not 16 hexadecimal digits",
                where=str(path),
                expected="fingerprints as written by `harness run`",
                remedy="restore the file from a copy; lines are never edited",
            ) from error
        return np.asarray(self.steps, np.int64), np.frombuffer(raw, ">u8").astype(np.uint64)


def summarise(journal: Journal) -> RunSummary:
    """The summary of a journal that has been read whole."""
    marks = _Marks()
    for window in journal.steps:
        marks.add(window.step[0], _joined(window), str(journal.path))
    return _summary(journal, marks)


def read_summary(path: Path) -> RunSummary:
    """Read the summary from a journal file, or from the journal in a run's folder.

    Raises:
        RecordError: as `read_journal` does, except that measurements of steps
            are not looked at.
    """
    path = path / FILE_NAME if path.is_dir() else path
    marks = _Marks()
    events, torn = [], 0
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    torn = len(line)
                elif not _taken(line, marks, path, number) and line.strip():
                    event = parse_event(line, path, number)
                    if isinstance(event, Steps):
                        marks.add(event.step[0], _joined(event), f"{path}, line {number}")
                    events.append(event)
    except OSError as error:
        raise RecordError(
            f"cannot read the journal ({error.strerror})",
            where=str(path),
            expected=f"a run's folder with {FILE_NAME}",
            remedy="name a folder like runs/<recipe>-<digest>/seed-<n>",
        ) from error
    return _summary(Journal(path, tuple(events), torn), marks)


def _taken(line: bytes, marks: _Marks, path: Path, number: int) -> bool:
    """Whether the line is dealt with; if not, it needs the full parser."""
    head = line[:_HEAD]
    if not head.startswith(_VERSION):
        return False
    begin = head.find(_STEPS)
    if begin < 0:
        return any(kind in head for kind in _SKIPPED) and line.endswith(b"}\n")
    return _take_steps(line, begin + len(_STEPS), marks, path, number)


def _take_steps(line: bytes, begin: int, marks: _Marks, path: Path, number: int) -> bool:
    end = line.find(b"]", begin)
    mark_begin = line.rfind(_MARKS) + len(_MARKS)
    mark_end = line.find(b"]", mark_begin)
    values = line[mark_begin:mark_end]
    first, _, rest = line[begin:end].partition(b",")
    last = rest.rpartition(b",")[2] or first
    count, left = divmod(len(values) + 1, _MARK_BYTES)
    regular = first.isdigit() and last.isdigit() and left == 0 and line.endswith(b"}\n")
    if not regular or int(last) - int(first) + 1 != count or values.count(b'"') != 2 * count:
        return False
    marks.add(int(first), values, f"{path}, line {number}")
    return True


def _joined(window: Steps) -> bytes:
    return ",".join(f'"{mark}"' for mark in window.fingerprint).encode()


def _summary(journal: Journal, marks: _Marks) -> RunSummary:
    steps, values = marks.arrays(journal.path)
    return RunSummary(
        folder=journal.path.parent,
        started=journal.started,
        evaluations=journal.evaluations,
        finished=journal.finished,
        interruptions=journal.interruptions,
        warnings=journal.warnings,
        last_step=marks.last_step,
        mark_steps=steps,
        marks=values,
        steps_digest=marks.digest.hexdigest(),
        torn_bytes=journal.torn_bytes,
    )
