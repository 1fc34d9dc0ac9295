"""`harness certify`: replay steps of a run in a fresh process and say how far they agree."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.errors import CheckpointError, TrackerError, UsageError
from harness.record.certificate import FILE_NAME, Audit, Certificate, Level, Segment, StepDetail
from harness.record.journal import Journal
from harness.workflows.certificate import (
    StepRecord,
    audit_chances,
    drawn_segments,
    exact_level,
    first_difference,
    lowest,
    records_of,
    tolerant_level,
)
from harness.workflows.certificate_text import statement_of
from harness.workflows.disk import disk_errors
from harness.workflows.replaying import Opened, one_run, open_replay
from harness.workflows.run_folder import write_json

if TYPE_CHECKING:
    from harness.training.loop import Window
    from harness.workflows.replay import Replay

TOLERANCE = 1e-3
"""Relative, for loss and gradient norm where bits may differ."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class CertifyRequest:
    """One `harness certify`.

    Attributes:
        run: The run's folder.
        data: Where its data lies; None takes the recorded place.
        steps: How many steps are replayed from one saved state.
        start: That state's step; None draws one.
        whole: Replay every step from the beginning, and evaluate.
        segments: How many segments between saved states are drawn; None
            replays `steps` from `start` alone.
        nonce: What the verifier gives for the draw.
        tolerance: Relative, where bits may differ.
    """

    run: Path
    data: Path | None = None
    steps: int = 10
    start: int | None = None
    whole: bool = False
    segments: int | None = None
    nonce: str | None = None
    tolerance: float = TOLERANCE


def certify(request: CertifyRequest, say: Say = lambda _text: None) -> Certificate:
    """Replay, compare, and write the certificate beside the run.

    Raises:
        UsageError: options that contradict each other or the run.
        CheckpointError: the state to begin from is missing or damaged.
        DataError: the data set is not the run's.
        MachineError: the certificate cannot be written.
    """
    _check(request)
    folder = one_run(request.run)
    opened = open_replay(folder, request.data)
    auditor = _Auditor(request, opened, say)
    certificate = auditor.certificate()
    with disk_errors(folder):
        write_json(folder / FILE_NAME, certificate.model_dump(mode="json"))
    return certificate


def detail(run: Path, step: int, data: Path | None) -> StepDetail:
    """Take one step of a run apart; see `StepDetail`.

    Raises:
        UsageError: the run has no such step.
    """
    opened = open_replay(one_run(run), data)
    replay = opened.replay
    if not 0 <= step < replay.journal.last_step:
        raise UsageError(
            f"the run has no step {step}",
            where=str(run),
            expected=f"a step from 0 to {replay.journal.last_step - 1}",
            remedy="choose one that was trained",
        )
    return replay.detail(step, max(s for s in _saved(replay) if s <= step))


def publish(run: Path, certificate: Certificate, tracking_uri: str) -> str:
    """Put the certificate beside the run in MLflow; returns MLflow's run id.

    Raises:
        TrackerError: the tracker has no such run, does not answer, or refuses.
    """
    from harness.record.mirror_sender import RUN_TAG
    from harness.record.mirror_tracker import Tracker, identifier, reason_of, shown_uri
    from harness.record.mlflow_mirror import EXPERIMENT

    try:
        tracker = Tracker(tracking_uri, EXPERIMENT)
        found = tracker.find({RUN_TAG: identifier(certificate.run_id)})
        if found is not None:
            tracker.write_tags(found, {"harness.certificate": certificate.statement[:5000]})
            tracker.write_file(found, one_run(run) / FILE_NAME)
    except Exception as error:
        raise TrackerError(
            reason_of(error, tracking_uri),
            expected="an MLflow tracker that accepts the certificate",
            remedy="the certificate lies beside the run; certify again when the tracker answers",
        ) from error
    if found is None:
        raise TrackerError(
            f"the tracker has no run {certificate.run_id}",
            where=shown_uri(tracking_uri),
            expected="a run that was mirrored",
            remedy="send it with `harness sync` first",
        )
    return found


def _check(request: CertifyRequest) -> None:
    if request.segments is not None and not request.nonce:
        raise UsageError(
            "--segments was given without --nonce",
            expected="a nonce that the verifier chose after the run, so that nobody could "
            "know which segments are drawn",
            remedy="add --nonce WORD",
        )
    ways = [request.whole, request.segments is not None, request.start is not None]
    if sum(ways) > 1:
        raise UsageError(
            "--whole, --segments and --from exclude each other",
            expected="one of them, or none for a state drawn by chance",
            remedy="leave the others out",
        )


def _saved(replay: "Replay") -> tuple[int, ...]:
    from harness.workflows.replay import saved_steps

    return saved_steps(replay.folder, replay.journal)


@dataclass
class _Auditor:
    request: CertifyRequest
    opened: Opened
    say: Say

    @property
    def replay(self) -> "Replay":
        return self.opened.replay

    @property
    def journal(self) -> Journal:
        return self.replay.journal

    @property
    def exact(self) -> bool:
        return not self.opened.numerics_differences

    def certificate(self) -> Certificate:
        digest = hashlib.sha256(self.journal.path.read_bytes()).hexdigest()
        recorded: dict[int, StepRecord] = {}
        for window in self.journal.steps:
            recorded |= records_of(window.step[0], window)
        saved = _saved(self.replay)
        chosen = self._chosen(saved, digest)
        segments = tuple(self._segment(first, end, recorded) for first, end in chosen)
        weights, predictions = self._end(segments[-1])
        level = self._level(segments, weights, predictions)
        agrees = level in {"step", "whole_run"} and all(
            s.agrees or not self.exact for s in segments
        )
        agrees = agrees and weights is not False and predictions is not False
        audit = self._audit(saved, digest, len(segments))
        started = self.journal.started
        return Certificate(
            statement=statement_of(segments, level, agrees=agrees, exact=self.exact, audit=audit),
            level=level,
            exact=self.exact,
            agrees=agrees,
            run_id=started.run_id,
            seed=started.seed,
            recipe_digest=started.recipe_digest,
            data_root=started.data.root_digest,
            journal_digest=digest,
            steps_in_run=self.journal.last_step,
            steps_replayed=sum(s.end_step - s.first_step for s in segments),
            numerics_differences=self.opened.numerics_differences,
            tolerance=None if self.exact else self.request.tolerance,
            segments=segments,
            audit=audit,
            final_weights_equal=weights,
            predictions_equal=predictions,
            harness_version=__version__,
            time_s=time.time(),
        )

    def _chosen(self, saved: tuple[int, ...], digest: str) -> list[tuple[int, int]]:
        last = self.journal.last_step
        if self.request.whole:
            _need(0, saved)
            return [(0, last)]
        if self.request.segments is not None and self.request.nonce:
            segments = _segments(saved, last)
            if self.request.segments > len(segments):
                raise UsageError(
                    f"--segments {self.request.segments} of {len(segments)}",
                    where=str(self.replay.folder),
                    expected=f"at most {len(segments)}: that many saved states begin one",
                    remedy="ask for fewer",
                )
            return drawn_segments(digest, self.request.nonce, self.request.segments, segments)
        beginnings = [step for step in saved if step < last]
        start = self.request.start
        if start is None:
            start = secrets.choice(beginnings)
        _need(start, tuple(beginnings))
        return [(start, min(start + self.request.steps, last))]

    def _segment(self, first: int, end: int, recorded: dict[int, StepRecord]) -> Segment:
        self.say(f"replaying steps {first} to {end - 1}")
        self.replay.restart(first)
        found: dict[int, StepRecord] = {}

        def compared(window: "Window") -> bool:
            found.update(records_of(window.first_step, window))
            return not self.exact or first_difference(recorded, found) is None

        done = self.replay.run(first, end, compared)
        difference = first_difference(recorded, found)
        if self.exact:
            level = exact_level(difference)
        else:
            level = tolerant_level(recorded, found, self.request.tolerance)
        return Segment(
            first_step=first,
            end_step=done,
            level=level,
            difference=difference,
            altered_state=self.replay.altered,
            differing_tensors=self._differing_at(done),
        )

    def _differing_at(self, step: int) -> tuple[str, ...]:
        from harness.workflows.replay import differing

        expected = self.replay.recorded_state(step)
        return differing(expected, self.replay.state_marks()) if expected else ()

    def _end(self, last: Segment) -> tuple[bool | None, bool | None]:
        """Whether final weights and predictions are equal, after a replay of the whole run."""
        finished = self.journal.finished
        if not (self.request.whole and finished and last.end_step == self.journal.last_step):
            return None, None
        from harness.numerics.fingerprint import arrays_fingerprint
        from harness.training.state import to_arrays

        state = to_arrays(self.replay.state)
        weights = {name: a for name, a in state.items() if name.startswith("weights/")}
        equal = arrays_fingerprint(weights) == finished.weights_fingerprint
        return (equal, self._predictions_equal()) if self.exact else (None, None)

    def _predictions_equal(self) -> bool:
        from harness.workflows.evaluating import predictions_digest

        events = [e for e in self.journal.evaluations if e.step == self.journal.last_step]
        return all(
            predictions_digest(self.replay.model, self.replay.data, e) == e.predictions_digest
            for e in events
        )

    def _level(
        self, segments: tuple[Segment, ...], weights: bool | None, predictions: bool | None
    ) -> Level:
        level = lowest(s.level for s in segments)
        whole = self.request.whole and self.exact and weights and predictions
        return "whole_run" if level == "step" and whole else level

    def _audit(self, saved: tuple[int, ...], digest: str, drawn: int) -> Audit | None:
        if self.request.segments is None or self.request.nonce is None:
            return None
        segments = _segments(saved, self.journal.last_step)
        return Audit(
            nonce=self.request.nonce,
            journal_digest=digest,
            segments_in_run=len(segments),
            segments_replayed=drawn,
            chances=audit_chances(segments, drawn),
        )


def _segments(saved: tuple[int, ...], last: int) -> list[tuple[int, int]]:
    """Steps from each saved state to the next, the last one to the run's end."""
    edges = [step for step in saved if step < last]
    return list(zip(edges, [*edges[1:], last], strict=True))


def _need(step: int, saved: tuple[int, ...]) -> None:
    if step not in saved:
        raise CheckpointError(
            f"the run has no whole state saved at step {step}",
            expected=f"one of {', '.join(map(str, saved))}",
            remedy="choose one of these with --from",
        )
