"""The mirror's thread beside a tracker that goes away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.tracking import mirror as mirror_module
from harness.tracking.mirror import Mirror
from tests.record_samples import SampleRun, windows


class Away:
    """A stand-in for a sender whose tracker took the first event and is gone since."""

    experiment_id = "1"
    run_id = "2"

    def __init__(self) -> None:
        self.tries = 0

    def send(self, *_arguments: object) -> None:
        raise ConnectionError("gone")

    def ping(self) -> None:
        self.tries += 1
        raise ConnectionError("still gone")


class There(Away):
    """A sender that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[object] = []

    def send(self, *arguments: object) -> None:
        self.taken.append(arguments[0])

    def end_without_event(self, *_arguments: object) -> None:
        return


def mirrored(
    sender: Away, run: Path, sampler: Callable[[], dict[str, float]] | None = None
) -> Mirror:
    """A mirror that has begun, whose clock jumps over its pauses at each look."""
    clock = iter(range(0, 10**6, 31))
    mirror = Mirror(
        lambda: sender,  # type: ignore[arg-type, return-value]
        tracking_uri="http://127.0.0.1:1",
        run_dir=run,
        retry_s=30.0,
        sampler=sampler,
        sample_every_s=10.0,
        now=lambda: float(next(clock)),
    )
    mirror.start()
    return mirror


def test_a_sample_that_fails_is_left_out_and_the_events_go_on(tmp_path: Path) -> None:
    def failing() -> dict[str, float]:
        raise OSError("too many open files")

    sender = There()
    mirror = mirrored(sender, tmp_path, failing)
    events = list(windows(SampleRun()))
    for event in events:
        mirror.publish(event)
    assert mirror.close(60).complete
    assert sender.taken == events


def test_a_long_journal_is_not_read_for_a_tracker_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it would take seconds from the training at each try."""
    sender = Away()
    monkeypatch.setattr(mirror_module, "read_journal", lambda _run: pytest.fail("it was read"))
    mirror = mirrored(sender, tmp_path)
    for event in windows(SampleRun()):
        mirror.publish(event)
    outcome = mirror.close(60)
    assert sender.tries > 1
    assert not outcome.complete
    assert "does not answer: still gone" in outcome.text
