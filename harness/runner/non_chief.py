"""What a worker that is not the chief has in place of journal, checkpoints and evaluations.

Each goes through the same steps as the chief and writes nothing.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.recipes.protocol import Protocol
from harness.record.journal import JournalWriter
from harness.record.schema import AnyEvent
from harness.runner.evaluator import RunEvaluator
from harness.training.background import CheckpointWriter


class SilentJournal(JournalWriter):
    """A journal that keeps nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: AnyEvent) -> None:
        """Drop the event; the chief writes the same."""

    def sync(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        """Nothing is open."""


class SilentCheckpoints(CheckpointWriter):
    """Checkpoints that the chief writes."""

    def write(self, step: int, snapshot: Callable[[], dict[str, np.ndarray]]) -> None:
        """Leave the state on the devices."""


class SilentEvaluator(RunEvaluator):
    """Evaluations that the chief makes; this worker meets it in the next step's reduction."""

    def evaluate(self, step: int, protocols: tuple[Protocol, ...]) -> None:
        """Leave it to the chief."""
