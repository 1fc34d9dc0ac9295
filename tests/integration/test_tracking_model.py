import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import TrackerError
from harness.models.build import build_model
from harness.models.plain import plain_copy
from harness.recipes.recipe import Model
from harness.record.journal import read_journal
from harness.runner.tracking import log_model
from harness.tracking.mirror import default_tracking_uri, sync_run
from tests.record_samples import SampleRun, write_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning",  # SQLAlchemy 2.1 under MLflow 3.17
)
ROUNDING = 1e-5

LOAD_ELSEWHERE = """
import sys
import numpy as np
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
network = mlflow.keras.load_model(sys.argv[2])
images = np.load(sys.argv[3])
np.save(sys.argv[4], np.asarray(network(images, training=False)))
mine = [name for name in sys.modules if name.split(".")[0] == "harness"]
assert not mine, mine
"""


def trained(name: str) -> Any:
    """A catalogue network whose batch normalisations are far from the identity."""
    model = build_model(Model(name=name, image_size=32), classes=10, seed=2)
    generator = np.random.default_rng(11)
    for variable in model.variables:
        if "bn" in variable.path:
            spread = generator.random(variable.shape) * 0.2
            positive = variable.path.endswith(("gamma", "moving_variance"))
            variable.assign(spread + (0.9 if positive else -0.1))
    return model


def images() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, 33, 32, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "name",
    ["apm5-resnet18-v1", "apm5-resnet18-v2", "he2015-resnet34-a", "keras-resnet50"],
)
def test_a_copy_of_keras_own_layers_gives_the_same_outputs(name: str) -> None:
    model = trained(name)
    copy = plain_copy(model)
    layers = list(copy._flatten_layers())
    assert {type(layer).__module__.split(".")[0] for layer in layers} == {"keras"}
    names = [[layer.name for layer in one.layers[1:]] for one in (copy, model)]
    assert names[0] == names[1]
    expected = np.asarray(model(images(), training=False))
    found = np.asarray(copy(images(), training=False))
    scale = float(np.abs(expected).max())
    assert float(np.abs(found - expected).max()) <= ROUNDING * max(1.0, scale)


def test_a_real_network_is_logged_once_and_loads_where_this_project_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    folder = write_run(tmp_path / "study" / "seed-1", SampleRun())
    journal = read_journal(folder)
    uri = default_tracking_uri(tmp_path)
    model = trained("apm5-resnet18-v2")
    with pytest.raises(TrackerError, match=r"no run(.|\n)*harness export"):
        log_model(model, journal, tracking_uri=uri)
    sync_run(journal, tracking_uri=uri, study="study")
    first, again = (log_model(model, journal, tracking_uri=uri) for _ in range(2))
    assert (first.is_new, again.is_new) == (True, False)
    assert first.uri == again.uri
    logged = mlflow.MlflowClient(uri).get_logged_model(first.uri.rpartition("/")[2])
    assert logged.name == "smoke-seed-1"
    measured = {(one.key, one.value, one.dataset_name) for one in logged.metrics}
    assert ("ten_crop/top1_accuracy", 0.98, "digits") in measured
    np.save(tmp_path / "images.npy", images())
    words = [uri, first.uri, str(tmp_path / "images.npy"), str(tmp_path / "logits.npy")]
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ELSEWHERE, *words],
        check=False, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = np.asarray(model(images(), training=False))
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, atol=ROUNDING, rtol=0)
    mlflow.set_tracking_uri(uri)
    try:
        signature = mlflow.models.get_model_info(first.uri).signature
    finally:
        mlflow.set_tracking_uri(None)
    assert signature.inputs.inputs[0].shape == (-1, -1, -1, 3)
    assert signature.outputs.inputs[0].shape == (-1, 10)
