"""One run's events sent to a tracker, in the calling thread.

A resumed part and a repeated `harness sync` write to the same run, see
`harness.tracking.nested`. Sending an event twice changes nothing.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.errors import DifferenceFoundError
from harness.record.chain import contradicts, durable_head
from harness.record.journal import FILE_NAME, Journal
from harness.record.schema import (
    AnyEvent,
    CheckpointWritten,
    Evaluation,
    Interrupted,
    Replayed,
    Resumed,
    RunFinished,
    RunStarted,
    Steps,
    Warned,
)
from harness.tracking.client import Tracker
from harness.tracking.nested import NestedRun
from harness.tracking.rows import (
    HEAD_TAG,
    STATUS_TAG,
    TAG_CHARACTERS,
    EqualWindows,
    MetricRow,
    end_status,
    evaluation_rows,
    facts_tag,
    milliseconds,
    params,
    start_facts,
    step_rows,
    window_rows,
)

START_FILES = ("recipe.json", "environment.json")
WINDOW_STEPS = 100
"""Steps in one row of metrics; an epoch where that is shorter."""

STATUS_ORDER = ("RUNNING", "SCHEDULED", "FAILED", "KILLED", "FINISHED")
"""What a parent is when its children differ: the first of these that one of them is."""


class Facts:
    """What is known of a run besides its rows; most of it is one tag."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._resumed: dict[int, None] = {}
        self._replayed: set[int] = set()
        self._warnings: dict[str, None] = {}

    def add(self, event: AnyEvent) -> None:
        """Take up an event; one that says nothing new changes nothing."""
        match event:
            case RunStarted():
                self._told |= start_facts(event)
            case Resumed():
                self._resumed[event.step] = None
                self._told["resumed_at_steps"] = ", ".join(str(step) for step in self._resumed)
                self._told["numerics_digest"] = event.numerics_digest
            case Replayed():
                self._replayed.update(event.step)
                self._told["steps_replayed"] = str(len(self._replayed))
            case Warned():
                self._warnings[f"step {event.step}, {event.topic}: {event.text}"] = None
            case CheckpointWritten():
                self._told["last_checkpoint"] = f"{event.file} {event.digest}"
            case _:
                pass

    def end(self, reason: str) -> None:
        """How the run or its last part ended."""
        self._told["end"] = reason

    def tags(self) -> dict[str, str]:
        """As tags; warnings have one of their own, because somebody should see them."""
        warnings = "\n".join(self._warnings)[:TAG_CHARACTERS]
        return {**facts_tag(self._told), **({"warnings": warnings} if warnings else {})}


class Sender:
    """Sends the events of one run.

    Args:
        tracker: Connected.
        run_dir: The run's folder, for its files.
        study: Name of the parent run.
        every_step: Send each step besides the windows.
    """

    def __init__(self, tracker: Tracker, run_dir: Path, study: str, *, every_step: bool) -> None:
        self._tracker = tracker
        self._run_dir = run_dir
        self._every_step = every_step
        # Windows of equal width are sent since version 0.3.0, others before: both are counted.
        self._mark = "harness.sent_every_step" if every_step else "harness.sent_steps"
        self._nested = NestedRun(tracker, study, self._mark)
        self._facts = Facts()
        self._shown: dict[str, str] = {}
        self._windows = EqualWindows(1, 0)

    @property
    def run_id(self) -> str:
        """The seed's run."""
        return self._nested.run_id

    @property
    def experiment_id(self) -> str:
        """The tracker's experiment."""
        return self._tracker.experiment_id

    def replay(self, journal: Journal, *, from_start: bool = False) -> None:
        """Send a whole journal in full batches.

        Args:
            journal: As read.
            from_start: Send every window again; otherwise those that the
                tracker has are left out, as its own tag says.
        """
        self._begin(journal.started)
        if from_start:
            self._windows = EqualWindows(self._windows.width, 0)
        rows = (row for event in journal.events for row in self._rows(event))
        self._tracker.write_rows(self.run_id, rows, {})
        self._tracker.write_tags(self.run_id, {self._mark: str(self._windows.done)})
        for event in journal.events:
            self._facts.add(event)
            self._copy_predictions(event)
        self._show_facts()
        self._publish_head()
        turns = [e for e in journal.events if isinstance(e, Interrupted | Resumed | RunFinished)]
        if turns:
            self._turn(turns[-1])

    def send(self, event: AnyEvent, extra: Iterable[MetricRow] = ()) -> None:
        """Send one event, and rows that come along with it."""
        if isinstance(event, RunStarted):
            self._begin(event)
            return
        rows = [*self._rows(event), *extra]
        self._tracker.write_rows(self.run_id, rows, {self._mark: str(self._windows.done)})
        self._facts.add(event)
        self._copy_predictions(event)
        self._show_facts()
        if isinstance(event, CheckpointWritten | Interrupted | RunFinished):
            self._publish_head()
        if isinstance(event, Interrupted | Resumed | RunFinished):
            self._turn(event)

    def ping(self) -> None:
        """Raise where the tracker does not answer."""
        self._tracker.ping()

    def end_without_event(self, status: str, reason: str, time_s: float) -> None:
        """Say that a run stopped without having written why."""
        self._end(status, "unfinished", reason, time_s)

    def _begin(self, started: RunStarted) -> None:
        self._nested.begin(started)
        tags = self._tracker.tags(self.run_id)
        _refuse_another_past(self._run_dir / FILE_NAME, tags.get(HEAD_TAG, ""), self.run_id)
        sent = int(tags.get(self._mark, "0"))
        self._windows = EqualWindows(min(WINDOW_STEPS, started.steps_per_epoch), sent)
        self._facts.add(started)
        self._tracker.write_params(self.run_id, params(started))
        self._tracker.write_data(self.run_id, started.data)
        self._copy(START_FILES)

    def _rows(self, event: AnyEvent) -> Iterator[MetricRow]:
        match event:
            case Steps() if event.step[-1] >= self._windows.done:
                if self._every_step:
                    yield from step_rows(event)
                for window in self._windows.add(event):
                    yield from window_rows(window)
            case Interrupted() | RunFinished():
                for window in self._windows.rest():
                    yield from window_rows(window)
            case Evaluation():
                yield from evaluation_rows(event)
            case _:
                pass

    def _show_facts(self) -> None:
        tags = self._facts.tags()
        changed = {key: value for key, value in tags.items() if self._shown.get(key) != value}
        if changed:
            self._tracker.write_tags(self.run_id, changed)
            self._shown = tags

    def _publish_head(self) -> None:
        head = durable_head(self._run_dir / FILE_NAME).text
        self._tracker.write_tags(self.run_id, {HEAD_TAG: head})

    def _turn(self, event: Interrupted | Resumed | RunFinished) -> None:
        if isinstance(event, Resumed):
            self._tracker.set_running(self.run_id)
            self._tracker.set_running(self._nested.parent_id)
            self._tracker.write_tags(self.run_id, {STATUS_TAG: "running"})
            return
        self._end(*end_status(event), event.time_s)

    def _end(self, status: str, short: str, reason: str, time_s: float) -> None:
        self._facts.end(reason)
        self._show_facts()
        self._tracker.write_tags(self.run_id, {STATUS_TAG: short})
        self._copy((*START_FILES, FILE_NAME))
        self._nested.settle()
        self._tracker.set_end(self.run_id, status, milliseconds(time_s))
        among = set(self._tracker.children(self._nested.parent_id).values())
        together = next((word for word in STATUS_ORDER if word in among), status)
        if together != "RUNNING":
            self._tracker.set_end(self._nested.parent_id, together, milliseconds(time_s))

    def _copy_predictions(self, event: AnyEvent) -> None:
        if isinstance(event, Evaluation) and event.final and event.predictions_file:
            self._copy((event.predictions_file,), "predictions")

    def _copy(self, names: Iterable[str], folder: str | None = None) -> None:
        for name in names:
            file = self._run_dir / name
            if file.is_file():
                self._tracker.write_file(self.run_id, file, folder)


def _refuse_another_past(journal: Path, published: str, run_id: str) -> None:
    """The published head stays: a journal that contradicts it is not sent over it."""
    found = contradicts(published, journal)
    if found:
        raise DifferenceFoundError(
            f"the journal is not the one whose head was published: {found}",
            where=str(journal),
            expected=f"{published}, the tag {HEAD_TAG} of MLflow's run {run_id}",
            remedy="restore the journal from a copy: it was changed after it had been sent",
        )
