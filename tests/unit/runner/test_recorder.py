"""Windows become events; steps computed again are compared with what they were."""

import errno
import os
from pathlib import Path

import pytest

from harness.errors import DifferenceFoundError
from harness.record.journal import JournalWriter, read_journal
from harness.record.schema import AnyEvent, Resumed, Steps
from harness.runner.begin import comparable_steps
from harness.runner.recorder import Recorder
from tests.record_samples import SampleRun, started, windows
from tests.sample_events import NUMERICS, window_of

OTHER = NUMERICS.model_copy(update={"intra_op_threads": 7})


def window(first: int, marks: list[str]) -> Steps:
    return window_of(
        first,
        len(marks),
        time_s=7.0,
        step_time_s=0.5,
        loss=1.5,
        gradient_norm=2.0,
        correct=3,
        images=8,
        fingerprint=marks,
        batch_fingerprint="b" * 16,
    )


def mark(number: int) -> str:
    return f"{number:016x}"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    published: list[AnyEvent] = []
    recorder = Recorder(JournalWriter(tmp_path / "journal.jsonl"), published.append, lambda: 7.0)
    recorder.record(started(SampleRun()))
    return recorder


def test_a_window_is_one_event(recorder: Recorder) -> None:
    recorder.record(window(0, [mark(1), mark(2)]))
    (event,) = read_journal(recorder.writer.path).steps
    assert event.step == (0, 1)
    assert event.fingerprint == (mark(1), mark(2))
    assert event.batch_fingerprint == ("b" * 16,) * 2
    assert event.time_s == 7.0


def test_replayed_steps_are_recorded_and_not_counted(recorder: Recorder) -> None:
    recorder.record(window(0, [mark(1), mark(2)]))
    recorder.replayed(window(1, [mark(2)]), {0: mark(1), 1: mark(2)})
    journal = read_journal(recorder.writer.path)
    assert journal.last_step == 2
    assert [r.step for r in journal.replayed] == [(1,)]


def test_a_replayed_step_that_differs_ends_the_run(recorder: Recorder) -> None:
    with pytest.raises(DifferenceFoundError, match="resume is not exact: step 6 has") as error:
        recorder.replayed(window(5, [mark(5), mark(0)]), {5: mark(5), 6: mark(6)})
    assert error.value.exit_code == 1
    (event,) = read_journal(recorder.writer.path).replayed
    assert event.fingerprint == (mark(5), mark(0))


def test_a_replayed_step_of_other_numerics_may_differ(recorder: Recorder) -> None:
    recorder.replayed(window(5, [mark(5), mark(0)]), {5: mark(5)})
    assert len(read_journal(recorder.writer.path).replayed) == 1


def resumed(step: int, numerics: object) -> Resumed:
    return Resumed(
        time_s=1.0, step=step, file=None, numerics=numerics, numerics_digest=numerics.digest
    )


def steps(first: int, last: int) -> Steps:
    (event,) = windows(SampleRun(steps=last), first, last)
    return event


@pytest.mark.parametrize(
    ("events", "first", "expected", "reason"),
    [
        ([steps(0, 9)], 5, [5, 6, 7, 8], "all of it"),
        ([steps(0, 6), resumed(3, NUMERICS), steps(6, 9)], 5, [5, 6, 7, 8], "over a resume"),
        ([steps(0, 6), resumed(3, OTHER), steps(6, 9)], 5, [5], "up to other numerics"),
        (
            [steps(0, 3), resumed(3, OTHER), steps(3, 6), resumed(6, NUMERICS), steps(6, 9)],
            2,
            [2],
            "what followed other numerics is another training",
        ),
        ([steps(0, 6)], 6, [], "nothing to compute again"),
    ],
)
def test_which_steps_must_be_equal(
    events: list[AnyEvent], first: int, expected: list[int], reason: str, tmp_path: Path
) -> None:
    with JournalWriter(tmp_path / "journal.jsonl") as writer:
        for event in (started(SampleRun()), *events):
            writer.append(event)
    journal = read_journal(tmp_path)
    comparable = comparable_steps(journal, NUMERICS.digest, first)
    assert list(comparable) == expected, reason
    assert all(journal.fingerprints()[step] == value for step, value in comparable.items())


def test_an_event_that_does_not_fit_on_the_disk_leaves_nothing(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recorder.writer.path.read_bytes()
    plain = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 100:
            return plain(descriptor, data[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    long = window(0, [mark(1)])
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        recorder.record(long)
    monkeypatch.undo()
    assert recorder.writer.path.read_bytes() == whole
    recorder.record(long)
    assert read_journal(recorder.writer.path).last_step == 1
