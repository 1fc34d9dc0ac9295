"""How a training can end before its last step, as errors that say what to do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from harness.errors import DivergedError, PreemptedError
from harness.record.schema import Steps
from harness.training.checkpoint import list_checkpoints
from harness.training.device_errors import MEMORY, explained, kind_of


@contextmanager
def device_errors(folder: Path, explain: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turn TensorFlow's errors in the block into `MachineError`.

    Those of the input do not come here: `recipe_batches` and evaluations tell them
    where they happen.

    Args:
        folder: Of the run.
        explain: Called first, unless memory is short; raises when another worker is
            the cause.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if kind_of(error) is not MEMORY:
            explain()
        raise explained(error, str(folder)) from error


def preempted(
    step: int, total_steps: int, detail: str, folder: Path, command: Sequence[str]
) -> PreemptedError:
    """A stop was asked for; the checkpoint of `step` is written."""
    return PreemptedError(
        f"stopped after step {step} of {total_steps}: {detail}",
        where=str(folder),
        expected="a checkpoint, which is written",
        remedy=f"resume with the same command:\n    {' '.join(command)}"
        if command
        else "call it again with the same arguments: it goes on from there",
    )


def diverged(window: Steps, step: int, folder: Path, checkpoints: Path) -> DivergedError:
    """The loss or gradient of `step` in `window` is not finite."""
    good = list_checkpoints(checkpoints)
    return DivergedError(
        f"the loss or gradient of step {step} is not finite "
        f"(window of steps {window.first_step} to {window.end_step - 1})",
        where=str(folder),
        expected=f"finite values; last good checkpoint: {good[-1].name if good else 'none'}",
        remedy="look at the loss before that step in the report; check recipe and data",
    )
