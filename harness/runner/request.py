"""What a user asks of `harness run`, as one frozen value."""

from dataclasses import dataclass
from pathlib import Path

from harness.baselines.own import OwnTarget
from harness.baselines.schema import Target
from harness.distributed.cluster import Cluster
from harness.errors import UsageError
from harness.numerics.seeds import check_seed
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Recipe
from harness.record.journal import Journal


@dataclass(frozen=True)
class RunRequest:
    """One `harness run`.

    Attributes:
        recipe: With `--set` applied.
        settings: `--set` as given; anything here marks the run as a deviation.
        data: A prepared folder, or one in ImageNet's layout.
        seeds: Each once.
        runs: Where runs, tracker and manifests go.
        steps: Stop after this many steps; None runs to the end.
        checkpoint_every: Steps between checkpoints.
        eval_images: Evaluate this many images, a fixed random draw; None takes all.
        max_hours: Longest time that preflight lets a seed take.
        tracking_uri: MLflow's; None is SQLite within `runs`.
        mlflow_every_step: Mirror every step, not windows of 100.
        accept_numerics: Go on under other numerics than the run began with.
        stop_when_unusual: End a seed in which an early check finds something.
        eager: Run the step operation by operation.
        command: The command line, for the record.
        tracking: Whether there is a mirror at all.
        init: Weight file that the recipe's trunk begins with.
        normalisation: Of that file, where it does not say.
        imagenet_only: Whether any other data set is refused.
        devices: As `--devices` has it: all, N or cpu:N.
        targets: One's own, which the runs will be held against.
        cluster: The job of workers that this process belongs to, if any.
        target: What the runs are for, where they are for one; registered with those of the recipe.
    """

    recipe: Recipe
    settings: tuple[str, ...]
    data: Path
    seeds: tuple[int, ...]
    runs: Path
    steps: int | None = None
    checkpoint_every: int = 1000
    eval_images: int | None = None
    max_hours: float = 120.0
    tracking_uri: str | None = None
    mlflow_every_step: bool = False
    accept_numerics: bool = False
    stop_when_unusual: bool = False
    eager: bool = False
    command: tuple[str, ...] = ()
    tracking: bool = True
    imagenet_only: bool = False
    init: Path | None = None
    normalisation: Normalisation | None = None
    devices: str = "1"
    targets: tuple[OwnTarget, ...] = ()
    cluster: Cluster | None = None
    target: Target | None = None


def check_seeds(seeds: tuple[int, ...]) -> None:
    """Raise `UsageError` when there is no seed, one is out of range or occurs twice."""
    if not seeds:
        raise UsageError(
            "no seed was given",
            expected="at least one --seed N: every random stream is derived from it",
            remedy="add --seed 1",
        )
    for seed in seeds:
        check_seed(seed)
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if repeated:
        raise UsageError(
            f"seed {repeated[0]} was given more than once",
            expected="each seed once: the same seed gives the same bits",
            remedy="drop the repetition, or choose another seed",
        )


def check_registered(request: RunRequest, journal: Journal) -> None:
    """Raise `UsageError` when a run is resumed with a target that it did not name."""
    known = {one.digest for one in journal.started.targets or ()}
    late = [own.target.name for own in request.targets if own.target.digest not in known]
    if late:
        raise UsageError(
            f"the run began without the target {late[0]}, or the target was changed since",
            where=str(journal.path.parent),
            expected="a target that is named before the first step and stays as it is",
            remedy="leave --target out; `harness verdict RUN --target FILE` judges with any",
        )


def check_init(request: RunRequest) -> None:
    """Raise `UsageError` unless weights are given exactly when the recipe's trunk takes them."""
    if request.normalisation is not None and request.init is None:
        raise UsageError(
            "--normalisation was given without --init",
            expected="it describes the weights of --init",
            remedy="leave it out; the recipe's own is replaced with --set normalisation=...",
        )
    wanted = request.recipe.model.trunk != "from_seed"
    if wanted == (request.init is not None):
        return
    raise UsageError(
        f"the recipe {request.recipe.name} "
        + ("begins with imported weights" if wanted else "draws all weights from the seed"),
        expected="--init WEIGHTS" if wanted else "no --init",
        remedy="add --init FILE" if wanted else "use the recipe `transfer`, or leave --init out",
    )
