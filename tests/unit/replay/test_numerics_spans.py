"""Which steps were recorded under which numerics, and from which states they can be repeated."""

from pathlib import Path

import numpy as np
import pytest

from harness.record.journal import Journal, JournalWriter, read_journal
from harness.record.schema import AnyEvent, Resumed
from harness.replay.diff import recorded_differences
from harness.replay.numerics_spans import (
    covering,
    saved_states,
    segments_of,
    stretch_at,
    stretches_of,
)
from harness.training.checkpoint import write_checkpoint
from tests.record_samples import SampleRun, checkpoint, started, windows
from tests.sample_events import EPOCH_S, NUMERICS

RUN = SampleRun(steps=20)
A = NUMERICS
B = NUMERICS.model_copy(update={"onednn": False})


def resumed(step: int, numerics: object) -> Resumed:
    return Resumed(
        time_s=EPOCH_S,
        step=step,
        file=None,
        numerics=numerics,
        numerics_digest=numerics.digest,
        accepted_numerics=True,
    )


def steps(first: int, end: int) -> AnyEvent:
    (window,) = windows(RUN, first, end)
    return window


def saves(*at: int) -> list[AnyEvent]:
    return [checkpoint(RUN, step) for step in at]


def journal(*events: AnyEvent) -> Journal:
    return Journal(Path("journal.jsonl"), (started(RUN), *events), torn_bytes=0)


FELL_BACK = journal(
    steps(0, 14), *saves(10, 12, 14), resumed(12, B), *saves(14), steps(14, 20), *saves(20)
)
"""Steps 12 and 13 were recorded under A and computed again under B, which wrote 14 again."""


@pytest.mark.parametrize(
    ("read", "saved", "expected"),
    [
        pytest.param(
            journal(steps(0, 20), *saves(5, 15)),
            {0, 5, 10},
            [(0, 0, 20, A, (0, 5))],
            id="10 is whole but in no event, 15 has an event but no file",
        ),
        pytest.param(
            journal(steps(0, 14), *saves(12), resumed(12, A), steps(14, 20)),
            {0, 12},
            [(0, 0, 20, A, (0, 12))],
            id="a resume under the same numerics changes nothing",
        ),
        pytest.param(
            FELL_BACK,
            {0, 10, 12, 14, 20},
            [(0, 0, 14, A, (0, 10, 12)), (12, 14, 20, B, (12, 14))],
            id="a state is of both where the one ended and the other began",
        ),
        pytest.param(
            FELL_BACK,
            {0},
            [(0, 0, 14, A, (0,)), (12, 14, 20, B, ())],
            id="the state at the change was removed",
        ),
        pytest.param(
            journal(
                steps(0, 14), *saves(10, 14), resumed(10, B), *saves(14), resumed(14, A),
                steps(14, 20),
            ),
            {0, 10, 14},
            [(0, 0, 14, A, (0, 10)), (14, 14, 20, A, (14,))],
            id="numerics that recorded no step left a state of theirs",
        ),
        pytest.param(
            journal(
                steps(0, 14), *saves(10, 12), resumed(12, B), steps(14, 16), resumed(10, B),
                *saves(12), steps(16, 20),
            ),
            {0, 10, 12},
            [(0, 0, 14, A, (0, 10)), (12, 14, 16, B, ()), (10, 16, 20, B, (10, 12))],
            id="computed again from before the change",
        ),
    ],
)  # fmt: skip
def test_stretches(
    read: Journal, saved: set[int], expected: list[tuple[int, int, int, object, tuple[int, ...]]]
) -> None:
    found = stretches_of(read, saved)
    told = [(s.begin_step, s.first_step, s.end_step, s.numerics, s.beginnings) for s in found]
    assert told == expected
    recorded = [step for s in found for window in s.windows for step in window.step]
    assert recorded == list(range(20))


def test_every_segment_holds_recorded_steps_of_its_stretch() -> None:
    pieces = segments_of(stretches_of(FELL_BACK, {0, 10, 12, 14, 20}))
    assert [(p.first_step, p.end_step) for p in pieces] == [(0, 10), (10, 12), (12, 14), (14, 20)]
    assert [p.stretch.numerics for p in pieces] == [A, A, A, B]


@pytest.mark.parametrize(
    ("saved", "first", "end", "expected"),
    [
        ({0, 10, 12, 14}, 0, 20, [(0, 14, A), (14, 20, B)]),
        ({0, 10, 12}, 0, 20, [(0, 14, A), (12, 20, B)]),
        ({0, 10}, 0, 20, [(0, 14, A)]),
        ({0, 10, 12, 14}, 10, 12, [(10, 12, A)]),
        ({0, 10, 12, 14}, 12, 16, [(12, 14, A), (14, 16, B)]),
        ({0, 10, 12, 14}, 14, 16, [(14, 16, B)]),
    ],
)
def test_steps_that_span_a_change_are_split(
    saved: set[int], first: int, end: int, expected: list[tuple[int, int, object]]
) -> None:
    pieces = covering(stretches_of(FELL_BACK, saved), first, end)
    assert [(p.first_step, p.end_step, p.stretch.numerics) for p in pieces] == expected


@pytest.mark.parametrize(("step", "numerics"), [(0, A), (13, A), (14, B), (19, B)])
def test_numerics_in_force_at_a_step(step: int, numerics: object) -> None:
    assert stretch_at(stretches_of(FELL_BACK), step).numerics == numerics


@pytest.mark.parametrize(("step", "differ"), [(13, ()), (14, ("onednn: True | False",))])
def test_runs_differ_in_the_numerics_in_force_where_they_part(
    step: int, differ: tuple[str, ...]
) -> None:
    assert recorded_differences(journal(steps(0, 20)), FELL_BACK, step).numerics == differ


def test_a_state_that_was_written_again_is_that_of_the_stretch() -> None:
    again = checkpoint(RUN, 14).model_copy(update={"tensor_fingerprints": {"kernel": "f" * 16}})
    read = journal(steps(0, 14), *saves(10, 14), resumed(10, B), again, steps(14, 20))
    first, second = stretches_of(read)
    assert first.recorded_state(14) == checkpoint(RUN, 14).tensor_fingerprints
    assert second.recorded_state(14) == again.tensor_fingerprints
    assert second.recorded_state(15) == {}


def test_a_damaged_checkpoint_is_no_saved_state(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "journal.jsonl") as writer:
        writer.append(started(RUN))
    for step in (5, 10):
        state = {"step": np.int64(step)}
        write_checkpoint(tmp_path / "checkpoints", step, RUN.run_id, state, lambda: None)
    (tmp_path / "checkpoints" / "step-0000000010" / "state.npz").write_bytes(b"torn")
    assert saved_states(tmp_path, read_journal(tmp_path)) == {0, 5}
