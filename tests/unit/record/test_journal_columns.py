"""Measurements of a journal's steps as arrays, and the windows that are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import RecordError
from harness.record.journal import FILE_NAME, Journal, read_journal
from harness.record.schema import Replayed
from tests.chained_journals import events_of, rewrite
from tests.planted_journals import imagenet_runs, plant
from tests.sample_events import window_of

RUN = imagenet_runs(77.7)[0]


def test_a_column_joins_the_windows_in_order(tmp_path: Path) -> None:
    journal = read_journal(plant(tmp_path, replace(RUN, steps=250)))
    assert len(journal.steps) > 1
    assert journal.column("loss").tolist() == [x for w in journal.steps for x in w.loss]
    correct = [float(x) for w in journal.steps for x in w.correct]
    assert journal.column("correct").tolist() == correct
    assert np.flatnonzero(journal.column("compiled")).tolist() == [0]
    assert journal.column("compiled").shape == (250,)


def test_steps_that_were_computed_again_count_where_each_time_their_bits_are_equal() -> None:
    steps = window_of(0, 4, fingerprint=[f"{n:016x}" for n in range(4)])

    def again(first: int, *marks: int) -> Replayed:
        step = tuple(range(first, first + len(marks)))
        fingerprint = tuple(f"{mark:016x}" for mark in marks)
        return Replayed(time_s=0.0, step=step, fingerprint=fingerprint)

    def counted(*replays: Replayed) -> int:
        return Journal(Path("journal.jsonl"), (steps, *replays), 0).replayed_equal()

    assert counted() == 0
    assert counted(again(1, 1, 2)) == 2
    assert counted(again(1, 1, 9)) == 1, "step 2 had other bits"
    assert counted(again(1, 1, 9), again(2, 2, 3)) == 2, "a later attempt makes it no equal one"
    assert counted(again(3, 3), again(3, 3)) == 1


def test_a_journal_without_steps_has_empty_columns() -> None:
    journal = Journal(Path("journal.jsonl"), (), 0)
    assert journal.column("loss").shape == (0,)
    assert journal.column("compiled").shape == (0,)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"schema_version":1', '"schema_version":2', "schema version 2"),
        ('"loss":[', '"loss":[1.0,', "entries, step has"),
        ('"step":[0,', '"step":[', "entries, step has"),
        ('"step":[', '"step"[', "not a JSON object"),
        ('"step":[', '"step":' + 5000 * "[", "not a JSON object"),
    ],
)
def test_malformed_windows_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = plant(tmp_path, RUN) / FILE_NAME
    lines = events_of(path)
    rewrite(path, [lines[0], lines[1].replace(old, new, 1), *lines[2:]])
    with pytest.raises(RecordError, match=said):
        read_journal(path)
