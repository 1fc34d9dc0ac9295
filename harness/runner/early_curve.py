"""A young run held against earlier ones of its study: warned about, stopped only on request."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InconclusiveError, StatisticsError
from harness.record.schema import Steps
from harness.verdict.early import EarlyGate, Finding
from harness.workflows.early_gate import ABSOLUTE_BASIS, TOPIC, open_gate

Warn = Callable[[str, str], None]
"""(topic, text) of a warning to record."""


class UnusualCurveError(InconclusiveError):
    """The early curve is not that of earlier runs, and the user asked to stop for it."""


@dataclass
class Watch:
    """Tells the gate of each recorded window and records what is new in its answer.

    Attributes:
        gate: None where the recipe is too short to be watched.
        stop: Whether an unusual curve ends the run.
        warn: Records a warning.
        folder: The run's, for messages.
        told: Findings that were recorded already.
    """

    gate: EarlyGate | None
    stop: bool
    warn: Warn
    folder: Path
    told: int = 0

    def see(self, window: Steps) -> None:
        """Take a new window.

        Raises:
            UnusualCurveError: something is unusual and `stop` is set.
        """
        if self.gate is None:
            return
        answer = self.gate((window,))
        new = answer.findings[self.told :]
        self.told = len(answer.findings)
        for finding in new:
            self.warn(TOPIC, described(finding, answer.compared_with))
        if new and self.stop:
            raise UnusualCurveError(
                f"stopped after step {window.step[-1]}: {described(new[0], answer.compared_with)}",
                where=str(self.folder),
                expected="the curve of earlier runs of the recipe",
                remedy="look at the report's learning curves; without --stop-when-unusual the "
                "run is only warned about",
            )


def described(finding: Finding, references: int) -> str:
    """A finding in words."""
    basis = f"{references} earlier runs" if references else ABSOLUTE_BASIS
    low, high = ("none" if x is None else f"{x:.4g}" for x in (finding.low, finding.high))
    return (
        f"steps {finding.steps[0]} to {finding.steps[1]}: {finding.check} {finding.value:.4g}, "
        f"expected {low} to {high} ({basis})"
    )


def open_watch(
    study: Path,
    recorded: tuple[Steps, ...],
    *,
    seed: int,
    recipe_digest: str,
    root_digest: str,
    classes: int,
    steps_total: int,
    stop: bool,
    warn: Warn,
) -> Watch:
    """Watch a seed of a study; windows recorded before an interruption are seen already."""
    folder = study / f"seed-{seed}"
    try:
        gate = open_gate(
            study,
            seed=seed,
            recipe_digest=recipe_digest,
            root_digest=root_digest,
            classes=classes,
            steps_total=steps_total,
        )
    except StatisticsError:
        return Watch(None, stop, warn, folder)
    told = len(gate(recorded).findings) if recorded else 0
    return Watch(gate, stop, warn, folder, told)
