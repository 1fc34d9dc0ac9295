"""What is checked before a run begins: data folder, initial weights, machine, disk and time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.baselines.schema import Target
from harness.data.dataset import DataSet
from harness.data.opening import FoundData
from harness.data.shape import data_shape, refuse_other_than_imagenet
from harness.errors import DataError
from harness.preflight.estimate import preflight
from harness.record.run_folder import Begun, run_folder
from harness.runner.initial_model import initial_weights
from harness.runner.request import RunRequest
from harness.training.checkpoint import list_checkpoints, step_of
from harness.verdict.checks import binding_differences
from harness.weights.files import WeightArrays

Say = Callable[[str], None]


def check_before_run(
    request: RunRequest,
    found: FoundData,
    begun: Mapping[int, Begun],
    say: Say,
    replicas: int = 1,
) -> WeightArrays | None:
    """Check folder, initial weights, machine, disk and time; in seconds, before data is hashed.

    Args:
        request: What to run.
        found: What lies in its data folder.
        begun: Runs that were begun, by seed.
        say: Messages for a person.
        replicas: Devices that share each batch.

    Returns:
        The weights of `--init`, if they are asked for.

    Raises:
        DataError: the folder is no data set, or not ImageNet where that is asked for.
        MachineError: days of work beside a GPU that TensorFlow does not use, too little
            disk or memory, or a seed beyond `request.max_hours`.
        WeightsError: the recipe may not start from the weights of `--init`.
    """
    shape = data_shape(found)
    if request.imagenet_only:
        refuse_other_than_imagenet(found, shape)
    weights = initial_weights(request, begun)
    left = tuple(s for s in request.seeds if s not in begun or not begun[s].journal.finished)
    if not left:
        return weights
    expected = preflight(
        request.recipe,
        shape,
        left,
        runs=request.runs,
        max_hours=request.max_hours,
        steps=request.steps,
        steps_done={seed: _steps_saved(request, seed) for seed in left},
        eval_images=request.eval_images,
        replicas=replicas,
        workers_here=len(request.cluster.workers_here) if request.cluster else 1,
        say=say,
    )
    say(expected.text())
    unlike = other_passes(request, shape.train_images)
    if unlike:
        say(f"warning: {unlike}")
    return weights


def other_passes(request: RunRequest, train_images: int) -> str | None:
    """What to know where the recipe's steps of an epoch do not fit batch and data; else None."""
    recipe = request.recipe
    shown = (recipe.steps_per_epoch or 0) * recipe.batch
    own = any(text.partition("=")[0].strip() == "steps_per_epoch" for text in request.settings)
    if recipe.steps_per_epoch is None or own or abs(shown - train_images) < recipe.batch:
        return None
    fitting = max(1, round(train_images / recipe.batch))
    return (
        f"an epoch of the recipe is {recipe.steps_per_epoch:,} steps, which show {shown:,} images, "
        f"and there are {train_images:,} training images: --set steps_per_epoch={fitting} makes it "
        "one pass"
    )


def data_of_target(data: DataSet, target: Target, path: Path) -> DataSet:
    """The data, of the target's kind, once it is certain that the target is about it.

    A folder of images does not always say of what kind they are; their root digest does.

    Raises:
        DataError: it is other data; runs on it could never be judged by the target.
    """
    binding, identity = target.data, data.identity
    if identity.root_digest == binding.root_digest:
        identity = identity.model_copy(update={"kind": binding.kind})
    differences = binding_differences(binding, identity)
    if differences:
        raise DataError(
            f"the data is not what the target {target.name} is about: {'; '.join(differences)}",
            where=str(path),
            expected=f"the whole of {binding.kind}, unchanged: on other data nothing is judged",
            remedy="prepare it as its authors publish it: harness prepare --source FILES --out "
            "DIR, which says what differs; then name DIR with --data",
        )
    return replace(data, identity=identity)


def _steps_saved(request: RunRequest, seed: int) -> int:
    """Steps that a seed's newest checkpoint holds."""
    checkpoints = list_checkpoints(run_folder(request.runs, request.recipe, seed).checkpoints)
    return step_of(checkpoints[-1]) if checkpoints else 0
