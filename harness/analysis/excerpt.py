"""A run's folder made small enough to publish: of each window of steps only the last ones are kept.

An excerpt has a compressed journal of its own, whose second line names the whole journal that
it was taken from. Evaluations, stops and warnings are all there, and the prediction files that
decide; of the checkpoints the last one is named. What is computed from it is computed as from
any journal, over the steps that it has.
"""

import lzma
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.analysis.bundle import texts_of
from harness.errors import RecordError
from harness.files import write_durably
from harness.record.chain import Chain
from harness.record.journal import EXCERPT_NAME, Journal, journal_in, read_journal
from harness.record.quantities import StepSeries, epoch_sums
from harness.record.schema import (
    AnyEvent,
    CheckpointWritten,
    Excerpt,
    Replayed,
    RunStarted,
    Steps,
)
from harness.record.summary import summarise
from harness.verdict.selection import counted


def write_excerpt(run: Path, out: Path, steps_of_window: int) -> Path:
    """Write the excerpt of a run into a folder of its own.

    Args:
        run: The run's folder, which keeps everything.
        out: The folder to make; it must not hold a journal.
        steps_of_window: How many of each window's steps are kept, from its end.

    Returns:
        The excerpt's journal.

    Raises:
        RecordError: the journal is missing, damaged, unfinished or an excerpt, `out` has one, or
            a file holds what looks like a password.
        MachineError: the folder cannot be written.
    """
    journal = read_journal(run)
    _refuse_unfit(journal, out)
    _, *beside = texts_of(run)
    chain, lines = Chain(), []
    for event in _kept_events(journal, steps_of_window):
        lines.append(chain.linked(event.model_dump_json().encode()))
        chain.add(lines[-1])
    for file in (*beside, *(run / name for name in _decisive(journal))):
        if file.is_file():
            write_durably(out / file.name, partial(shutil.copyfile, file))
    packed = lzma.compress(b"".join(lines), preset=9 | lzma.PRESET_EXTREME)
    write_durably(out / EXCERPT_NAME, lambda new: new.write_bytes(packed))
    return out / EXCERPT_NAME


def _refuse_unfit(journal: Journal, out: Path) -> None:
    if journal.excerpt is not None or journal.finished is None:
        raise RecordError(
            "this is an excerpt already" if journal.excerpt else "the run has not ended",
            where=str(journal.path),
            expected="the whole journal of a run that ended",
            remedy="name the run that it was taken from" if journal.excerpt else "finish it first",
        )
    if there := journal_in(out):
        raise RecordError(
            "there is a journal in the folder to write",
            where=str(there),
            expected="a new folder for the excerpt",
            remedy="name another folder with --out",
        )


def _kept_events(journal: Journal, steps_of_window: int) -> Iterator[AnyEvent]:
    last_checkpoint = journal.checkpoints[-1] if journal.checkpoints else None
    for event in journal.events:
        if isinstance(event, Steps):
            yield _end_of(event, steps_of_window)
        elif not isinstance(event, Replayed | CheckpointWritten) or event is last_checkpoint:
            yield event
        if isinstance(event, RunStarted):
            yield Excerpt(
                time_s=journal.events[-1].time_s,
                steps_of_window=steps_of_window,
                steps=journal.last_step,
                replayed_steps=journal.replayed_equal(),
                checkpoints=len(journal.checkpoints),
                epochs=epoch_sums(StepSeries.of(journal.steps), event.steps_per_epoch),
                journal_lines=journal.head.lines,
                journal_sha256=journal.head.digest,
            )


def _end_of(window: Steps, count: int) -> Steps:
    cut = {
        name: value[-count:]
        for name in type(window).model_fields
        if isinstance(value := getattr(window, name), tuple) and name != "compiled"
    }
    compiled = tuple(step for step in window.compiled if step in cut["step"])
    return window.model_copy(update={**cut, "compiled": compiled})


def _decisive(journal: Journal) -> list[str]:
    """Prediction files of the final evaluations, and of the one that its recipe counts."""
    started, run = journal.started, summarise(journal)
    events = [event for event in journal.evaluations if event.final]
    found = [counted(run, p, started.recipe.selection) for p in started.recipe.final_protocols]
    events += [one.evaluation for one in found if one]
    return list(dict.fromkeys(Path(e.predictions_file).name for e in events if e.predictions_file))
