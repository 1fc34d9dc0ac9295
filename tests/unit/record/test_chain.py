"""The chain of a journal's lines: what breaks it, who refuses, and how old journals go on."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import RecordError
from harness.record.chain import contradicts, durable_head
from harness.record.journal import FILE_NAME, Journal, JournalWriter, read_journal
from harness.record.schema import Warned
from harness.record.summary import RunSummary, read_summary
from tests.chained_journals import events_of, rewrite
from tests.planted_journals import imagenet_runs, plant

RUN = replace(imagenet_runs(77.7)[0], steps=250, steps_total=250)
READERS: tuple[Callable[[Path], Journal | RunSummary], ...] = (read_journal, read_summary)


def warned(text: str) -> Warned:
    return Warned(time_s=1.0, step=0, topic="note", text=text)


def unchained(folder: Path) -> Path:
    """A journal as version 0.2.0 wrote it."""
    journal = plant(folder, RUN) / FILE_NAME
    journal.write_text("\n".join(events_of(journal)) + "\n")
    return journal


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("read", READERS)
def test_the_head_is_the_files_digest_and_links_are_no_part_of_events(
    tmp_path: Path, read: Callable[[Path], Journal | RunSummary]
) -> None:
    path = plant(tmp_path / "new", RUN) / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    head = read(path).head
    assert (head.lines, head.digest, head.linked_from) == (len(lines), sha256(path.read_bytes()), 1)
    assert durable_head(path).text == head.text
    for number, line in enumerate(lines):
        assert f'"digest_before":"{sha256(b"".join(lines[:number]))}"'.encode() in line
    old = unchained(tmp_path / "old")
    assert read(old).head.linked_from is None
    assert read_journal(old).events == read_journal(path).events


LOSS, OTHER_LOSS = '"loss":[', '"loss":[1'
CHANGES: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "a digit": (lambda x: [x[0], x[1].replace(LOSS, OTHER_LOSS, 1), *x[2:]], "line 3 states"),
    "a line taken out": (lambda x: [*x[:2], *x[3:]], "line 3 states"),
    "a line doubled": (lambda x: [x[0], x[1], x[1], *x[2:]], "line 3 states"),
    "the first line taken out": (lambda x: x[1:], "line 1 states"),
    "a line without a link": (
        lambda x: [*x[:-1], warned("by hand").model_dump_json() + "\n", x[-1]],
        "carries no digest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_broken_chain_is_refused_by_line(
    tmp_path: Path, change: str, read: Callable[[Path], Journal | RunSummary]
) -> None:
    path = plant(tmp_path, RUN) / FILE_NAME
    edit, said = CHANGES[change]
    lines = edit(path.read_text().splitlines(keepends=True))
    path.write_text("".join(lines))
    with pytest.raises(RecordError, match=said) as caught:
        read(path)
    number = int(caught.value.found.split("line ")[1].split()[0])
    assert caught.value.expected.startswith(sha256("".join(lines[: number - 1]).encode()))
    with pytest.raises(RecordError, match=said):
        JournalWriter(path)


def test_a_journal_rewritten_as_a_whole_fits_itself_but_no_published_head(tmp_path: Path) -> None:
    path = plant(tmp_path, RUN) / FILE_NAME
    published = durable_head(path).text
    with JournalWriter(path) as writer:
        writer.append(warned("later"))
    assert contradicts(published, path) == ""
    events = events_of(path)
    rewrite(path, [events[0], events[1].replace('"loss":[', '"loss":[1', 1), *events[2:]])
    assert read_journal(path).head.linked_from == 1
    assert contradicts(published, path).startswith(f"{len(events) - 1} lines, sha256 ")
    assert contradicts("", path) == ""
    rewrite(path, events[:2])
    assert contradicts(published, path).startswith("2 lines")


def test_an_old_journal_goes_on_and_its_lines_are_covered_from_then_on(tmp_path: Path) -> None:
    path = unchained(tmp_path)
    before = path.read_bytes()
    with JournalWriter(path) as writer:
        writer.append(warned("resumed"))
    assert path.read_bytes().startswith(before)
    old = before.count(b"\n")
    assert read_journal(path).head.linked_from == read_summary(path).head.linked_from == old + 1
    path.write_bytes(path.read_bytes().replace(b'"loss":[', b'"loss":[1', 1))
    with pytest.raises(RecordError, match=f"line {old + 1} states"):
        read_journal(path)


def test_a_torn_last_line_is_cut_off_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = plant(tmp_path, RUN) / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:300].replace(b"\n", b" "))
    for read in READERS:
        assert read(path).torn_bytes == 300
        assert read(path).head.digest == durable_head(path).digest == sha256(whole)
    with JournalWriter(path) as writer:
        writer.append(warned("resumed"))
    assert read_journal(path).head.lines == whole.count(b"\n") + 1


def test_appending_from_several_threads_and_a_failed_write_keep_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    written = plant(tmp_path / "other", RUN) / FILE_NAME
    path.write_bytes(written.read_bytes())
    with JournalWriter(path) as writer:

        def append() -> None:
            for _ in range(20):
                writer.append(warned("from beside"))

        threads = [threading.Thread(target=append) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with monkeypatch.context() as patch:
            patch.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
            with pytest.raises(OSError, match="full"):
                writer.append(warned("lost"))
        writer.append(warned("last"))
    assert read_journal(path).head.lines == written.read_bytes().count(b"\n") + 81
