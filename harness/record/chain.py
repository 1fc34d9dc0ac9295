"""The chain of a journal's lines: each line carries the digest of all lines before it.

The link is the last field of a line and no part of its event. A journal's head, the
digest of all of its whole lines, is what `sha256sum` prints for the file, and the head
after n lines what it prints for its first n. Lines that were written before there was a
chain have no link; the first link after them covers them.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from harness.errors import RecordError

_LINK = b',"digest_before":"'
_END = b'"}'
_DIGITS = 64
_LINK_BYTES = len(_LINK) + _DIGITS + len(_END)


@dataclass(frozen=True)
class Head:
    """A chain's end: its lines, their sha256, and the first linked line (None: not chained)."""

    lines: int = 0
    digest: str = hashlib.sha256().hexdigest()
    linked_from: int | None = None

    @property
    def text(self) -> str:
        """How a head is published: `812 lines, sha256 9f3c...`."""
        return f"{self.lines} lines, sha256 {self.digest}"

    @property
    def told(self) -> str:
        """What a reader should know about it, in one sentence."""
        if self.linked_from is None:
            return "the journal is not chained: it is older than the chain, or its links are gone."
        begins = "" if self.linked_from == 1 else f" from line {self.linked_from} on"
        return f"the journal is a chain{begins}; its head is {self.text}."


NO_LINES = Head()


class Chain:
    """The running digest of a journal's lines, each given with its newline."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._lines = 0
        self._linked_from: int | None = None

    @property
    def head(self) -> Head:
        """The head after the lines so far."""
        return Head(self._lines, self._hash.hexdigest(), self._linked_from)

    def linked(self, event: bytes) -> bytes:
        """The line of an event, which is a JSON object; the line is not yet in the chain."""
        return event[:-1] + _LINK + self._hash.hexdigest().encode() + _END + b"\n"

    def after(self, line: bytes) -> "Chain":
        """The chain with one more line, which is known to fit."""
        longer = Chain()
        longer._hash = self._hash.copy()
        longer._lines, longer._linked_from = self._lines, self._linked_from
        longer.add(line)
        return longer

    def check(self, line: bytes | memoryview, path: Path) -> None:
        """Go on by a line that was read.

        Raises:
            RecordError: its link is not the digest of the lines before it, or it has none
                though a line before it has.
        """
        link = _link(line)
        if link is not None:
            if link != self._hash.hexdigest().encode():
                raise self._broken(path, f"states {link.decode(errors='replace')}")
            self._linked_from = self._linked_from or self._lines + 1
        elif self._linked_from is not None and bytes(line).strip():
            raise self._broken(path, "carries no digest")
        self.add(line)

    def add(self, line: bytes | memoryview) -> None:
        """Go on by a line whatever its link."""
        self._hash.update(line)
        self._lines += 1

    def _broken(self, path: Path, found: str) -> RecordError:
        number = self._lines + 1
        return RecordError(
            f"the journal's chain is broken: line {number} {found}",
            where=f"{path}, line {number}",
            expected=f"{self._hash.hexdigest()}, the digest of the lines before it",
            remedy="restore the file from a copy: a line before this one was changed, added or "
            "taken out after it had been written",
        )


def without_link(line: bytes) -> bytes:
    """The event of a line, as JSON."""
    line = line.rstrip(b"\n")
    return line if _link(line) is None else line[:-_LINK_BYTES] + b"}"


def durable_head(journal: Path) -> Head:
    """The head of a file's whole lines, made durable first: what was published is never lost.

    Its links are not checked.
    """
    with journal.open("rb") as content:
        with suppress(OSError):  # a medium that takes no sync takes no new lines either
            os.fsync(content.fileno())
        return _head(content)


def contradicts(published: str, journal: Path) -> str:
    """What a published `Head.text` and a journal's first lines differ in; nothing where equal.

    Links are not checked. A text that is no head contradicts nothing.
    """
    number = published.partition(" ")[0]
    if not number.isdigit():
        return ""
    with journal.open("rb") as content:
        found = _head(islice(content, int(number))).text
    return "" if found == published else found


def _head(lines: Iterable[bytes]) -> Head:
    chain = Chain()
    for line in lines:
        if line.endswith(b"\n"):
            chain.add(line)
    return chain.head


def _link(line: bytes | memoryview) -> bytes | None:
    # Only the end is copied: a line of a hundred steps has 15 kB.
    tail = bytes(line[-_LINK_BYTES - 1 :]).rstrip(b"\n")[-_LINK_BYTES:]
    fits = tail.startswith(_LINK) and tail.endswith(_END)
    return tail[len(_LINK) : -len(_END)] if fits else None
