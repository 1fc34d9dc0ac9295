"""Replay segments of a run and compare them; each numerics has a process of its own."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from harness.record.certificate import Segment
from harness.record.journal import Journal
from harness.record.schema import Steps
from harness.replay.comparison import (
    StepRecord,
    exact_level,
    first_beyond,
    first_difference,
    records_of,
    tolerant_level,
)
from harness.replay.numerics_spans import Piece
from harness.replay.setup import Opened, open_replay, trained
from harness.system.children import isolation
from harness.system.parent import end_with_parent

if TYPE_CHECKING:
    from harness.evaluation.predictions import RepeatedEvaluations
    from harness.replay.replayer import Replay

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What is to be replayed.

    Attributes:
        folder: The run's folder.
        data: Where its data lies; None takes the recorded place.
        tolerance: Relative, where bits may differ.
        whole: Whether the weights at the run's end are compared.
    """

    folder: Path
    data: Path | None
    tolerance: float
    whole: bool


@dataclass(frozen=True)
class ReplayedSegment:
    """What replays showed; several are joined in the run's order.

    Attributes:
        numerics_differences: Fields in which the replaying process executed
            otherwise than the run; empty where equal bits are promised.
        segments: One for each piece.
        weights_equal: Whether the final weights are; None where not compared.
        predictions_equal: Whether each image's final prediction is.
        evaluations: Steps of the evaluations that were repeated, and whether each
            image's prediction is equal.
    """

    numerics_differences: tuple[str, ...]
    segments: tuple[Segment, ...]
    weights_equal: bool | None
    predictions_equal: bool | None
    evaluations: tuple[tuple[int, bool], ...] = ()

    @property
    def exact(self) -> bool:
        """Whether equal bits are promised."""
        return not self.numerics_differences

    def then(self, later: "ReplayedSegment") -> "ReplayedSegment":
        """This and a later one."""
        return ReplayedSegment(
            tuple(dict.fromkeys(self.numerics_differences + later.numerics_differences)),
            self.segments + later.segments,
            later.weights_equal,
            later.predictions_equal,
            self.evaluations + later.evaluations,
        )


def replay_pieces(order: Order, pieces: Sequence[Piece], say: Say) -> ReplayedSegment:
    """Replay pieces in order, here where all have one numerics, else in a process for each.

    Raises:
        DataError: the data set is not the run's.
        CheckpointError: a state to begin from was damaged meanwhile.
    """
    groups = [list(g) for _, g in groupby(pieces, key=lambda piece: piece.stretch.numerics.digest)]
    if len(groups) == 1:
        return _replay(order, groups[0], say)
    parts = []
    for group in groups:
        for piece in group:
            say(f"replaying steps {piece.first_step} to {piece.end_step - 1}")
        # Threads and oneDNN are pinned once in a process.
        context = multiprocessing.get_context("spawn")
        os.environ.update(isolation())
        with ProcessPoolExecutor(
            1, mp_context=context, initializer=end_with_parent, initargs=(os.getpid(),)
        ) as pool:
            parts.append(pool.submit(_replay, order, group).result())
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.then(part)
    return joined


def _replay(order: Order, pieces: list[Piece], say: Say = lambda _text: None) -> ReplayedSegment:
    journal = trained(order.folder)
    numerics = pieces[0].stretch.numerics
    opened = open_replay(order.folder, journal, order.data, numerics)
    comparison = _Comparison(order, opened, say)
    segments = tuple(comparison.segment(piece) for piece in pieces)
    weights, predictions = comparison.end(pieces[-1], segments[-1])
    evaluations = tuple(comparison.evaluations)
    return ReplayedSegment(opened.numerics_differences, segments, weights, predictions, evaluations)


@dataclass(frozen=True)
class _Comparison:
    order: Order
    opened: Opened
    say: Say
    evaluations: list[tuple[int, bool]] = field(default_factory=list)

    @cached_property
    def repeated(self) -> "RepeatedEvaluations":
        from harness.evaluation.predictions import RepeatedEvaluations

        return RepeatedEvaluations(self.replay.model, self.replay.data)

    @property
    def replay(self) -> "Replay":
        return self.opened.replay

    @property
    def journal(self) -> Journal:
        return self.replay.journal

    @property
    def exact(self) -> bool:
        return not self.opened.numerics_differences

    def segment(self, piece: Piece) -> Segment:
        self.say(f"replaying steps {piece.first_step} to {piece.end_step - 1}")
        recorded: dict[int, StepRecord] = {}
        for window in piece.stretch.windows:
            recorded |= records_of(window)
        self.replay.restart(piece.first_step)
        altered = self.replay.altered
        found: dict[int, StepRecord] = {}

        def compared(window: Steps) -> bool:
            found.update(records_of(window))
            return not self.exact or first_difference(recorded, found) is None

        done = self.replay.run(piece.first_step, piece.end_step, compared, self._evaluate)
        if self.exact:
            difference = first_difference(recorded, found)
            level = exact_level(difference)
        else:
            difference = first_beyond(recorded, found, self.order.tolerance)
            level = tolerant_level(recorded, found, self.order.tolerance)
        return Segment(
            first_step=piece.first_step,
            end_step=done,
            level=level,
            difference=difference,
            altered_state=altered,
            differing_tensors=self._differing_at(piece, done) if self.exact else (),
        )

    def _differing_at(self, piece: Piece, step: int) -> tuple[str, ...]:
        from harness.replay.replayer import differing

        expected = piece.stretch.recorded_state(step)
        return differing(expected, self.replay.state_fingerprints()) if expected else ()

    def end(self, piece: Piece, last: Segment) -> tuple[bool | None, bool | None]:
        """Whether final weights and predictions are equal, after a replay of the whole run."""
        finished = self.journal.finished
        ended = last.end_step == piece.end_step == self.journal.last_step
        if not (self.order.whole and self.exact and finished and ended):
            return None, None
        from harness.numerics.fingerprint import arrays_fingerprint
        from harness.training.state import to_arrays

        state = to_arrays(self.replay.state)
        weights = {name: a for name, a in state.items() if name.startswith("weights/")}
        equal = arrays_fingerprint(weights) == finished.weights_fingerprint
        return equal, self._predictions_equal()

    def _predictions_equal(self) -> bool | None:
        last = self.journal.last_step
        if last not in {step for step, _ in self.evaluations}:  # no whole number of epochs
            self._evaluate(last)
        found = [equal for step, equal in self.evaluations if step == last]
        return all(found) if found else None

    def _evaluate(self, step: int) -> None:
        """Repeat what was evaluated after a step: any epoch may be the one that counts."""
        for event in self.journal.evaluations if self.exact else ():
            if event.step == step:
                self.say(f"evaluating {event.protocol.name} after step {step}")
                self.evaluations.append((step, self.repeated.equal(event)))
