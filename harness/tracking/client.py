"""The MLflow tracker as the few operations that the mirror needs.

Uses `MlflowClient` only: no active run, no autologging, nothing global in the
training process. One object belongs to one thread.
"""

import logging
import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from harness.record.schema import DataIdentity
from harness.system.folders import alone
from harness.system.secrets import redacted
from harness.tracking.address import shown_uri, unusable
from harness.tracking.failures import words_of
from harness.tracking.rows import DATASET_DIGEST_CHARACTERS, MetricRow

EXPERIMENT = "resnet-reproducibility"
ROWS_PER_BATCH = 1000
PAIRS_PER_BATCH = 100
"""MLflow's limits for metrics and for params or tags in one request."""

AT_ONCE = 50
"""More processes than begin one study at the same moment."""

CREATED_TAG = "harness.created_ns"
"""When a run was created: of two that mean the same the first counts."""

_DEFAULTS = {
    # The journal keeps everything, so a tracker that is down is asked again later instead of
    # holding the thread for the two minutes a request and seven tries that MLflow waits.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # A benchmark reports to its own tracker alone.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Standard output belongs to the command's result.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def default_tracking_uri(runs: Path) -> str:
    """SQLite beside the runs, by absolute path: a relative one would follow the working folder.

    Quoted as SQLAlchemy reads it: a folder may be called `runs?` or `a%2Fb`.

    Raises:
        TrackerError: the folder's name is no UTF-8, which an address must be.
    """
    from sqlalchemy.engine import URL

    database = (runs.resolve() / "mlflow.db").as_posix()
    shown = database.encode(errors="backslashreplace").decode()
    if shown != database:
        raise unusable(
            shown, "the name of the runs folder is no UTF-8", "a name that an address can hold"
        )
    return URL.create("sqlite", database=database).render_as_string(hide_password=False)


def age_s(tags: Mapping[str, str]) -> float:
    """Seconds since a run with these tags was created; 0 where they do not tell."""
    created = tags.get(CREATED_TAG, "")
    return max(0.0, (time.time_ns() - int(created)) / 1e9) if created.isdigit() else 0.0


def identifier(text: str) -> str:
    """Text as a tag value that a search can name: anything unusual becomes an underscore."""
    return re.sub(r"[^\w .:/+-]", "_", text)


def prepare_client(tracking_uri: str) -> Any:
    """MLflow's client, quiet, and asked again later rather than waited for."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # MLflow 3.17 maps a column in a way that SQLAlchemy 2.1 deprecates; a user can do nothing.
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
    from mlflow import MlflowClient

    # After the import, which sets levels of its own.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What its store logs with a traceback it raises as well, and that is reported in words.
    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=tracking_uri)


class Tracker:
    """A connection to one experiment of one tracker.

    Args:
        tracking_uri: `sqlite:////absolute/path.db` or `http(s)://...`.
        experiment: Created when it does not exist.

    Raises:
        Exception: whatever MLflow raises when the tracker cannot be reached;
            see `reason_of`.
    """

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        self.tracking_uri = tracking_uri
        self._marks: set[str] = set()
        with _made_once(tracking_uri):
            self._client = prepare_client(tracking_uri)
            self.experiment_id = self._experiment(experiment)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        from mlflow.exceptions import MlflowException

        try:
            created = self._client.create_experiment(
                name,
                artifact_location=_artifacts_beside(self.tracking_uri),
                # MLflow's page opens on training runs, not on traces of language models.
                tags={"mlflow.experimentKind": "custom_model_development"},
            )
        except MlflowException:  # another process made it in between
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            created = found.experiment_id
        return str(created)

    def find(self, tags: Mapping[str, str]) -> str | None:
        """The first run with these tags (values as `identifier` gives them), or None."""
        return next(iter(self.find_all(tags)), None)

    def find_all(self, tags: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Every run with these tags, in the order of their creation: id to all tags.

        There is more than one where an answer was lost or came late, so that the request was
        made again, and where two processes began one study at the same moment.
        """
        quoted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        runs = self._client.search_runs(
            [self.experiment_id],
            quoted,
            max_results=AT_ONCE,
            order_by=[f"tags.`{CREATED_TAG}` ASC", "attributes.start_time ASC"],
        )
        return {str(run.info.run_id): dict(run.data.tags) for run in runs}

    def create(self, name: str, tags: Mapping[str, str], start_ms: int) -> str:
        """Create a run with status RUNNING; returns its id."""
        mark = f"{time.time_ns():020}"
        self._marks.add(mark)  # before the request, which may be done although nothing comes back
        created = {**tags, CREATED_TAG: mark}
        run = self._client.create_run(
            self.experiment_id,
            start_time=start_ms,
            tags={tag: redacted(value) for tag, value in created.items()},
            run_name=name,
        )
        return str(run.info.run_id)

    def made(self, tags: Mapping[str, str]) -> bool:
        """Whether a run with these tags was created here, by a request or by its repetition."""
        return tags.get(CREATED_TAG) in self._marks

    def discard(self, run_id: str) -> None:
        """Move a run to MLflow's deleted ones, from where it can be restored."""
        self._client.delete_run(run_id)

    def ping(self) -> None:
        """Ask for what costs the tracker nothing; raises where it does not answer."""
        self._client.get_experiment(self.experiment_id)

    def tags(self, run_id: str) -> dict[str, str]:
        """All tags of a run."""
        return dict(self._client.get_run(run_id).data.tags)

    def children(self, parent_id: str) -> dict[str, str]:
        """A parent's children: run id to status."""
        children = self._client.search_runs(
            [self.experiment_id], f"tags.mlflow.parentRunId = '{parent_id}'", max_results=1000
        )
        return {str(run.info.run_id): str(run.info.status) for run in children}

    def write_rows(self, run_id: str, rows: Iterable[MetricRow], tags: Mapping[str, str]) -> None:
        """Write metrics in batches, then the tags with the last of them."""
        from mlflow.entities import Metric

        iterator = iter(rows)
        batch = list(islice(iterator, ROWS_PER_BATCH))
        while batch:
            following = list(islice(iterator, ROWS_PER_BATCH))
            self._client.log_batch(
                run_id,
                metrics=[Metric(*row) for row in batch],
                tags=[] if following else _run_tags(tags.items()),
                synchronous=True,
            )
            batch = following

    def write_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Write params; the same value again is accepted, another one is refused."""
        from mlflow.entities import Param

        for part in _parts(list(params.items())):
            shown = [Param(key, redacted(value)) for key, value in part]
            self._client.log_batch(run_id, params=shown, synchronous=True)

    def write_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, replacing earlier values."""
        for part in _parts(list(tags.items())):
            self._client.log_batch(run_id, tags=_run_tags(part), synchronous=True)

    def write_data(self, run_id: str, data: DataIdentity) -> None:
        """Record the data set under the harness's own digest.

        MLflow's own digest covers 10,000 rows and its column holds 36
        characters: the whole root digest is a param and a tag.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=data.name,
            digest=data.root_digest[:DATASET_DIGEST_CHARACTERS],
            source_type="local",
            source=f'{{"root_digest": "{data.root_digest}"}}',
            profile=f'{{"train_images": {data.train_images}, "val_images": {data.val_images}}}',
        )
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, [context])])

    def write_file(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        self._client.log_artifact(run_id, str(file), folder)

    def logged_models(self, run_id: str) -> list[str]:
        """Ids of the models that a run has logged."""
        outputs = self._client.get_run(run_id).outputs
        return [str(one.model_id) for one in outputs.model_outputs] if outputs else []

    def create_logged_model(self, run_id: str, name: str) -> str:
        """Begin a model of a run; returns its id."""
        model = self._client.create_logged_model(
            self.experiment_id, name=name, source_run_id=run_id, model_type="classifier"
        )
        return str(model.model_id)

    def finish_logged_model(self, run_id: str, model_id: str, folder: Path, step: int) -> None:
        """Upload a model's files and make it the run's output."""
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        self._client.log_model_artifacts(model_id, str(folder))
        self._client.finalize_logged_model(model_id, LoggedModelStatus.READY)
        self._client.log_outputs(run_id, [LoggedModelOutput(model_id, step)])

    def write_model_rows(
        self, run_id: str, model_id: str, rows: Iterable[MetricRow], data: DataIdentity
    ) -> None:
        """Write metrics of a model, each with the data set that it was measured on."""
        from mlflow.entities import Metric

        digest = data.root_digest[:DATASET_DIGEST_CHARACTERS]
        metrics = [
            Metric(*row, model_id=model_id, dataset_name=data.name, dataset_digest=digest)
            for row in rows
        ]
        self._client.log_batch(run_id, metrics=metrics, synchronous=True)

    def set_running(self, run_id: str) -> None:
        """Mark a run as running again."""
        self._client.update_run(run_id, status="RUNNING")

    def set_end(self, run_id: str, status: str, end_ms: int) -> None:
        """Say how and when a run ended."""
        self._client.set_terminated(run_id, status, end_ms)


def reason_of(error: BaseException, tracking_uri: str) -> str:
    """Why the tracker could not be written to, in its own words and without a password."""
    return f"the tracker at {shown_uri(tracking_uri)} {words_of(error)}"


def sqlite_file(tracking_uri: str) -> Path | None:
    """The file of an SQLite address as SQLAlchemy reads it; None for another tracker."""
    if not tracking_uri.startswith("sqlite:"):
        return None
    from sqlalchemy.engine import make_url

    return Path(make_url(tracking_uri).database or "").resolve()


def _artifacts_beside(tracking_uri: str) -> str | None:
    """`mlartifacts` beside a SQLite file; None leaves the place to a server."""
    file = sqlite_file(tracking_uri)
    return None if file is None else (file.parent / "mlartifacts").as_uri()


@contextmanager
def _no_stray_folder(tracking_uri: str) -> Iterator[None]:
    """MLflow makes a folder of the address as it is written; where it is quoted, another one."""
    written = Path(tracking_uri.removeprefix("sqlite:///")).parent
    before = written.exists()
    try:
        yield
    finally:
        if "%" in tracking_uri and not before:
            with suppress(OSError):
                written.rmdir()


@contextmanager
def tables_whole(tracking_uri: str) -> Iterator[None]:
    """Hold a SQLite file while no other process makes its tables; others need no lock.

    The file is there as soon as they are begun, and MLflow makes them step by step.
    """
    file = sqlite_file(tracking_uri)
    if file is None:
        yield
        return
    with alone(file.with_name(f".{file.name}.lock")):
        yield


@contextmanager
def _made_once(tracking_uri: str) -> Iterator[None]:
    """Two runs that begin together would both make the tables of one new file."""
    file = sqlite_file(tracking_uri)
    if file is None:
        yield
        return
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    with tables_whole(tracking_uri), _no_stray_folder(tracking_uri):
        yield


def _run_tags(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(key, redacted(value)) for key, value in pairs]


def _parts(pairs: Sequence[tuple[str, str]]) -> Iterable[Sequence[tuple[str, str]]]:
    for start in range(0, len(pairs), PAIRS_PER_BATCH):
        yield pairs[start : start + PAIRS_PER_BATCH]
