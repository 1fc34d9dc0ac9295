"""A young run checked while it trains: warned about, stopped only on request."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.errors import InconclusiveError, RecordError, StatisticsError
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import Normalisation
from harness.record.journal import read_journal
from harness.record.run_folder import runs_of_study
from harness.record.schema import Steps
from harness.runner.context import SeedSetup
from harness.verdict.early import (
    Curve,
    EarlyFinding,
    check_pixels,
    check_predictions,
    check_steps,
    columns_of,
    curve_of,
    window_ends,
)

Warn = Callable[[str, str], None]
"""(topic, text) of a warning to record."""
TOPIC = "early_check"


class UnusualRunError(InconclusiveError):
    """An early check found something, and the user asked to stop for it."""


@dataclass
class Watch:
    """Checks what a run records and warns once of each finding.

    Attributes:
        folder: The run's, for messages.
        classes: Of the data set.
        steps_total: Of the recipe.
        stop: Whether a finding ends the run.
        warn: Records a warning.
        earlier: A completed run of the same recipe and data; None without one.
        columns: What was recorded so far, see `columns_of`.
        told: Findings that were recorded already.
    """

    folder: Path
    classes: int
    steps_total: int
    stop: bool
    warn: Warn
    earlier: Curve | None = None
    columns: list[np.ndarray] = field(default_factory=list)
    told: set[tuple[str, tuple[int, int]]] = field(default_factory=set)
    ends: tuple[int, ...] = ()
    evaluated: bool = False

    def __post_init__(self) -> None:
        """Find where it looks, and take what an earlier process recorded as told."""
        try:
            self.ends = (5, *window_ends(self.steps_total))
        except StatisticsError:
            self.ends = (5,)
            self.earlier = None
        self.told = {(one.check, one.steps) for one in self._check()}

    def see(self, window: Steps) -> None:
        """Take a new window; the run is checked whenever one of its own windows is whole.

        Raises:
            UnusualRunError: something is unusual and `stop` is set.
        """
        self.columns.append(columns_of(window))
        if any(window.step[0] < end <= window.step[-1] + 1 for end in self.ends):
            self._tell(self._check())

    def first_batch(self, batches: Iterator[Any], normalisation: Normalisation) -> Iterator[Any]:
        """The same batches; the pixels of the first one are checked.

        Not where a published normalisation keeps the scale of 0 to 255.
        """
        keeps = normalisation in NORMALISATIONS.values() and set(normalisation.std) == {1.0}
        for number, batch in enumerate(batches):
            if number == 0 and not keeps and hasattr(batch["image"], "numpy"):
                self._tell(check_pixels(batch["image"].numpy()))
            yield batch

    def evaluation(self, step: int, predictions: pa.Table) -> None:
        """Take the predictions of an evaluation; only the first one is looked at."""
        if self.evaluated or not step:
            return
        self.evaluated = True
        labels = predictions.column("label").to_numpy()
        top5 = predictions.column("top5_class").combine_chunks().flatten().to_numpy()
        self._tell(check_predictions(labels, top5.reshape(-1, 5)[:, 0], self.classes, step))

    def _check(self) -> tuple[EarlyFinding, ...]:
        curve = curve_of(self.columns)
        return check_steps(
            curve, classes=self.classes, steps_total=self.steps_total, earlier=self.earlier
        )

    def _tell(self, findings: tuple[EarlyFinding, ...]) -> None:
        new = [one for one in findings if (one.check, one.steps) not in self.told]
        for finding in new:
            self.told.add((finding.check, finding.steps))
            self.warn(TOPIC, finding.text())
        if new and self.stop:
            raise UnusualRunError(
                f"stopped by an early check: {new[0].text()}",
                where=str(self.folder),
                expected="what any sound run shows, or the curve of an earlier one",
                remedy="look at the report's learning curves; without --stop-when-unusual the "
                "run is only warned about",
            )


def open_watch(setup: SeedSetup, warn: Warn) -> Watch:
    """Watch a seed of a study; what an earlier process recorded is seen already."""
    journal = setup.journal
    return Watch(
        folder=setup.folder.path,
        classes=setup.classes,
        steps_total=setup.total_steps,
        stop=setup.request.stop_when_unusual,
        warn=warn,
        earlier=earlier_curve(
            setup.folder.path.parent,
            seed=setup.seed,
            recipe_digest=setup.recipe.digest,
            root_digest=setup.data.identity.root_digest,
            steps_total=setup.total_steps,
        ),
        columns=[columns_of(window) for window in journal.steps] if journal else [],
        evaluated=bool(journal and journal.evaluations),
    )


def earlier_curve(
    study: Path, *, seed: int, recipe_digest: str, root_digest: str, steps_total: int
) -> Curve | None:
    """The curve of a study's first completed run of this recipe and data that raised no finding.

    A seed that begins at this moment has an empty journal, and a damaged neighbour is no
    reason to end a sound run: both are passed over.
    """
    for folder in runs_of_study(study):
        if folder.name == f"seed-{seed}":
            continue
        try:
            journal = read_journal(folder)
            started = journal.started
        except RecordError:
            continue
        mine = (recipe_digest, root_digest, steps_total)
        theirs = (started.recipe_digest, started.data.root_digest, started.steps_total)
        unusual = any(warning.topic in {TOPIC, "early_curve"} for warning in journal.warnings)
        done = journal.finished is not None and journal.finished.status == "completed"
        if mine == theirs and done and not unusual and len(journal.steps):
            return curve_of([columns_of(window) for window in journal.steps])
    return None
