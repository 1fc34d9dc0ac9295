"""What is checked before a run begins: data folder, initial weights, machine, disk and time."""

from collections.abc import Callable

from harness.data.shape import GET_IMAGENET, check_imagenet_shape, data_shape
from harness.preflight.estimate import preflight
from harness.record.run_folder import existing_journal, run_folder
from harness.runner.initial_model import initial_weights
from harness.runner.request import RunRequest
from harness.training.checkpoint import list_checkpoints

Say = Callable[[str], None]


def check_before_run(request: RunRequest, say: Say) -> None:
    """Check folder, initial weights, machine, disk and time; in seconds, before data is hashed.

    Raises:
        DataError: the folder is no data set, or not ImageNet where that is asked for.
        MachineError: days of work beside a GPU that TensorFlow does not use, too little
            disk, or a seed beyond `request.max_hours`.
        WeightsError: the recipe may not start from the weights of `--init`.
    """
    shape = data_shape(request.data)
    if request.imagenet_only:
        check_imagenet_shape(shape, request.data, GET_IMAGENET)
    initial_weights(request)
    done = {seed: _steps_done(request, seed) for seed in request.seeds}
    left = tuple(seed for seed in request.seeds if done[seed] is not None)
    if not left:
        return
    found = preflight(
        request.recipe,
        shape,
        left,
        runs=request.runs,
        max_hours=request.max_hours,
        steps=request.steps,
        steps_done={seed: steps for seed, steps in done.items() if steps},
        eval_images=request.eval_images,
    )
    say(found.text())


def _steps_done(request: RunRequest, seed: int) -> int | None:
    """Steps that a checkpoint holds; None when the run has ended."""
    folder = run_folder(request.runs, request.recipe, seed)
    journal = existing_journal(folder)
    if journal is not None and journal.finished is not None:
        return None
    checkpoints = list_checkpoints(folder.checkpoints)
    return int(checkpoints[-1].name.removeprefix("step-")) if checkpoints else 0
