"""Stretches of a run: consecutive steps recorded under one numerics, and where each can begin.

A run that went on with `--accept-numerics` has several. Equal bits are promised
only within one: a step is repeated under the numerics that it was recorded
under, from a state that was computed under them or that they began from.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from harness.errors import CheckpointError
from harness.record.journal import Journal
from harness.record.schema import CheckpointWritten, EffectiveNumerics, Resumed, Steps
from harness.training.checkpoint import list_checkpoints, read_checkpoint


@dataclass(frozen=True)
class Stretch:
    """Consecutive recorded steps under one numerics.

    Attributes:
        begin_step: Step of the state that it went on from.
        first_step: The first step that it recorded; steps from `begin_step` to
            here were recorded before and computed again.
        end_step: The step after the last one that it recorded.
        numerics: In force.
        windows: What it recorded.
        checkpoints: What it saved.
        beginnings: Steps of saved states that a replay of it can begin from.
    """

    begin_step: int
    first_step: int
    end_step: int
    numerics: EffectiveNumerics
    windows: tuple[Steps, ...]
    checkpoints: tuple[CheckpointWritten, ...]
    beginnings: tuple[int, ...] = ()

    def recorded_state(self, step: int) -> dict[str, str]:
        """Tensor fingerprints that it recorded after `step` steps; empty where it saved none."""
        found = [event for event in self.checkpoints if event.step == step]
        return dict(found[-1].tensor_fingerprints) if found else {}


@dataclass(frozen=True)
class Piece:
    """Steps [first_step, end_step) to be replayed as a part of one stretch."""

    first_step: int
    end_step: int
    stretch: Stretch

    @property
    def recorded(self) -> tuple[int, int]:
        """The part of it whose steps the stretch recorded: first, and the one after the last."""
        return max(self.first_step, self.stretch.first_step), self.end_step


def stretches_of(journal: Journal, saved: Collection[int] = ()) -> tuple[Stretch, ...]:
    """The stretches of a run that recorded steps, in order.

    Args:
        journal: Of the run.
        saved: Steps whose state can be had; see `saved_states`.
    """
    drafts = _drafts(journal)
    writer = {0: 0} | {e.step: n for n, draft in enumerate(drafts) for e in draft.checkpoints}
    found = []
    end = 0
    for number, draft in enumerate(drafts):
        first, end = end, draft.windows[-1].step[-1] + 1 if draft.windows else end
        beginnings = (
            step
            for step in saved
            if step in writer and step < end and draft.can_begin(number, step, writer[step])
        )
        found.append(
            Stretch(
                begin_step=draft.begin_step,
                first_step=first,
                end_step=end,
                numerics=draft.numerics,
                windows=tuple(draft.windows),
                checkpoints=tuple(draft.checkpoints),
                beginnings=tuple(sorted(beginnings)),
            )
        )
    return tuple(stretch for stretch in found if stretch.windows)


@dataclass
class _Draft:
    begin_step: int
    digest: str
    numerics: EffectiveNumerics
    windows: list[Steps] = field(default_factory=list)
    checkpoints: list[CheckpointWritten] = field(default_factory=list)

    def goes_on(self, event: Resumed) -> bool:
        return event.numerics_digest == self.digest and event.step >= self.begin_step

    def can_begin(self, number: int, step: int, writer: int) -> bool:
        # A state that a later stretch wrote again has other bits than the one that was loaded.
        return writer == number or (step == self.begin_step and writer < number)


def _drafts(journal: Journal) -> list[_Draft]:
    started = journal.started
    drafts = [_Draft(0, started.numerics_digest, started.numerics)]
    for event in journal.events:
        if isinstance(event, Resumed) and not drafts[-1].goes_on(event):
            drafts.append(_Draft(event.step, event.numerics_digest, event.numerics))
        elif isinstance(event, Steps):
            drafts[-1].windows.append(event)
        elif isinstance(event, CheckpointWritten):
            drafts[-1].checkpoints.append(event)
    return drafts


def saved_states(folder: Path, journal: Journal) -> frozenset[int]:
    """Steps whose state can be had: the initial one and each whole checkpoint.

    A run that began with imported weights has its initial state in no file of
    its own. Needs no TensorFlow: what a process is pinned to depends on it.
    """
    started = journal.started
    steps = {0} if started.init_weights is None else set()
    for checkpoint in list_checkpoints(folder / "checkpoints"):
        try:
            steps.add(read_checkpoint(checkpoint, started.run_id).step)
        except CheckpointError:
            continue
    return frozenset(steps)


def stretch_at(stretches: Sequence[Stretch], step: int) -> Stretch:
    """The stretch that recorded a step. Raises `StopIteration` when none did."""
    return next(s for s in stretches if s.first_step <= step < s.end_step)


def segments_of(stretches: Sequence[Stretch]) -> tuple[Piece, ...]:
    """From each saved state to the next of the same stretch, the last one to its end."""
    return tuple(
        Piece(first, end, stretch)
        for stretch in stretches
        for first, end in pairwise([*stretch.beginnings, stretch.end_step])
        if end > stretch.first_step
    )


def covering(stretches: Sequence[Stretch], first: int, end: int) -> tuple[Piece, ...]:
    """Steps [first, end), one piece in each stretch that has a saved state from `first` on."""
    pieces = []
    for stretch in stretches:
        last = min(end, stretch.end_step)
        beginnings = [step for step in stretch.beginnings if first <= step < last]
        if last <= stretch.first_step or not beginnings:
            continue
        early = [step for step in beginnings if step <= max(first, stretch.first_step)]
        pieces.append(Piece(max(early, default=beginnings[0]), last, stretch))
    return tuple(pieces)


def steps_recorded(pieces: Sequence[Piece]) -> int:
    """How many recorded steps the pieces hold."""
    return sum(end - first for first, end in (piece.recorded for piece in pieces))
