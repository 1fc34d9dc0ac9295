"""A journal read for judging: identity, evaluations and end, and the fingerprints of its steps.

Windows of steps are nearly all of a journal's bytes and a verdict needs none
of their measurements, so their lines are not parsed: the step numbers are
checked for gaps and the fingerprints are taken from their place. A line that
does not look as the writer writes it goes through the full parser.
"""

import mmap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.errors import RecordError
from harness.record.chain import Chain, Head
from harness.record.journal import Journal, journal_content, parse_event
from harness.record.schema import (
    SCHEMA_VERSION,
    AnyEvent,
    Evaluation,
    Excerpt,
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
_FINGERPRINT_BYTES = len(b'"0123456789abcdef",')


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
        fingerprints: uint64 [m], the fingerprints of those steps.
        torn_bytes: Bytes dropped at a torn end.
        head: Of the chain of its lines.
        excerpt: What the journal was taken from, where it is an excerpt.
    """

    folder: Path
    started: RunStarted
    evaluations: tuple[Evaluation, ...]
    finished: RunFinished | None
    interruptions: tuple[Interrupted | Resumed, ...]
    warnings: tuple[Warned, ...]
    last_step: int
    mark_steps: np.ndarray
    fingerprints: np.ndarray
    torn_bytes: int
    head: Head
    excerpt: Excerpt | None = None

    @property
    def completed(self) -> bool:
        """Whether the run reached its recipe's last step."""
        return self.finished is not None and self.finished.status == "completed"


@dataclass
class _Fingerprints:
    """Fingerprints as they go by."""

    last_step: int = 0
    may_jump: bool = False
    steps: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def add(self, first: int, fingerprints: bytes, path: Path, number: int | None = None) -> None:
        """Take a window's fingerprints: `fingerprints` is `"<16 hex>","<16 hex>",...`."""
        if first < self.last_step or (first > self.last_step and not self.may_jump):
            raise RecordError(
                f"steps {first}.. follow step {self.last_step - 1}",
                where=str(path) if number is None else f"{path}, line {number}",
                expected="each step exactly once and in order",
                remedy="restore the file from a copy; it was edited or two processes wrote to it",
            )
        self.last_step = first + (len(fingerprints) + 1) // _FINGERPRINT_BYTES
        self.steps += (first, self.last_step - 1)
        self.values += (fingerprints[1:17], fingerprints[-17:-1])

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
    fingerprints = _Fingerprints(may_jump=journal.excerpt is not None)
    for window in journal.steps:
        fingerprints.add(window.step[0], _joined(window), journal.path)
    return _summary(journal, fingerprints)


def read_summary(path: Path) -> RunSummary:
    """Read the summary from a journal file, or from the journal in a run's folder.

    Raises:
        RecordError: as `read_journal` does, except that measurements of steps
            are not looked at.
    """
    path, content = journal_content(path)
    return _read(content, path)


def first_event(folder: Path) -> RunStarted | None:
    """How a run began, from its journal's first line alone; None where that cannot be read."""
    try:
        path, content = journal_content(folder)
        event = parse_event(content[: content.find(b"\n") + 1], path, 1)
    except RecordError:
        return None
    return event if isinstance(event, RunStarted) else None


def _read(content: "mmap.mmap | bytes", path: Path) -> RunSummary:
    fingerprints = _Fingerprints()
    events: list[AnyEvent] = []
    chain = Chain()
    view = memoryview(content)  # lines are digested where they lie
    begin, number = 0, 1
    while (end := content.find(b"\n", begin)) >= 0:
        chain.check(view[begin : end + 1], path)
        if not _taken(content, begin, end, fingerprints, path, number):
            line = content[begin:end]
            if line.strip():
                event = parse_event(line, path, number)
                fingerprints.may_jump |= isinstance(event, Excerpt) and len(events) == 1
                if isinstance(event, Steps):
                    fingerprints.add(event.step[0], _joined(event), path, number)
                events.append(event)
        begin, number = end + 1, number + 1
    return _summary(Journal(path, tuple(events), len(content) - begin, chain.head), fingerprints)


def _taken(
    content: "mmap.mmap | bytes",
    begin: int,
    end: int,
    fingerprints: _Fingerprints,
    path: Path,
    number: int,
) -> bool:
    """Whether the line [begin, end) is dealt with; if not, it needs the full parser."""
    head = content[begin : min(end, begin + _HEAD)]
    if not head.startswith(_VERSION) or content[end - 1 : end] != b"}":
        return False
    at = head.find(_STEPS)
    if at < 0:
        return any(kind in head for kind in _SKIPPED)
    steps_begin = begin + at + len(_STEPS)
    steps = content[steps_begin : content.find(b"]", steps_begin, end)]
    marks_begin = content.rfind(_MARKS, steps_begin, end) + len(_MARKS)
    values = content[marks_begin : content.find(b"]", marks_begin, end)]
    first, _, rest = steps.partition(b",")
    last = rest.rpartition(b",")[2] or first
    count, left = divmod(len(values) + 1, _FINGERPRINT_BYTES)
    regular = left == 0 and first.isdigit() and last.isdigit()
    if not regular or int(last) - int(first) + 1 != count:
        return False
    fingerprints.add(int(first), values, path, number)
    return True


def _joined(window: Steps) -> bytes:
    return ",".join(f'"{mark}"' for mark in window.fingerprint).encode()


def _refuse_contradictions(journal: Journal, last_step: int) -> None:
    """A run begins once and ends once; a completed one recorded every step of its recipe."""
    starts = sum(isinstance(event, RunStarted) for event in journal.events)
    ends = [event for event in journal.events if isinstance(event, RunFinished)]
    wanted = journal.started.steps_total
    if starts > 1 or len(ends) > 1:
        found, expected = f"{starts} beginnings and {len(ends)} ends", "one of each at most"
    elif ends and ends[0].status == "completed" and {ends[0].step, last_step} != {wanted}:
        found = f"{last_step:,} steps, called completed after step {ends[0].step:,}"
        expected = f"the {wanted:,} steps of its recipe"
    else:
        return
    raise RecordError(
        f"the journal of one run holds {found}",
        where=str(journal.path),
        expected=expected,
        remedy="restore the file from a copy: lines were taken out or added after it was written",
    )


def _summary(journal: Journal, fingerprints: _Fingerprints) -> RunSummary:
    steps, values = fingerprints.arrays(journal.path)
    _refuse_contradictions(journal, fingerprints.last_step)
    return RunSummary(
        folder=journal.path.parent,
        started=journal.started,
        evaluations=journal.evaluations,
        finished=journal.finished,
        interruptions=journal.interruptions,
        warnings=journal.warnings,
        last_step=fingerprints.last_step,
        mark_steps=steps,
        fingerprints=values,
        torn_bytes=journal.torn_bytes,
        head=journal.head,
        excerpt=journal.excerpt,
    )
