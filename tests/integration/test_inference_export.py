"""Networks that leave: plain Keras and plain TensorFlow open them where this project is not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import WeightsError
from harness.models.build import build_model
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Model
from harness.weights.description import WeightsDescription
from harness.weights.export import export_network

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
GREY = Normalisation(channels="grey", mean=(0.286,), std=(0.353,), scale=255.0)
CLASSES = ("cat", "dog", "owl")

OPEN_ELSEWHERE = """
import sys
import numpy as np
pixels = np.load(sys.argv[2])
if sys.argv[1].endswith(".keras"):
    import keras
    network = keras.models.load_model(sys.argv[1])
else:
    import tensorflow as tf
    loaded = tf.saved_model.load(sys.argv[1])
    network = loaded.serve
np.save(sys.argv[3], np.asarray(network(pixels)))
mine = [name for name in sys.modules if name.split(".")[0] == "harness"]
assert not mine, mine
"""


def normalised(pixels: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """In float64, channel by channel, as the formula has it."""
    channels = {"rgb": (0, 1, 2), "bgr": (2, 1, 0), "grey": (0,)}[normalisation.channels]
    planes = [
        (pixels[..., source].astype(np.float64) / normalisation.scale - mean) / std
        for source, mean, std in zip(channels, normalisation.mean, normalisation.std, strict=True)
    ]
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize(
    ("name", "kind", "normalisation"),
    [
        ("a.keras", "keras", NORMALISATIONS["apm5"]),
        ("b.keras", "keras", GREY),
        ("saved", "saved-model", NORMALISATIONS["torch"]),
    ],
)
def test_a_network_is_opened_where_this_project_is_not(
    name: str, kind: str, normalisation: Normalisation, tmp_path: Path
) -> None:
    channels = normalisation.channel_count
    spec = Model(name="apm5-resnet18-v2", image_size=32)
    model = build_model(spec, classes=3, seed=1, channels=channels)
    known = WeightsDescription(
        normalisation=normalisation, class_order="folder", classes=3, class_names=CLASSES
    )
    beside = export_network(model, known, CLASSES, tmp_path / name, kind)  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 48, channels)).astype(np.float32)
    np.save(tmp_path / "pixels.npy", pixels)
    words = [str(tmp_path / name), str(tmp_path / "pixels.npy"), str(tmp_path / "out.npy")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", OPEN_ELSEWHERE, *words],
        check=False, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    logits = np.asarray(model(normalised(pixels, normalisation).astype(np.float32)), np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5, rtol=0)
    told = json.loads(beside.read_text())
    assert told["classes"] == list(CLASSES)
    assert told["normalisation"]["mean"] == list(normalisation.mean)
    if kind == "saved-model":
        with pytest.raises(WeightsError, match="something already"):
            export_network(model, known, CLASSES, tmp_path / name, "saved-model")
