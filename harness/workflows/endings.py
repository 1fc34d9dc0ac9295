"""How a run can end before its last step, as errors that say what to do."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import DivergedError, PreemptedError
from harness.training.checkpoint import list_checkpoints
from harness.training.loop import Window


def preempted(
    step: int, total_steps: int, detail: str, folder: Path, command: Sequence[str]
) -> PreemptedError:
    """A stop was asked for; the checkpoint of `step` is written."""
    return PreemptedError(
        f"stopped after step {step} of {total_steps}: {detail}",
        where=str(folder),
        expected="a checkpoint, which is written",
        remedy=f"go on with the same command:\n    {' '.join(command)}",
    )


def diverged(window: Window, step: int, folder: Path, checkpoints: Path) -> DivergedError:
    """The loss or gradient of `step` in `window` is not finite."""
    good = list_checkpoints(checkpoints)
    return DivergedError(
        f"the loss or gradient of step {step} is not finite "
        f"(window of steps {window.first_step} to {window.end_step - 1})",
        where=str(folder),
        expected=f"finite values; last good checkpoint: {good[-1].name if good else 'none'}",
        remedy="look at the loss before that step in the report; check recipe and data",
    )
