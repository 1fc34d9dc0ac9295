"""What the run of a seed is given. Nothing in these values changes while it lasts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.data.dataset import DataSet
from harness.distributed.devices import Devices
from harness.distributed.job import Job
from harness.progress import SILENT, Progress
from harness.recipes.recipe import Recipe
from harness.record.journal import Journal
from harness.record.run_folder import RunFolder
from harness.record.schema import EffectiveNumerics
from harness.runner.request import RunRequest
from harness.weights.files import WeightArrays


@dataclass(frozen=True)
class Surroundings:
    """What a run is executed in, captured once for all seeds.

    Attributes:
        numerics: As effective in this process.
        environment: Everything that can change bits or speed.
        git_commit: Of the harness, or None outside a checkout.
        git_dirty: Whether it had uncommitted changes.
        devices: Replicas, and which of them are here.
        gemm_flops_per_s: Of one device, measured in this process.
    """

    numerics: EffectiveNumerics
    environment: dict[str, Any]
    git_commit: str | None
    git_dirty: bool | None
    devices: Devices
    gemm_flops_per_s: float

    @property
    def peak_devices(self) -> int:
        """How often the peak is there: logical devices share one processor."""
        on_gpu = any(name.startswith("GPU") for name in self.numerics.devices)
        return self.devices.replicas if on_gpu else self.devices.workers


@dataclass(frozen=True)
class SeedSetup:
    """What the run of one seed is given.

    Attributes:
        request: What the user asked for.
        seed: The seed.
        data: The data set.
        folder: The run's folder; the chief holds its lock.
        surroundings: What the run is executed in.
        job: The other workers, if any.
        weights: Those of `--init`; None where all are drawn from the seed.
        say: Messages for a person.
        progress: The display.
        journal: As it was when this process began; None for a new run.
    """

    request: RunRequest
    seed: int
    data: DataSet
    folder: RunFolder
    surroundings: Surroundings
    job: Job
    weights: WeightArrays | None = None
    say: Callable[[str], None] = lambda _text: None
    progress: Progress = SILENT
    journal: Journal | None = None

    @property
    def recipe(self) -> Recipe:
        """The recipe with its settings."""
        return self.request.recipe

    @property
    def classes(self) -> int:
        """Outputs of the network."""
        return self.recipe.model.classes or len(self.data.classes)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch: the recipe's, or floor(images / batch)."""
        return self.recipe.steps_in_epoch(len(self.data.train))

    @cached_property
    def total_steps(self) -> int:
        """Steps of the whole recipe."""
        return self.recipe.total_steps(self.steps_per_epoch)

    @property
    def last_step(self) -> int:
        """Steps after which this process stops: `--steps`, at most the recipe's."""
        limit = self.request.steps
        return self.total_steps if limit is None else min(limit, self.total_steps)
