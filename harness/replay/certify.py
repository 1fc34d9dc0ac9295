"""`harness certify`: replay steps of a run in a fresh process and say how far they agree."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import __version__
from harness.errors import CheckpointError, TrackerError, UsageError
from harness.record.certificate import FILE_NAME, Audit, Certificate, Level, StepDetail
from harness.record.journal import Journal
from harness.record.run_folder import write_json
from harness.replay.audit import Order, ReplayedSegment, replay_pieces
from harness.replay.certificate_text import statement_of
from harness.replay.comparison import audit_chances, drawn_segments, lowest
from harness.replay.numerics_spans import (
    Piece,
    Stretch,
    covering,
    saved_states,
    segments_of,
    steps_recorded,
    stretch_at,
    stretches_of,
)
from harness.replay.setup import one_run, open_replay, trained
from harness.system.folders import disk_errors, try_output

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
        whole: Replay every step from the beginning.
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
    try_output(folder / FILE_NAME)
    journal = trained(folder)
    if journal.torn_bytes:
        say(f"{journal.path}: {journal.torn_bytes} bytes of a torn last line left out")
    stretches = stretches_of(journal, saved_states(folder, journal))
    digest = hashlib.sha256(journal.path.read_bytes()).hexdigest()
    chosen = _chosen(request, journal, stretches, digest)
    order = Order(folder, request.data, request.tolerance, request.whole)
    replayed = replay_pieces(order, chosen.pieces, say)
    certificate = _certificate(request, journal, stretches, digest, chosen, replayed)
    with disk_errors(folder):
        write_json(folder / FILE_NAME, certificate.model_dump(mode="json"))
    return certificate


def detail(run: Path, step: int, data: Path | None) -> StepDetail:
    """Take one step of a run apart, under the numerics it was recorded under; see `StepDetail`.

    Raises:
        UsageError: the run has no such step.
        CheckpointError: no state is left from which it was computed.
    """
    folder = one_run(run)
    journal = trained(folder)
    if not 0 <= step < journal.last_step:
        raise UsageError(
            f"the run has no step {step}",
            where=str(run),
            expected=f"a step from 0 to {journal.last_step - 1}",
            remedy="choose one that was trained",
        )
    stretch = stretch_at(stretches_of(journal, saved_states(folder, journal)), step)
    starts = [beginning for beginning in stretch.beginnings if beginning <= step]
    if not starts:
        raise CheckpointError(
            f"no whole state is left from which step {step} was computed",
            where=str(folder / "checkpoints"),
            expected=f"one from step {stretch.begin_step} to {step}, where these numerics began",
            remedy="compare without details",
        )
    opened = open_replay(folder, journal, data, stretch.numerics)
    return opened.replay.detail(step, max(starts))


def publish(run: Path, certificate: Certificate, tracking_uri: str) -> str:
    """Put the certificate beside the run in MLflow; returns MLflow's run id.

    Raises:
        TrackerError: the tracker has no such run, does not answer, or refuses.
    """
    from harness.tracking.address import shown_uri
    from harness.tracking.client import Tracker, identifier, reason_of
    from harness.tracking.mirror import EXPERIMENT
    from harness.tracking.rows import RUN_TAG

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
    if request.nonce is not None and request.segments is None:
        raise UsageError(
            "--nonce was given without --segments",
            expected="how many segments the nonce shall draw",
            remedy="add --segments N, or leave --nonce out for a state drawn by chance",
        )
    ways = [request.whole, request.segments is not None, request.start is not None]
    if sum(ways) > 1:
        raise UsageError(
            "--whole, --segments and --from exclude each other",
            expected="one of them, or none for a state drawn by chance",
            remedy="leave the others out",
        )


@dataclass(frozen=True)
class _Chosen:
    """What is replayed, of how many segments it was drawn, and how many steps it should hold."""

    pieces: tuple[Piece, ...]
    drawn_from: tuple[Piece, ...]
    steps_asked: int

    @property
    def unreachable_steps(self) -> int:
        return self.steps_asked - steps_recorded(self.drawn_from)


def _chosen(
    request: CertifyRequest, journal: Journal, stretches: tuple[Stretch, ...], digest: str
) -> _Chosen:
    last = journal.last_step
    saved = sorted({step for stretch in stretches for step in stretch.beginnings})
    if request.segments is not None and request.nonce:
        segments = segments_of(stretches)
        if request.segments > len(segments):
            raise UsageError(
                f"--segments {request.segments} of {len(segments)}",
                where=str(journal.path.parent),
                expected=f"at most {len(segments)}: that many saved states begin one",
                remedy="ask for fewer",
            )
        drawn = drawn_segments(digest, request.nonce, request.segments, segments)
        return _Chosen(tuple(drawn), segments, last)
    if request.whole or request.start is not None or not saved:
        _need(0 if request.whole else request.start or 0, saved)
    if request.whole:
        pieces = covering(stretches, 0, last)
        return _Chosen(pieces, pieces, last)
    start = secrets.choice(saved) if request.start is None else request.start
    first = min(max(start, s.first_step) for s in stretches if start in s.beginnings)
    end = min(first + request.steps, last)
    pieces = covering(stretches, start, end)
    return _Chosen(pieces, pieces, end - first)


def _certificate(
    request: CertifyRequest,
    journal: Journal,
    stretches: tuple[Stretch, ...],
    digest: str,
    chosen: _Chosen,
    replayed: ReplayedSegment,
) -> Certificate:
    segments, ends = replayed.segments, (replayed.weights_equal, replayed.predictions_equal)
    level = _level(request, chosen, replayed)
    agrees = level in {"step", "whole_run"} and all(s.agrees for s in segments)
    differing = tuple(dict.fromkeys(step for step, equal in replayed.evaluations if not equal))
    agrees = agrees and False not in ends and not differing
    audit = _audit(request, chosen, digest)
    tolerance = None if replayed.exact else request.tolerance
    changes = tuple(stretch.first_step for stretch in stretches[1:])
    started = journal.started
    return Certificate(
        statement=statement_of(
            segments,
            level,
            agrees=agrees,
            tolerance=tolerance,
            audit=audit,
            changes=changes,
            unreachable_steps=chosen.unreachable_steps,
            evaluations=len(replayed.evaluations),
            differing_evaluations=differing,
        ),
        level=level,
        exact=replayed.exact,
        agrees=agrees,
        run_id=started.run_id,
        seed=started.seed,
        recipe_digest=started.recipe_digest,
        data_root=started.data.root_digest,
        journal_digest=digest,
        steps_in_run=journal.last_step,
        steps_replayed=sum(s.end_step - s.first_step for s in segments),
        numerics_differences=replayed.numerics_differences,
        numerics_changes=changes,
        unreachable_steps=chosen.unreachable_steps,
        tolerance=tolerance,
        segments=segments,
        audit=audit,
        final_weights_equal=replayed.weights_equal,
        predictions_equal=replayed.predictions_equal,
        evaluations_repeated=len(replayed.evaluations),
        differing_evaluations=differing,
        harness_version=__version__,
        time_s=time.time(),
    )


def _level(request: CertifyRequest, chosen: _Chosen, replayed: ReplayedSegment) -> Level:
    level = lowest(s.level for s in replayed.segments)
    whole = request.whole and replayed.exact and chosen.unreachable_steps == 0
    ends = replayed.weights_equal and replayed.predictions_equal
    ends = ends and all(equal for _, equal in replayed.evaluations)
    return "whole_run" if level == "step" and whole and ends else level


def _audit(request: CertifyRequest, chosen: _Chosen, digest: str) -> Audit | None:
    if request.segments is None or request.nonce is None:
        return None
    drawn = len(chosen.pieces)
    return Audit(
        nonce=request.nonce,
        journal_digest=digest,
        segments_in_run=len(chosen.drawn_from),
        segments_replayed=drawn,
        chances=audit_chances([piece.recorded for piece in chosen.drawn_from], drawn),
    )


def _need(step: int, saved: list[int]) -> None:
    if step not in saved:
        raise CheckpointError(
            f"the run has no whole state saved at step {step}",
            expected=f"one of {', '.join(map(str, saved))}" if saved else "a whole checkpoint",
            remedy="choose one of these with --from" if saved else "keep the checkpoints of a run",
        )
