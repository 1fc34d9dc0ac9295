"""One run's events sent to a tracker, in the calling thread.

A study on one data set is a parent run, found by its tags; each seed is a child, found by the
journal's run id, so that a resumed part and a repeated `harness sync` write to
the same child. Sending an event twice changes nothing.
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
from harness.tracking.client import Tracker, age_s, identifier
from harness.tracking.rows import (
    HEAD_TAG,
    RUN_TAG,
    STATUS_TAG,
    TAG_CHARACTERS,
    EqualWindows,
    MetricRow,
    end_status,
    evaluation_rows,
    facts_tag,
    milliseconds,
    params,
    run_name,
    start_facts,
    start_tags,
    step_rows,
    study_words,
    window_rows,
)

STUDY_TAG = "harness.study"
DATA_TAG = "harness.data_root_digest"
PARENT_TAG = "mlflow.parentRunId"
START_FILES = ("recipe.json", "environment.json")
WINDOW_STEPS = 100
"""Steps in one row of metrics; an epoch where that is shorter."""

LEFT_EMPTY_S = 600.0
"""After this time no process is about to put a first run below a study's parent."""

STATUS_ORDER = ("RUNNING", "SCHEDULED", "FAILED", "KILLED", "FINISHED")
"""What a parent is when its children differ: the first of these that one of them is."""


def study_tags(study: str, data_root_digest: str) -> dict[str, str]:
    """What a parent run is found by: one recipe on two data sets is two studies."""
    return {
        STUDY_TAG: identifier(study),
        DATA_TAG: data_root_digest,
        "harness.kind": "study",
    }


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
        self._study = identifier(study)
        self._every_step = every_step
        # Windows of equal width are sent since version 0.3.0, others before: both are counted.
        self._mark = "harness.sent_every_step" if every_step else "harness.sent_steps"
        self._facts = Facts()
        self._shown: dict[str, str] = {}
        self._windows = EqualWindows(1, 0)
        self._parent_id = ""
        self._parent_key: dict[str, str] = {}
        self._emptied: set[str] = set()
        self._run_key: dict[str, str] = {}
        self.run_id = ""

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
        start_ms = milliseconds(started.time_s)
        study = study_tags(self._study, started.data.root_digest)
        name = f"{self._study} on {started.data.name}"
        self._parent_key = study
        self._parent_id = self._find_or_create(study, name, study_words(started), start_ms)
        run = self._run_key = {RUN_TAG: identifier(started.run_id)}
        about = start_tags(started) | {STUDY_TAG: self._study, PARENT_TAG: self._parent_id}
        name = run_name(self._study, started.seed)
        self.run_id = self._find_or_create(run, name, about, start_ms)
        tags = self._tracker.tags(self.run_id)
        if tags.get(PARENT_TAG) != self._parent_id:  # sent under another study, or its other parent
            self._move([self.run_id], tags.get(PARENT_TAG, ""))
        _refuse_another_past(self._run_dir / FILE_NAME, tags.get(HEAD_TAG, ""), self.run_id)
        sent = int(tags.get(self._mark, "0"))
        self._windows = EqualWindows(min(WINDOW_STEPS, started.steps_per_epoch), sent)
        self._facts.add(started)
        self._tracker.write_params(self.run_id, params(started))
        self._tracker.write_data(self.run_id, started.data)
        self._copy(START_FILES)

    def _find_or_create(
        self, key: dict[str, str], name: str, about: dict[str, str], start_ms: int
    ) -> str:
        if self._tracker.find(key) is None:
            created = self._tracker.create(name, {**about, **key}, start_ms)
            return self._only(key) or created
        found = self._only(key)
        self._tracker.set_running(found)
        return found

    def _only(self, key: dict[str, str]) -> str:
        """Of several runs that mean the same the one to use; the others are discarded.

        A seed's run has one writer, so the one that has most of it stays. Processes may
        create a study's parent at one moment: the first that has children stays, and each
        process discards what it made or emptied itself, or what was left empty long ago: any
        other may be about to get its first child.
        """
        found = self._tracker.find_all(key)
        if len(found) < 2:
            return next(iter(found), "")
        if RUN_TAG in key:
            kept = max(found, key=lambda run: int(found[run].get(self._mark, "-1")))
            surplus = [run for run in found if run != kept]
        else:
            empty = [run for run in found if not self._tracker.children(run)]
            kept = next((run for run in found if run not in empty), next(iter(found)))
            surplus = [
                run
                for run in empty
                if run != kept
                and (
                    run in self._emptied
                    or self._tracker.made(found[run])
                    or age_s(found[run]) > LEFT_EMPTY_S
                )
            ]
        for run in surplus:
            self._tracker.discard(run)
        return kept

    def _settle(self) -> None:
        """At the end: what came late, or was made at the same moment, is one again.

        Processes that began together may end in any order, so each takes the children of
        every other parent along: the last one leaves one parent.
        """
        self._only(self._run_key)
        parent = self._only(self._parent_key)
        if not parent:
            return
        if parent != self._parent_id:
            left, self._parent_id = self._parent_id, parent
            self._move([self.run_id], left)
        for other in self._tracker.find_all(self._parent_key):
            if other != parent and (children := self._tracker.children(other)):
                self._move(children, other)
        self._only(self._parent_key)

    def _move(self, runs: Iterable[str], left: str) -> None:
        """Put runs below the parent in use; the one that they leave may be empty then."""
        for run in runs:
            self._tracker.write_tags(run, {PARENT_TAG: self._parent_id})
        self._emptied.add(left)

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
            self._tracker.set_running(self._parent_id)
            self._tracker.write_tags(self.run_id, {STATUS_TAG: "running"})
            return
        self._end(*end_status(event), event.time_s)

    def _end(self, status: str, short: str, reason: str, time_s: float) -> None:
        self._facts.end(reason)
        self._show_facts()
        self._tracker.write_tags(self.run_id, {STATUS_TAG: short})
        self._copy((*START_FILES, FILE_NAME))
        self._settle()
        self._tracker.set_end(self.run_id, status, milliseconds(time_s))
        among = set(self._tracker.children(self._parent_id).values())
        together = next((word for word in STATUS_ORDER if word in among), status)
        if together != "RUNNING":
            self._tracker.set_end(self._parent_id, together, milliseconds(time_s))

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
