"""What a run is executed in, and the events that record its start and each resume."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.baselines import load_baselines
from harness.baselines.schema import Target
from harness.data.dataset import DataSet
from harness.distributed.devices import Devices
from harness.record.run_folder import data_from
from harness.record.schema import Ceiling, EffectiveNumerics, RegisteredTarget, Resumed, RunStarted
from harness.runner.request import RunRequest
from harness.training.checkpoint import Loaded


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
class Identity:
    """What stays the same over all resumes of a run."""

    run_id: str
    seed: int
    steps_per_epoch: int
    steps_total: int
    training_flops_per_image: int
    init_weights: str | None


def started_event(
    identity: Identity,
    request: RunRequest,
    data: DataSet,
    around: Surroundings,
    time_s: float,
    folder: Path,
) -> RunStarted:
    """The first event of the journal in `folder`."""
    return RunStarted(
        time_s=time_s,
        run_id=identity.run_id,
        seed=identity.seed,
        recipe=request.recipe,
        recipe_digest=request.recipe.digest,
        deviations=request.settings,
        numerics=around.numerics,
        numerics_digest=around.numerics.digest,
        data=data.identity,
        data_path=data_from(folder, request.data),
        data_decisions=data.decisions,
        ceiling=Ceiling(
            gemm_flops_per_s=around.gemm_flops_per_s,
            devices=around.peak_devices,
            training_flops_per_image=identity.training_flops_per_image,
        ),
        steps_per_epoch=identity.steps_per_epoch,
        steps_total=identity.steps_total,
        harness_version=__version__,
        git_commit=around.git_commit,
        git_dirty=around.git_dirty,
        environment=around.environment,
        command=request.command,
        init_weights=identity.init_weights,
        targets=registered_targets(
            request.recipe.name,
            (
                *(one.target for one in request.targets),
                *([request.target] if request.target else []),
            ),
        ),
    )


def registered_targets(recipe: str, own: Sequence[Target] = ()) -> tuple[RegisteredTarget, ...]:
    """What the targets of a recipe demand now, so that a later verdict can tell a change.

    Args:
        recipe: The recipe's name.
        own: Targets that the runs are for and that need not be among the harness' own;
            of one name it is the one that counts.
    """
    known = (*load_baselines().targets, *own)
    found = {one.name: one for one in known if one.recipe == recipe}
    return tuple(
        RegisteredTarget(name=target.name, digest=target.digest, demands=target.demands())
        for target in found.values()
    )


def resumed_event(
    loaded: Loaded | None,
    passed_over: tuple[str, ...],
    request: RunRequest,
    around: Surroundings,
    time_s: float,
) -> Resumed:
    """The event of a later process that goes on from a checkpoint, or from the beginning."""
    return Resumed(
        time_s=time_s,
        step=loaded.step if loaded else 0,
        file=f"checkpoints/{loaded.folder.name}" if loaded else None,
        skipped=passed_over,
        numerics=around.numerics,
        numerics_digest=around.numerics.digest,
        accepted_numerics=request.accept_numerics,
    )
