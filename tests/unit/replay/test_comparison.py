"""Comparing steps, naming what parted, and drawing segments that nobody could choose."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.record.certificate import Audit, DetectionChance, Level, Part, Segment, StepDifference
from harness.replay.certificate_text import statement_of
from harness.replay.certify import CertifyRequest, certify
from harness.replay.comparison import (
    StepRecord,
    audit_chances,
    drawn_segments,
    exact_level,
    first_beyond,
    first_difference,
    lowest,
    parted,
    records_of,
    tolerant_level,
)
from tests.record_samples import SampleRun, windows

SAME = StepRecord(
    learning_rate=0.1, batch="b" * 16, loss=1.5, gradient_norm=2.0, fingerprint="f" * 16
)
OTHER = "0" * 16


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({}, None),
        ({"learning_rate": 0.2}, "learning rate"),
        ({"learning_rate": 0.2, "fingerprint": OTHER, "loss": 1.0}, "learning rate"),
        ({"fingerprint": OTHER, "batch": OTHER, "loss": 1.0}, "batch"),
        ({"fingerprint": OTHER, "loss": 1.0, "gradient_norm": 3.0}, "loss"),
        ({"fingerprint": OTHER, "gradient_norm": 3.0}, "gradients"),
        ({"fingerprint": OTHER}, "gradients or weights"),
        ({"fingerprint": OTHER, "batch": None, "loss": 1.0}, "loss"),
    ],
)
def test_what_parts_first(changes: dict[str, object], part: Part | None) -> None:
    assert parted(SAME, replace(SAME, **changes)) == part


def test_losses_that_are_no_numbers_are_equal_to_each_other() -> None:
    one = replace(SAME, loss=math.nan, fingerprint=OTHER)
    assert parted(one, replace(SAME, loss=math.nan)) == "gradients or weights"


def test_the_first_of_several_differences() -> None:
    expected = dict.fromkeys(range(10), SAME)
    found = dict.fromkeys(range(3, 8), SAME)
    assert first_difference(expected, found) is None
    found |= {5: replace(SAME, fingerprint=OTHER, loss=1.0), 7: replace(SAME, fingerprint=OTHER)}
    difference = first_difference(expected, found)
    assert difference == StepDifference(step=5, part="loss", found="1.0", expected="1.5")


@pytest.mark.parametrize(
    ("part", "level"),
    [
        (None, "step"),
        ("batch", "none"),
        ("learning rate", "data"),
        ("loss", "data"),
        ("gradients", "forward"),
        ("gradients or weights", "forward"),
    ],
)
def test_exact_levels(part: Part | None, level: Level) -> None:
    difference = StepDifference(step=1, part=part, found="a", expected="b") if part else None
    assert exact_level(difference) == level


@pytest.mark.parametrize(
    ("losses", "batches", "level"),
    [
        ((1.0001, 1.4999), "equal", "step"),
        ((1.0001, 1.4), "equal", "forward"),
        ((1.1, 1.5), "equal", "data"),
        ((1.1, 1.5), "other", "none"),
        ((1.0, 1.5), "other", "step"),
    ],
)
def test_levels_within_a_tolerance(losses: tuple[float, float], batches: str, level: Level) -> None:
    expected = {0: replace(SAME, loss=1.0), 1: SAME}
    batch = SAME.batch if batches == "equal" else OTHER
    found = {
        step: replace(SAME, loss=loss, batch=batch, fingerprint=OTHER)
        for step, loss in enumerate(losses)
    }
    assert tolerant_level(expected, found, 1e-3) == level


NEAR = replace(SAME, loss=1.5001, gradient_norm=2.0001, batch=OTHER, fingerprint=OTHER)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"loss": 1.6}, ("loss", "1.6", "1.5")),
        ({"loss": math.nan}, ("loss", "nan", "1.5")),
        ({"gradient_norm": 2.1}, ("gradients", "norm 2.1", "norm 2.0")),
        ({"learning_rate": 0.2, "loss": 1.6}, ("learning rate", "0.2", "0.1")),
    ],
)
def test_the_first_step_beyond_a_tolerance(
    changes: dict[str, float], difference: tuple[Part, str, str] | None
) -> None:
    expected = dict.fromkeys(range(4), SAME)
    found = {0: NEAR, 1: NEAR, 2: replace(NEAR, **changes), 3: replace(NEAR, **changes)}
    told = first_beyond(expected, found, 1e-3)
    if difference is None:
        assert told is None
        return
    part, here, there = difference
    assert told == StepDifference(step=2, part=part, found=here, expected=there)
    assert tolerant_level(expected, found, 1e-3) == "forward"


def test_a_run_that_diverged_agrees_with_a_replay_that_does() -> None:
    expected = {0: replace(SAME, loss=math.nan, gradient_norm=math.nan)}
    assert tolerant_level(expected, dict(expected), 1e-3) == "step"


def test_records_of_an_event() -> None:
    (window, *_) = windows(SampleRun())
    records = records_of(window)
    assert list(records) == list(window.step)
    assert records[7].loss == window.loss[7]
    assert records[7].batch is None


def test_a_draw_depends_on_journal_and_nonce_alone() -> None:
    segments = [(i, i + 1) for i in range(24)]
    drawn = drawn_segments("a" * 64, "word", 4, segments)
    assert drawn == drawn_segments("a" * 64, "word", 4, segments)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 4
    assert drawn != drawn_segments("a" * 64, "other", 4, segments)
    assert drawn != drawn_segments("b" * 64, "word", 4, segments)


def test_every_segment_is_drawn_about_equally_often() -> None:
    segments = [(i, i + 1) for i in range(10)]
    counts = Counter(
        segment
        for nonce in range(2000)
        for segment in drawn_segments("a" * 64, str(nonce), 3, segments)
    )
    # 2000 x 3 / 10 = 600 each; five standard deviations are 103.
    assert all(abs(counts[segment] - 600) < 103 for segment in segments)


def test_chances_of_equal_segments() -> None:
    one, ten = audit_chances([(i * 10, i * 10 + 10) for i in range(100)], 22)
    assert (one.altered_segments, ten.altered_segments) == (1, 10)
    assert one.chance == pytest.approx(0.22)
    missed = math.prod((90 - i) / (100 - i) for i in range(22))
    assert ten.chance == pytest.approx(1 - missed)


def test_the_lowest_level() -> None:
    assert lowest(["step", "data", "forward"]) == "data"


def test_a_difference_is_told_with_step_and_tensor() -> None:
    segment = Segment(
        first_step=12,
        end_step=15,
        level="data",
        difference=StepDifference(step=13, part="loss", found="1.0", expected="1.5"),
        altered_state=("weights/conv0/kernel",),
    )
    text = statement_of((segment,), "data", agrees=False, tolerance=None, audit=None)
    assert "weights/conv0/kernel differs" in text
    assert "first differing step is 13, in its loss: 1.0 here, 1.5 in the journal" in text
    assert "weaker" not in text
    text = statement_of((segment,), "data", agrees=False, tolerance=0.002, audit=None)
    assert "within a relative tolerance of 0.002" in text
    assert "first step beyond the tolerance is 13, in its loss" in text
    assert "weaker" in text


def test_a_change_of_numerics_and_what_it_puts_out_of_reach_are_told() -> None:
    segment = Segment(first_step=0, end_step=14, level="step")
    text = statement_of(
        (segment,), "step", agrees=True, tolerance=None, audit=None, changes=(14,),
        unreachable_steps=6,
    )  # fmt: skip
    assert "went on under other numerics at step 14" in text
    assert "6 further steps could not be replayed" in text
    text = statement_of((segment,), "step", agrees=True, tolerance=None, audit=None)
    assert "numerics" not in text


@pytest.mark.parametrize(
    ("unreachable", "of_which"),
    [(0, "of the steps been"), (6, "of the steps that can be replayed")],
)
def test_what_an_audit_proves_is_told_of_the_steps_it_could_reach(
    unreachable: int, of_which: str
) -> None:
    segment = Segment(first_step=0, end_step=1, level="step")
    chance = DetectionChance(altered_share=0.01, altered_segments=1, chance=0.25)
    audit = Audit(
        nonce="dice",
        journal_digest="a" * 64,
        segments_in_run=4,
        segments_replayed=1,
        chances=(chance,),
    )
    text = statement_of(
        (segment,), "step", agrees=True, tolerance=None, audit=audit, unreachable_steps=unreachable
    )
    assert text.startswith("1 step replayed, ")
    assert f"Had 1% {of_which}" in text
    assert "within 1 segment, this draw would have caught it with chance 25.0%" in text


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (CertifyRequest(Path(), nonce="dice"), "--nonce was given without --segments"),
        (CertifyRequest(Path(), segments=2), "--segments was given without --nonce"),
        (CertifyRequest(Path(), segments=2, nonce=""), "--segments was given without --nonce"),
        (CertifyRequest(Path(), whole=True, start=3), "exclude each other"),
        (CertifyRequest(Path(), segments=2, nonce="dice", start=3), "exclude each other"),
    ],
)
def test_options_that_contradict_each_other(request_: CertifyRequest, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        certify(request_)
