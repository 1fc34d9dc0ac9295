from pathlib import Path

import numpy as np
import pytest

from harness.errors import TrackerError
from harness.record.journal import read_journal
from harness.record.mlflow_mirror import default_tracking_uri, sync_run
from tests.record_samples import SampleRun, write_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning",  # SQLAlchemy 2.1 under MLflow 3.17
)


def test_the_network_is_logged_once_and_loads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    import mlflow

    from harness.workflows.log_model import log_model

    monkeypatch.chdir(tmp_path)
    folder = write_run(tmp_path / "study" / "seed-1", SampleRun())
    journal = read_journal(folder)
    uri = default_tracking_uri(tmp_path)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    with pytest.raises(TrackerError, match="no run"):
        log_model(model, tracking_uri=uri, run_id=journal.started.run_id, step=240)
    sync_run(journal, tracking_uri=uri, study="study")
    first, again = (
        log_model(model, tracking_uri=uri, run_id=journal.started.run_id, step=240)
        for _ in range(2)
    )
    assert first.is_new
    assert not again.is_new
    assert first.uri == again.uri
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    mlflow.set_tracking_uri(uri)
    try:
        loaded = mlflow.keras.load_model(first.uri)
        signature = mlflow.models.get_model_info(first.uri).signature
    finally:
        mlflow.set_tracking_uri(None)
    np.testing.assert_array_equal(loaded(images), model(images))
    assert signature.inputs.inputs[0].shape == (-1, 8, 8, 3)
    assert signature.outputs.inputs[0].shape == (-1, 10)
