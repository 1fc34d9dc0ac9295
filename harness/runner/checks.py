"""What is checked before a run begins: data folder, initial weights, machine, disk and time."""

from collections.abc import Callable

from harness.data.opening import Found
from harness.data.shape import data_shape, refuse_other_than_imagenet
from harness.preflight.estimate import preflight
from harness.record.run_folder import existing_journal, run_folder
from harness.runner.initial_model import initial_weights
from harness.runner.request import RunRequest
from harness.training.checkpoint import list_checkpoints

Say = Callable[[str], None]


def check_before_run(request: RunRequest, found: Found, say: Say, replicas: int = 1) -> None:
    """Check folder, initial weights, machine, disk and time; in seconds, before data is hashed.

    Args:
        request: What to run.
        found: What lies in its data folder.
        say: Messages for a person.
        replicas: Devices that share each batch.

    Raises:
        DataError: the folder is no data set, or not ImageNet where that is asked for.
        MachineError: days of work beside a GPU that TensorFlow does not use, too little
            disk or memory, or a seed beyond `request.max_hours`.
        WeightsError: the recipe may not start from the weights of `--init`.
    """
    shape = data_shape(found)
    if request.imagenet_only:
        refuse_other_than_imagenet(found, shape)
    initial_weights(request)
    done = {seed: _steps_done(request, seed) for seed in request.seeds}
    left = tuple(seed for seed in request.seeds if done[seed] is not None)
    if not left:
        return
    expected = preflight(
        request.recipe,
        shape,
        left,
        runs=request.runs,
        max_hours=request.max_hours,
        steps=request.steps,
        steps_done={seed: steps for seed, steps in done.items() if steps},
        eval_images=request.eval_images,
        replicas=replicas,
        say=say,
    )
    say(expected.text())


def _steps_done(request: RunRequest, seed: int) -> int | None:
    """Steps that a checkpoint holds; None when the run has ended."""
    folder = run_folder(request.runs, request.recipe, seed)
    journal = existing_journal(folder)
    if journal is not None and journal.finished is not None:
        return None
    checkpoints = list_checkpoints(folder.checkpoints)
    return int(checkpoints[-1].name.removeprefix("step-")) if checkpoints else 0
