"""What accompanies a run in MLflow and may fail without ending it: its mirror and its network."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras

from harness.errors import TrackerError
from harness.measure.machine import gpu_uuids
from harness.measure.visible_gpus import LIST_VARIABLE, visible_devices
from harness.models.plain import plain_copy
from harness.record.journal import Journal
from harness.record.run_folder import RunFolder, study_folder
from harness.record.schema import AnyEvent
from harness.runner.request import RunRequest
from harness.tracking.address import shown_uri
from harness.tracking.client import Tracker, identifier, reason_of
from harness.tracking.mirror import EXPERIMENT, open_mirror
from harness.tracking.places import tracker_of
from harness.tracking.rows import RUN_TAG, evaluation_rows

CLOSE_TIMEOUT_S = 120.0
MODEL_NAME = "network"
_WEIGHTS_REMAIN = (
    "the network itself is not sent later; the checkpoint keeps its weights, and `harness export` "
    "writes them as a file"
)


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
        gpus=visible_devices(os.environ.get(LIST_VARIABLE), gpu_uuids()),
    )
    try:
        yield mirror.publish
    finally:
        say(mirror.close(CLOSE_TIMEOUT_S).text)


def _ignore(_event: AnyEvent) -> None:
    return


def log_network(
    request: RunRequest,
    model: keras.Model,
    journal: Journal,
    say: Callable[[str], None],
) -> None:
    """Put the final network beside its run in MLflow, once; a tracker that refuses is reported."""
    if not request.tracking:
        return
    try:
        logged = log_model(
            model,
            journal,
            tracking_uri=tracker_of(request.runs, request.tracking_uri),
        )
    except TrackerError as error:
        say(f"MLflow: the network was not logged\n{error}")
    else:
        say(f"MLflow: network {logged.uri}")


@dataclass(frozen=True)
class LoggedNetwork:
    """Where the network is: `mlflow.keras.load_model(uri)` reads it."""

    uri: str
    mlflow_run_id: str
    is_new: bool


def log_model(
    model: keras.Model,
    journal: Journal,
    *,
    tracking_uri: str,
    experiment: str = EXPERIMENT,
) -> LoggedNetwork:
    """Log a network in Keras format with its signature. Calling it again logs nothing.

    What is logged consists of Keras' own layers, so that `mlflow.keras.load_model`
    reads it without this project.

    Uses the client's own calls instead of `mlflow.keras.log_model`, which
    works on a global active run and reads the history of every metric.

    Args:
        model: float32 [B, S, S, 3] to float32 logits [B, classes].
        journal: The run's, which must be in the tracker already: it gives name and accuracies.
        tracking_uri: Of the tracker that mirrors the run.
        experiment: MLflow experiment.

    Raises:
        TrackerError: the tracker has no such run, does not answer, or refuses.
    """
    run_id = journal.started.run_id
    try:
        tracker = Tracker(tracking_uri, experiment)
        found = tracker.find({RUN_TAG: identifier(run_id)})
        logged = None if found is None else _log_once(tracker, found, model, journal)
    except Exception as error:
        raise TrackerError(
            reason_of(error, tracking_uri),
            expected="an MLflow tracker that accepts the network",
            remedy=_WEIGHTS_REMAIN,
        ) from error
    if logged is None:
        raise TrackerError(
            f"the tracker has no run {run_id}",
            where=shown_uri(tracking_uri),
            expected="a run that was mirrored",
            remedy=f"send it with `harness sync`; {_WEIGHTS_REMAIN}",
        )
    return logged


def _log_once(tracker: Tracker, run_id: str, model: keras.Model, journal: Journal) -> LoggedNetwork:
    earlier = tracker.logged_models(run_id)
    if earlier:
        return LoggedNetwork(f"models:/{earlier[0]}", run_id, is_new=False)
    with tempfile.TemporaryDirectory() as folder:
        started = journal.started
        name = f"{started.recipe.name}-seed-{started.seed}"
        model_id = tracker.create_logged_model(run_id, name)
        _save(plain_copy(model), Path(folder) / "model", model_id, run_id)
        tracker.finish_logged_model(run_id, model_id, Path(folder) / "model", journal.last_step)
        final = [row for one in journal.evaluations if one.final for row in evaluation_rows(one)]
        tracker.write_model_rows(run_id, model_id, final, started.data)
    return LoggedNetwork(f"models:/{model_id}", run_id, is_new=True)


_THEIR_WARNINGS = (
    "__array__ implementation doesn't accept a copy",  # Keras under NumPy 2
    ".*Any type hint is inferred as AnyType",  # MLflow on importing its own pyfunc
)


def _save(model: keras.Model, folder: Path, model_id: str, run_id: str) -> None:
    with warnings.catch_warnings():
        for message in _THEIR_WARNINGS:
            warnings.filterwarnings("ignore", message)
        _save_as_mlflow(model, folder, model_id, run_id)


def _save_as_mlflow(model: keras.Model, folder: Path, model_id: str, run_id: str) -> None:
    import mlflow.keras
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    def spec(shape: tuple[int | None, ...], name: str) -> Schema:
        sizes = tuple(-1 if size is None else int(size) for size in shape)
        return Schema([TensorSpec(np.dtype(np.float32), sizes, name)])

    mlflow.keras.save_model(
        model,
        str(folder),
        mlflow_model=Model(artifact_path=MODEL_NAME, run_id=run_id, model_id=model_id),
        signature=ModelSignature(
            inputs=spec(model.input_shape, "image"), outputs=spec(model.output_shape, "logits")
        ),
        # Named explicitly: MLflow would load the network in another process to find them out.
        pip_requirements=[f"keras=={keras.__version__}", "tensorflow", "numpy"],
    )
