"""The mirror of a running journal in MLflow.

The journal is the truth; MLflow is where people look. One thread takes events
from a queue, so that training neither waits for the tracker nor fails with it.
When the tracker cannot be reached the events are left to the journal, from
which the mirror catches up when the tracker answers again; what is missing at
the end is said, and `harness sync` sends it later.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DifferenceFoundError, TrackerError
from harness.record.journal import FILE_NAME, Journal, read_journal
from harness.record.schema import AnyEvent, Interrupted, Resumed, RunFinished, RunStarted
from harness.tracking.address import shown_uri
from harness.tracking.client import EXPERIMENT, Tracker, default_tracking_uri, reason_of
from harness.tracking.rows import MetricRow, milliseconds
from harness.tracking.sender import Sender
from harness.tracking.study_verdict import StudyResult, record_study
from harness.tracking.system import Sampler, open_sampler

__all__ = [
    "EXPERIMENT",
    "Mirror",
    "MirrorOutcome",
    "StudyResult",
    "default_tracking_uri",
    "open_mirror",
    "record_study",
    "shown_uri",
    "sync_run",
]

WAITING_EVENTS = 2000
"""Events kept in memory for a slow tracker; beyond them the journal keeps them alone."""


@dataclass(frozen=True)
class MirrorOutcome:
    """What reached the tracker.

    Attributes:
        complete: Whether all of the journal is there.
        reason: Why not, or None.
        tracking_uri: Without password.
        experiment_id: Empty when the tracker was never reached.
        mlflow_run_id: The child run; empty when it was never reached.
    """

    complete: bool
    reason: str | None
    tracking_uri: str
    experiment_id: str
    mlflow_run_id: str

    @property
    def text(self) -> str:
        """One sentence for the end of a run."""
        if self.complete:
            return f"MLflow: run {self.mlflow_run_id} at {self.tracking_uri}"
        return (
            f"MLflow: not everything was recorded ({self.reason}); the journal has it all: "
            "`harness sync RUN` sends it later"
        )


class Mirror:
    """Sends published events to a tracker from one thread; see `open_mirror`."""

    def __init__(
        self,
        connect: Callable[[], Sender],
        *,
        tracking_uri: str,
        run_dir: Path,
        retry_s: float,
        sampler: Sampler | None,
        sample_every_s: float,
        now: Callable[[], float],
    ) -> None:
        self._connect = connect
        self._tracking_uri = tracking_uri
        self._run_dir = run_dir
        self._retry_s = retry_s
        self._sampler = sampler
        self._sample_every_s = sample_every_s
        self._now = now
        self._queue: queue.SimpleQueue[AnyEvent | None] = queue.SimpleQueue()
        self._sender: Sender | None = None
        # A journal that is there already belongs to a run that is resumed: it is sent first.
        self._behind = (run_dir / FILE_NAME).exists()
        self._reason: str | None = None
        self._next_try = self._next_sample = now()
        self._samples: list[MetricRow] = []
        self._sent_events = 0
        self._ended = False
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="mlflow-mirror", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def publish(self, event: AnyEvent) -> None:
        """Hand over an event that is in the journal already.

        Never blocks and never raises; after `close` it does nothing.
        """
        if self._closed:
            return
        if self._queue.qsize() >= WAITING_EVENTS:
            self._reason = "the tracker is slower than the training"
            self._behind = True
            return
        self._queue.put(event)

    def close(self, timeout_s: float) -> MirrorOutcome:
        """Send what is left, at most for `timeout_s`, and say whether all of it arrived."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join(timeout_s)
        reason = self._reason if self._behind else None
        if self._thread.is_alive():
            reason = (
                f"the tracker at {shown_uri(self._tracking_uri)} took longer than {timeout_s:g} s"
            )
        sender = self._sender
        return MirrorOutcome(
            complete=reason is None and sender is not None,
            reason=reason if reason or sender else "no event was published",
            tracking_uri=shown_uri(self._tracking_uri),
            experiment_id=sender.experiment_id if sender else "",
            mlflow_run_id=sender.run_id if sender else "",
        )

    def _work(self) -> None:
        running = True
        while running:
            try:
                event = self._queue.get(timeout=self._sample_every_s)
            except queue.Empty:
                self._idle()
                continue
            if event is None:
                running = False
                self._attempt(self._finish)
            else:
                self._take(event)
            self._idle()

    def _take(self, event: AnyEvent) -> None:
        if isinstance(event, RunFinished | Interrupted):
            self._ended = True
        elif isinstance(event, RunStarted | Resumed):
            self._ended = False
        if self._behind:
            if self._now() >= self._next_try:
                self._attempt(self._catch_up)
        else:
            self._attempt(lambda: self._send(event))

    def _idle(self) -> None:
        if self._sampler is None or self._now() < self._next_sample:
            return
        self._next_sample = self._now() + self._sample_every_s
        stamp = milliseconds(time.time())
        step = stamp // 1000
        try:
            values = self._sampler()
        except Exception:  # noqa: BLE001 - a sample may be missing, the thread may not end
            return
        self._samples += [MetricRow(key, value, stamp, step) for key, value in values.items()]
        del self._samples[:-WAITING_EVENTS]

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - no failure of a tracker may end a training
            self._behind = True
            self._reason = reason_of(error, self._tracking_uri)
            self._next_try = self._now() + self._retry_s

    def _send(self, event: AnyEvent) -> None:
        if self._sender is None:
            self._sender = self._connect()
        samples, self._samples = self._samples, []
        self._sender.send(event, samples if self._sender.run_id else ())
        self._sent_events += 1

    def _catch_up(self) -> None:
        if self._sender is None:
            self._sender = self._connect()
        else:
            # A long journal takes seconds to read, which the training would feel at each try.
            self._sender.ping()
        while self._behind:
            # Cleared first: a queue that overflows while the journal is sent sets it again.
            self._behind = False
            journal = read_journal(self._run_dir)
            self._sender.replay(journal)
            self._ended = _has_end(journal)
        self._reason = None

    def _finish(self) -> None:
        if self._behind:
            self._catch_up()
        if self._sender is not None and self._sender.run_id and not self._ended:
            words = "the process ended without writing why"
            self._sender.end_without_event("FAILED", words, time.time())


def open_mirror(
    *,
    tracking_uri: str,
    run_dir: Path,
    study: str,
    every_step: bool = False,
    experiment: str = EXPERIMENT,
    system_every_s: float | None = 10.0,
    gpus: Sequence[int] = (),
    retry_s: float = 30.0,
    now: Callable[[], float] = time.monotonic,
) -> Mirror:
    """Start a mirror; returns at once, the tracker is connected to in the mirror's thread.

    Args:
        tracking_uri: See `default_tracking_uri` for the runs' own SQLite file.
        run_dir: Folder with the run's journal; when the journal exists already,
            what the tracker lacks of it is sent first.
        study: Name of the parent run that the seeds of one study share.
        every_step: Send each step besides the windows (8 rows a step).
        experiment: MLflow experiment.
        system_every_s: Seconds between samples of the machine's use; None for none.
        gpus: Places of the GPUs whose use is sampled, as the driver counts them.
        retry_s: Seconds after a failure before the tracker is asked again.
        now: Monotonic clock in seconds.
    """
    mirror = Mirror(
        lambda: Sender(Tracker(tracking_uri, experiment), run_dir, study, every_step=every_step),
        tracking_uri=tracking_uri,
        run_dir=run_dir,
        retry_s=retry_s,
        sampler=None if system_every_s is None else open_sampler(gpus),
        sample_every_s=system_every_s or 10.0,
        now=now,
    )
    mirror.start()
    return mirror


def sync_run(
    journal: Journal,
    *,
    tracking_uri: str,
    study: str,
    every_step: bool = False,
    experiment: str = EXPERIMENT,
    still_running: bool = False,
) -> MirrorOutcome:
    """Send a whole journal in the calling thread. Doing it again changes nothing.

    Args:
        journal: As read.
        tracking_uri: See `open_mirror`, as for the other arguments.
        study: Name of the parent run.
        every_step: Send each step besides the windows.
        experiment: MLflow experiment.
        still_running: A journal without an end is left RUNNING; otherwise it
            is shown as KILLED, because no process is left to end it.

    Raises:
        TrackerError: the tracker does not answer, refuses the password or fails.
        DifferenceFoundError: the journal contradicts the head that the tracker has of it.
    """
    try:
        tracker = Tracker(tracking_uri, experiment)
        sender = Sender(tracker, journal.path.parent, study, every_step=every_step)
        sender.replay(journal, from_start=True)
        if not (still_running or _has_end(journal)):
            words = "the journal has no end: the process was killed"
            sender.end_without_event("KILLED", words, journal.events[-1].time_s)
    except DifferenceFoundError:
        raise
    except Exception as error:
        raise TrackerError(
            reason_of(error, tracking_uri),
            where=str(journal.path),
            expected="an MLflow tracker that accepts this run",
            remedy="start the tracker or correct MLFLOW_TRACKING_URI and the password, "
            "then call `harness sync` again; the journal keeps everything",
        ) from error
    return MirrorOutcome(
        complete=True,
        reason=None,
        tracking_uri=shown_uri(tracking_uri),
        experiment_id=tracker.experiment_id,
        mlflow_run_id=sender.run_id,
    )


def _has_end(journal: Journal) -> bool:
    turns = [e for e in journal.events if isinstance(e, Interrupted | Resumed | RunFinished)]
    return bool(turns) and not isinstance(turns[-1], Resumed)
