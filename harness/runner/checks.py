"""What is checked before a run begins: data folder, initial weights, machine, disk and time."""

from collections.abc import Callable, Mapping

from harness.data.opening import FoundData
from harness.data.shape import data_shape, refuse_other_than_imagenet
from harness.preflight.estimate import preflight
from harness.record.run_folder import Begun, run_folder
from harness.runner.initial_model import initial_weights
from harness.runner.request import RunRequest
from harness.training.checkpoint import list_checkpoints, step_of
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
    return weights


def _steps_saved(request: RunRequest, seed: int) -> int:
    """Steps that a seed's newest checkpoint holds."""
    checkpoints = list_checkpoints(run_folder(request.runs, request.recipe, seed).checkpoints)
    return step_of(checkpoints[-1]) if checkpoints else 0
