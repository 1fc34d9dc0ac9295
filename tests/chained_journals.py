"""A journal edited by somebody who knows of the chain: every link is computed again."""

import hashlib
from pathlib import Path

from harness.record.chain import without_link


def events_of(journal: Path) -> list[str]:
    """The events of a journal as JSON, one a line, without links."""
    return [without_link(line).decode() for line in journal.read_bytes().splitlines(keepends=True)]


def rewrite(journal: Path, events: list[str]) -> None:
    """Write events as one whole chain."""
    written = b""
    for event in events:
        before = hashlib.sha256(written).hexdigest()
        written += f'{event.strip()[:-1]},"digest_before":"{before}"}}\n'.encode()
    journal.write_bytes(written)


def change(journal: Path, old: str, new: str, *, times: int = -1) -> None:
    """Replace text in a journal's events."""
    rewrite(journal, "\n".join(events_of(journal)).replace(old, new, times).splitlines())
