"""`harness status`: how far each seed of a study is, read from its journal alone."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.progress import duration
from harness.record.journal import Journal, journal_in, read_journal
from harness.record.run_folder import is_running as holds_lock
from harness.study.launch import read_study

RATE_STEPS = 200
"""The rate is the median over this many of the last steps."""


@dataclass(frozen=True)
class SeedStatus:
    """One seed.

    Attributes:
        seed: The seed.
        state: "done", "diverged", "running", "unfinished", "waiting" or "stopped".
        step: Steps recorded.
        steps: Steps of the recipe; None before the run began.
        images_per_s: Median of the last steps.
        seconds_left: At that rate, evaluations not counted.
        detail: The reason of an interruption, or the id of a waiting job.
    """

    seed: int
    state: str
    step: int = 0
    steps: int | None = None
    images_per_s: float | None = None
    seconds_left: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class StudyStatus:
    """All seeds of a study."""

    study: Path
    seeds: tuple[SeedStatus, ...]

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {"study": str(self.study), "seeds": [asdict(seed) for seed in self.seeds]}

    def text(self) -> str:
        """A table for a person."""
        lines = [f"{'seed':>6}  {'state':12} {'progress':>22} {'images/s':>9} {'left':>9}"]
        lines += [_row(seed) for seed in self.seeds]
        done = sum(seed.state == "done" for seed in self.seeds)
        return "\n".join([*lines, f"{done} of {len(self.seeds)} seeds done ({self.study})"])


def study_status(study: Path, is_running: Callable[[Path], bool] | None = None) -> StudyStatus:
    """Look at every seed of a study.

    Args:
        study: The study's folder.
        is_running: Whether a process trains in a run's folder; by its lock if None.

    Raises:
        UsageError: no such folder, or no seed in it.
        RecordError: a journal is damaged.
    """
    document = read_study(study) if study.is_dir() else {}
    named = {f.name.removeprefix("seed-"): f for f in study.glob("seed-*")}
    found = {int(name): folder for name, folder in named.items() if re.fullmatch(r"\d+", name)}
    seeds = sorted(set(document.get("seeds", [])) | set(found))
    if not seeds:
        raise UsageError(
            "there is no study here",
            where=str(study),
            expected="a folder like runs/<recipe>-<digest>",
            remedy="this is the folder of one seed: name the one above it"
            if journal_in(study)
            else "see `harness list runs`",
        )
    jobs = document.get("jobs", {})
    running = is_running or holds_lock
    return StudyStatus(
        study,
        tuple(_seed(s, found.get(s), str(jobs.get(str(s), "")), running) for s in seeds),
    )


def _seed(
    seed: int, folder: Path | None, job: str, is_running: Callable[[Path], bool]
) -> SeedStatus:
    waiting = SeedStatus(seed, "waiting", detail=f"job {job}" if job else "")
    if folder is None or not journal_in(folder):
        return waiting
    journal = read_journal(folder)
    if not journal.events:
        return waiting
    steps = journal.started.steps_total
    images_per_s, step_s = _rate(journal)
    state, detail = _state(journal, is_running(folder))
    left = (steps - journal.last_step) * step_s if step_s is not None else None
    return SeedStatus(
        seed=seed,
        state=state,
        step=journal.last_step,
        steps=steps,
        images_per_s=images_per_s,
        seconds_left=0.0 if journal.finished else left,
        detail=detail,
    )


def _state(journal: Journal, running: bool) -> tuple[str, str]:
    if journal.finished is not None:
        word = {"completed": "done"}.get(journal.finished.status, journal.finished.status)
        return word, journal.finished.detail
    if running:
        return "running", ""
    last = journal.interruptions[-1] if journal.interruptions else None
    if last is not None and last.event == "interrupted":
        return "unfinished", last.detail
    return "unfinished", "its process is gone"


def _rate(journal: Journal) -> tuple[float | None, float | None]:
    """Images a second and seconds a step; None before a step without compilation."""
    times = [
        (time_s, images)
        for window in journal.steps
        for step, time_s, images in zip(window.step, window.step_time_s, window.images, strict=True)
        if step not in window.compiled
    ][-RATE_STEPS:]
    if not times:
        return None, None
    step_s = float(np.median([time_s for time_s, _ in times]))
    return times[-1][1] / step_s, step_s


def _row(seed: SeedStatus) -> str:
    progress = f"{seed.step:,} of {seed.steps:,}" if seed.steps is not None else "-"
    rate = f"{seed.images_per_s:,.1f}" if seed.images_per_s is not None else "-"
    left = duration(seed.seconds_left) if seed.seconds_left is not None else "-"
    line = f"{seed.seed:>6}  {seed.state:12} {progress:>22} {rate:>9} {left:>12}  {seed.detail}"
    return line.rstrip()
