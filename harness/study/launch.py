"""`harness study`: many seeds as many jobs, one journal each, one answer from all journals."""

import json
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from harness.data.opening import find_dataset
from harness.distributed.signals import StopRequest
from harness.errors import HarnessError, PreemptedError, RecordError, UsageError
from harness.numerics.seeds import MAX_SEED
from harness.recipes.recipe import Recipe
from harness.record.journal import FILE_NAME
from harness.record.run_folder import existing_journal, run_folder, study_folder, write_json
from harness.study.jobs import (
    PREEMPTED,
    Executor,
    ExecutorName,
    Resources,
    StudyJob,
    open_executor,
)
from harness.system.signals import handled
from harness.tracking.places import tracker_of, try_places

STUDY_FILE = "study.json"
POLL_S = 2.0
MOST_SEEDS = 10_000
SEEDS = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
MESSAGE_LINES = 8
"""Of a failed job, shown with its exit code: one of the harness's own errors has fewer."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class StudyRequest:
    """One `harness study`.

    Attributes:
        recipe: With `--set` applied; it names the study's folder.
        recipe_name: As the jobs are to find it.
        settings: `--set` as given.
        data: The data set.
        seeds: One job each.
        runs: Where the study's folder goes.
        options: Further words for each `harness run`.
        executor: Where jobs run.
        resources: Of each job.
        at_once: Most jobs at a time; None is no limit.
        requeues: How often a preempted seed is started again.
        tracking_uri: MLflow's; None is SQLite within `runs`.
        tracking: Whether finished seeds are sent to MLflow, by this process alone.
    """

    recipe: Recipe
    recipe_name: str
    settings: tuple[str, ...]
    data: Path
    seeds: tuple[int, ...]
    runs: Path
    options: tuple[str, ...] = ()
    executor: ExecutorName = "local"
    resources: Resources = field(default_factory=Resources)
    at_once: int | None = None
    requeues: int = 10
    tracking_uri: str | None = None
    tracking: bool = True

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return study_folder(self.runs, self.recipe)

    def arguments(self, seed: int) -> tuple[str, ...]:
        """The words of a seed's `harness run`; jobs never write to the tracker."""
        words = ["run", self.recipe_name, "--data", str(self.data.resolve())]
        words += ["--runs", str(self.runs.resolve()), "--seed", str(seed), "--no-tracking"]
        for setting in self.settings:
            words += ["--set", setting]
        return (*words, *self.options)


@dataclass
class StudyReport:
    """How the jobs ended: exit code of each seed, and how often it was requeued."""

    folder: Path
    exit_codes: dict[int, int] = field(default_factory=dict)
    requeued: dict[int, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when every seed is done, else the first other code."""
        return next((code for code in self.exit_codes.values() if code), 0)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "study": str(self.folder),
            "exit_codes": {str(seed): code for seed, code in self.exit_codes.items()},
            "requeued": {str(seed): count for seed, count in self.requeued.items()},
        }


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read `0-9` or `1,3,5-7`.

    Raises:
        UsageError: it is neither, a seed is out of range or occurs twice, or they are
            more than `MOST_SEEDS`.
    """
    ranges = [_seed_range(part.strip(), text) for part in text.split(",")]
    count = sum(map(len, ranges))
    if count > MOST_SEEDS:
        raise UsageError(
            f"--seeds {text} names {count:,} seeds",
            expected=f"at most {MOST_SEEDS:,}: each is a job",
            remedy="give fewer",
        )
    seeds = [seed for one in ranges for seed in one]
    if len(set(seeds)) != len(seeds):
        raise UsageError(
            f"--seeds {text} names a seed twice",
            expected="each seed once: the same seed gives the same bits",
            remedy="drop the repetition",
        )
    return tuple(seeds)


def _seed_range(part: str, text: str) -> range:
    matched = SEEDS.fullmatch(part)
    low, high = map(int, (matched[1], matched[2] or matched[1])) if matched else (1, 0)
    if not low <= high <= MAX_SEED:
        raise UsageError(
            f"--seeds {text} is no list of seeds",
            expected=f"numbers from 0 to {MAX_SEED} and ranges such as 0-9 or 1,3,5-7",
            remedy="correct it",
        )
    return range(low, high + 1)


def run_study(
    request: StudyRequest, say: Say = lambda _text: None, *, pause_s: float = POLL_S
) -> StudyReport:
    """Start a job for each seed that is not done, wait for all, requeue what was preempted.

    Args:
        request: What to run and where.
        say: Messages for a person.
        pause_s: Between two looks at the jobs.

    Raises:
        UsageError: submitit is needed and not installed.
        TrackerError: the tracker can never work.
        DataError: there is no data set, where jobs run on this machine.
        MachineError: Slurm was asked for and is not here, or does not take a job.
        PreemptedError: a signal came; it was passed on and all jobs have ended.
    """
    if request.executor == "local":
        find_dataset(request.data)
    uri = tracker_of(request.runs, request.tracking_uri) if request.tracking else None
    try_places(request.runs, uri, say)
    request.folder.mkdir(parents=True, exist_ok=True)
    executor = open_executor(request.executor, request.folder / "jobs", request.resources)
    running: dict[int, StudyJob] = {}
    with _stopping_jobs(running) as stop:
        study = _Study(request, executor, say, stop, running)
        study.write()
        began = bool(study.waiting)
        while study.waiting or running:
            study.submit()
            study.take_ended()
            if running:
                time.sleep(pause_s)
        study.write()
        if stop.signal_name is not None:
            raise _stopped(request, stop.signal_name, study.report)
    if began:
        _record_verdict(request, say)
    return study.report


@dataclass
class _Study:
    """The seeds that wait, those whose jobs run, and how the others ended."""

    request: StudyRequest
    executor: Executor
    say: Say
    stop: StopRequest
    running: dict[int, StudyJob]
    waiting: list[int] = field(init=False)
    report: StudyReport = field(init=False)

    def __post_init__(self) -> None:
        """Leave out what is done."""
        seeds = self.request.seeds
        self.waiting = [seed for seed in seeds if not _is_done(self.request, seed)]
        done = {seed: 0 for seed in seeds if seed not in self.waiting}
        self.report = StudyReport(self.request.folder, done)

    def submit(self) -> None:
        """Start what there is room for.

        A signal may come while a seed is sent to the tracker, or between two jobs: its
        handler has stopped those that ran then.
        """
        most = self.request.at_once
        while self.waiting and not self.stop.requested():
            if most is not None and len(self.running) >= most:
                return
            seed = self.waiting.pop(0)
            job = self.executor.submit(seed, self.request.arguments(seed))
            self.running[seed] = job
            if self.stop.requested():
                job.stop()
            self.say(f"seed {seed}: job {job.job_id}, output in {job.output}")
            self.write()
        if self.stop.requested():
            self.waiting.clear()

    def take_ended(self) -> None:
        """Requeue what was preempted, and send to the tracker what ended otherwise."""
        for seed in [s for s, job in self.running.items() if job.done()]:
            job = self.running.pop(seed)
            code = _exit_code(seed, job, self.say)
            again = self.report.requeued.get(seed, 0)
            if code == PREEMPTED and again < self.request.requeues and not self.stop.requested():
                self.report.requeued[seed] = again + 1
                self.waiting.append(seed)
                self.say(f"seed {seed}: preempted, goes into the queue again")
                continue
            self.report.exit_codes[seed] = code
            self.say(f"seed {seed}: ended with exit code {code}{_last_messages(job, code)}")
            _send_to_tracker(self.request, seed, self.say)

    def write(self) -> None:
        """Describe the study for `harness status`."""
        _write_study(self.request, self.running)


@contextmanager
def _stopping_jobs(running: Mapping[int, StudyJob]) -> Iterator[StopRequest]:
    """Pass a signal on to all jobs that run, which end with a checkpoint; the study waits."""
    stop = StopRequest()

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.signal_name = stop.signal_name or signal.Signals(number).name
        for job in running.values():
            job.stop()

    with handled(handle):
        yield stop


def _stopped(request: StudyRequest, signal_name: str, report: StudyReport) -> PreemptedError:
    done = sum(code == 0 for code in report.exit_codes.values())
    return PreemptedError(
        f"the study was stopped by {signal_name}: {done} of {len(request.seeds)} seeds are done",
        where=str(request.folder),
        expected="its jobs at a checkpoint, which each has written",
        remedy="give the same command again; every seed resumes exactly",
    )


def _is_done(request: StudyRequest, seed: int) -> bool:
    journal = existing_journal(run_folder(request.runs, request.recipe, seed))
    return journal is not None and journal.finished is not None


def _exit_code(seed: int, job: StudyJob, say: Say) -> int:
    code, words = job.ended()
    if words:
        say(f"seed {seed}: job {job.job_id} {words}")
    return code


def _last_messages(job: StudyJob, code: int) -> str:
    """Why a job failed, in its own words; nothing where it did not or they cannot be read."""
    if code == 0:
        return ""
    try:
        with job.output.open(encoding="utf-8", errors="replace") as messages:
            last = deque(messages, MESSAGE_LINES)
    except OSError:
        return ""
    return "".join(f"\n    {line.rstrip()}" for line in last)


def _send_to_tracker(request: StudyRequest, seed: int, say: Say) -> None:
    folder = run_folder(request.runs, request.recipe, seed).path
    if not request.tracking or not (folder / FILE_NAME).exists():
        return
    from harness.analysis.sync import sync  # a study's status needs none of it

    try:
        sync((folder,), tracking_uri=request.tracking_uri, study=request.folder.name)
    except HarnessError as error:
        say(f"seed {seed}: not sent to MLflow; later: harness sync {folder}\n{error}")


def _record_verdict(request: StudyRequest, say: Say) -> None:
    """Put the answer of all seeds, each of which was sent alone, beside them."""
    if not request.tracking:
        return
    from harness.analysis.publish import record_so_far  # a study's status needs none of it

    record_so_far(request.folder, request.tracking_uri, say)


def _write_study(request: StudyRequest, running: Mapping[int, StudyJob]) -> None:
    write_json(
        request.folder / STUDY_FILE,
        {
            "recipe": request.recipe_name,
            "settings": list(request.settings),
            "seeds": list(request.seeds),
            "executor": request.executor,
            "jobs": {str(seed): job.job_id for seed, job in running.items()},
        },
    )


def read_study(folder: Path) -> dict[str, Any]:
    """`study.json`, or nothing where the seeds were started one by one.

    Raises:
        RecordError: it is damaged or cannot be read.
    """
    path = folder / STUDY_FILE
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_bytes())
        return {"seeds": [*map(int, document["seeds"])], "jobs": dict(document["jobs"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"the study's description cannot be read: {error}",
            where=str(path),
            expected="a file written by `harness study`",
            remedy="remove it, or give the same `harness study` again, which writes it anew",
        ) from error
