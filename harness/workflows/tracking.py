"""What accompanies a run and may fail without ending it: the tracker and the display."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import TrackerError
from harness.record.journal import Journal
from harness.record.mlflow_mirror import open_mirror
from harness.record.schema import AnyEvent
from harness.workflows.places import tracker_of
from harness.workflows.request import RunRequest
from harness.workflows.run_folder import RunFolder, study_folder

if TYPE_CHECKING:
    import keras

CLOSE_TIMEOUT_S = 120.0


@contextmanager
def mirrored(
    request: RunRequest, folder: RunFolder, say: Callable[[str], None]
) -> Iterator[Callable[[AnyEvent], None]]:
    """Yield a function that publishes an event to MLflow; say at the end what reached it."""
    if not request.tracking:
        yield _ignore
        return
    # MLflow's database migrations print to stderr what a reader of a run does not need.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    mirror = open_mirror(
        tracking_uri=tracker_of(request.runs, request.tracking_uri),
        run_dir=folder.path,
        study=study_folder(request.runs, request.recipe).name,
        every_step=request.mlflow_every_step,
    )
    try:
        yield mirror.publish
    finally:
        say(mirror.close(CLOSE_TIMEOUT_S).text)


def _ignore(_event: AnyEvent) -> None:
    return


def log_network(
    request: RunRequest,
    model: "keras.Model",
    journal: Journal,
    say: Callable[[str], None],
) -> None:
    """Put the final network beside its run in MLflow, once; a tracker that refuses is told."""
    if not request.tracking:
        return
    from harness.workflows.log_model import log_model

    try:
        logged = log_model(
            model,
            tracking_uri=tracker_of(request.runs, request.tracking_uri),
            run_id=journal.started.run_id,
            step=journal.last_step,
        )
    except TrackerError as error:
        say(f"MLflow: the network was not logged\n{error}")
    else:
        say(f"MLflow: network {logged.uri}")
