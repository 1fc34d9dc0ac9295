"""A seed's run below its study's parent run in MLflow: found by their tags, or made.

A study on one data set is a parent, found by the recipe's name and the data's digest; each seed
is a child, found by the journal's run id. Processes that begin or end at one moment leave one of
each.
"""

from collections.abc import Iterable

from harness.record.schema import RunStarted
from harness.tracking.client import Tracker, age_s, identifier
from harness.tracking.rows import RUN_TAG, milliseconds, run_name, start_tags, study_words

STUDY_TAG = "harness.study"
DATA_TAG = "harness.data_root_digest"
PARENT_TAG = "mlflow.parentRunId"

LEFT_EMPTY_S = 600.0
"""After this time no process is about to put a first run below a study's parent."""


def study_tags(study: str, data_root_digest: str) -> dict[str, str]:
    """What a parent run is found by: one recipe on two data sets is two studies."""
    return {
        STUDY_TAG: identifier(study),
        DATA_TAG: data_root_digest,
        "harness.kind": "study",
    }


class NestedRun:
    """One seed's run and the parent that it is below.

    Args:
        tracker: Connected.
        study: Name of the parent run.
        sent_tag: Tag of the steps that a seed's run was sent.
    """

    def __init__(self, tracker: Tracker, study: str, sent_tag: str) -> None:
        self._tracker = tracker
        self._study = identifier(study)
        self._sent_tag = sent_tag
        self._parent_key: dict[str, str] = {}
        self._run_key: dict[str, str] = {}
        self._emptied: set[str] = set()
        self.parent_id = ""
        self.run_id = ""

    def begin(self, started: RunStarted) -> None:
        """Find or make both runs and put one below the other."""
        start_ms = milliseconds(started.time_s)
        self._parent_key = study_tags(self._study, started.data.root_digest)
        name = f"{self._study} on {started.data.name}"
        about = study_words(started)
        self.parent_id = self._find_or_create(self._parent_key, name, about, start_ms)
        self._run_key = {RUN_TAG: identifier(started.run_id)}
        about = start_tags(started) | {STUDY_TAG: self._study, PARENT_TAG: self.parent_id}
        name = run_name(self._study, started.seed)
        self.run_id = self._find_or_create(self._run_key, name, about, start_ms)
        above = self._tracker.tags(self.run_id).get(PARENT_TAG, "")
        if above != self.parent_id:  # sent under another study, or its other parent
            self._move([self.run_id], above)

    def settle(self) -> None:
        """At the end: what came late, or was made at the same moment, is one again.

        Processes that began together may end in any order, so each takes the children of
        every other parent along: the last one leaves one parent.
        """
        self._only(self._run_key)
        parent = self._only(self._parent_key)
        if not parent:
            return
        left, self.parent_id = self.parent_id, parent
        for other in {left, *self._tracker.find_all(self._parent_key)} - {parent}:
            if children := self._tracker.children(other):
                self._move(children, other)
        self._only(self._parent_key)

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
        """Of several runs that mean the same the one to use; the others are discarded."""
        found = self._tracker.find_all(key)
        if len(found) < 2:
            return next(iter(found), "")
        kept, surplus = self._fullest(found) if RUN_TAG in key else self._with_children(found)
        for run in surplus:
            self._tracker.discard(run)
        return kept

    def _fullest(self, found: dict[str, dict[str, str]]) -> tuple[str, list[str]]:
        """A seed's run has one writer, so the one that has most of it stays."""
        kept = max(found, key=lambda run: int(found[run].get(self._sent_tag, "-1")))
        return kept, [run for run in found if run != kept]

    def _with_children(self, found: dict[str, dict[str, str]]) -> tuple[str, list[str]]:
        """The first parent that has children, and those that nobody will put a child below.

        Processes may create a study's parent at one moment. Each discards what it made or
        emptied itself, or what was left empty long ago: any other may be about to get its
        first child.
        """
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
        return kept, surplus

    def _move(self, runs: Iterable[str], left: str) -> None:
        """Put runs below the parent in use; the one that they leave may be empty then."""
        for run in runs:
            self._tracker.write_tags(run, {PARENT_TAG: self.parent_id})
        self._emptied.add(left)
