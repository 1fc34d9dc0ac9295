"""Whose accuracy counts: the one place where a selection is applied to a run's evaluations.

`last` takes the evaluation of the recipe's last step. `best_epoch` takes the
greatest top-1 of all per-epoch evaluations, the last step's included, as papers do
whose code prints its best accuracy on the test set. Such a number flatters, so
whoever shows it shows the last step's beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Selection
from harness.record.schema import Evaluation, RunStarted
from harness.record.summary import RunSummary

SELECTION_WORDS: dict[Selection, str] = {"last": "last epoch", "best_epoch": "best epoch"}
NAMED_EPOCHS = 5


@dataclass(frozen=True)
class Counted:
    """The evaluation that counts, and how it was chosen.

    Attributes:
        evaluation: Whose accuracy counts.
        last: Of the last step.
        chosen_from: Evaluations that it was chosen from.
    """

    evaluation: Evaluation
    last: Evaluation
    chosen_from: int


def counted(run: RunSummary, protocol: Protocol, selection: Selection) -> Counted | None:
    """The evaluation that counts under a protocol; None where the last step has none.

    Of equal accuracies the earliest counts. Evaluations that are missing are not
    noticed here: see `gaps`.
    """
    found = _by_step(run, protocol)
    last = found.get(run.started.steps_total)
    if last is None:
        return None
    if selection == "last":
        return Counted(last, last, 1)
    best = max(found.values(), key=lambda e: (e.top1_accuracy, -e.step))
    return Counted(best, last, len(found))


def gaps(run: RunSummary, protocol: Protocol) -> Iterator[str]:
    """Per-epoch evaluations that a best epoch would need and that a run lacks, in words.

    The last step's own is not looked at.
    """
    found = _by_step(run, protocol)
    before_last = evaluated_steps(run.started)[:-1]
    missing = [step for step in before_last if step not in found]
    if missing:
        yield (
            f"{len(missing)} of {len(before_last) + 1} per-epoch evaluations are missing "
            f"(after epoch {_epochs(missing, run.started)})"
        )
    partial = [step for step in before_last if step in found and not found[step].complete]
    if partial:
        yield (
            f"{len(partial)} of {len(before_last) + 1} per-epoch evaluations saw a part of the "
            f"images only (after epoch {_epochs(partial, run.started)})"
        )


def evaluated_steps(started: RunStarted) -> tuple[int, ...]:
    """Steps done when the recipe evaluates: at epoch ends, and at the last step."""
    every = started.steps_per_epoch * started.recipe.evaluate_every_epochs
    return (*range(every, started.steps_total, every), started.steps_total)


def _by_step(run: RunSummary, protocol: Protocol) -> dict[int, Evaluation]:
    """Evaluations under a protocol by step, in order; the last one if repeated.

    One that the recipe does not ask for, such as that of a `--steps` limit, is none.
    """
    asked = set(evaluated_steps(run.started))
    found = {
        e.step: e
        for e in run.evaluations
        if e.protocol_digest == protocol.digest
        and e.step in asked
        and e.final == (e.step == run.started.steps_total)
    }
    return dict(sorted(found.items()))


def _epochs(steps: list[int], started: RunStarted) -> str:
    named = ", ".join(str(step // started.steps_per_epoch) for step in steps[:NAMED_EPOCHS])
    more = len(steps) - NAMED_EPOCHS
    return f"{named} and {more} more" if more > 0 else named
