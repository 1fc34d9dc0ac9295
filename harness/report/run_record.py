"""A journal condensed to what the page shows, so that long journals need not stay in memory."""

from dataclasses import dataclass

from harness.record.chain import Head
from harness.record.epoch_sums import EpochSums
from harness.record.journal import Journal
from harness.record.quantities import StepSeries, epoch_sums
from harness.record.schema import (
    CheckpointWritten,
    Evaluation,
    Excerpt,
    Interrupted,
    Resumed,
    RunFinished,
    RunStarted,
    Warned,
)


@dataclass(frozen=True)
class RunRecord:
    """One run as the page needs it.

    Attributes:
        name: Short and unique among the runs of a page, such as `seed 1`.
        folder: Where the run lies, as given.
        journal_sha256: Of the journal's bytes, of the whole journal where this is an excerpt.
        torn_bytes: Of a torn last line that was left out.
        head: Of the chain of the journal's lines.
        excerpt: What the journal was taken from, where it is an excerpt.
        started: The run's identity.
        series: Its steps.
        epochs: What the steps of each epoch give together, of an excerpt's whole journal too.
        evaluations: In order.
        checkpoints: In order.
        interruptions: Stops and continuations in order.
        warnings: In order.
        replayed_steps: Steps computed again after a resume, each time with the same bits.
        finished: The end, or None.
        last_time_s: Time of day of the last event.
    """

    name: str
    folder: str
    journal_sha256: str
    torn_bytes: int
    head: Head
    excerpt: Excerpt | None
    started: RunStarted
    series: StepSeries
    epochs: tuple[EpochSums, ...]
    evaluations: tuple[Evaluation, ...]
    checkpoints: tuple[CheckpointWritten, ...]
    interruptions: tuple[Interrupted | Resumed, ...]
    warnings: tuple[Warned, ...]
    replayed_steps: int
    finished: RunFinished | None
    last_time_s: float

    @property
    def status(self) -> str:
        """How the run stands, in words."""
        if self.finished is not None:
            words = {
                "completed": "completed",
                "diverged": "diverged",
                "stopped": "stopped by a gate",
            }
            return words[self.finished.status]
        if self.interruptions and isinstance(self.interruptions[-1], Interrupted):
            last = self.interruptions[-1]
            return f"interrupted after step {last.step:,} ({last.reason.replace('_', ' ')})"
        return "no end in the journal"

    def final(self, protocol: str) -> Evaluation | None:
        """The last evaluation with this protocol that used the final weights."""
        found = [e for e in self.evaluations if e.final and e.protocol.name == protocol]
        return found[-1] if found else None


def record_of(journal: Journal, *, folder: str, sha256: str) -> RunRecord:
    """Condense a journal; runs of one page get names of their own by `distinct_names`.

    Raises:
        RecordError: the journal does not begin with the run's identity.
    """
    excerpt = journal.excerpt
    series = StepSeries.of(journal.steps)
    return RunRecord(
        name=f"seed {journal.started.seed}",
        folder=folder,
        journal_sha256=excerpt.journal_sha256 if excerpt else sha256,
        torn_bytes=journal.torn_bytes,
        head=journal.head,
        excerpt=excerpt,
        started=journal.started,
        series=series,
        epochs=excerpt.epochs if excerpt else epoch_sums(series, journal.started.steps_per_epoch),
        evaluations=journal.evaluations,
        checkpoints=tuple(_light(one) for one in journal.checkpoints),
        interruptions=journal.interruptions,
        warnings=journal.warnings,
        replayed_steps=excerpt.replayed_steps if excerpt else journal.replayed_equal(),
        finished=journal.finished,
        last_time_s=journal.events[-1].time_s,
    )


def _light(checkpoint: CheckpointWritten) -> CheckpointWritten:
    """The same without the fingerprints of hundreds of tensors."""
    return checkpoint.model_copy(update={"tensor_fingerprints": {}})


def distinct_names(starts: list[RunStarted]) -> list[str]:
    """Names for runs on one page: `seed 1`, with recipe or number where needed to tell apart."""
    names = [f"seed {one.seed}" for one in starts]
    if len(set(names)) < len(names):
        names = [f"{one.recipe.name} seed {one.seed}" for one in starts]
    if len(set(names)) < len(names):
        names = [f"{name} ({index})" for index, name in enumerate(names, 1)]
    return names
