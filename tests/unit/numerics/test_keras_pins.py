"""Keras' own settings: those of the harness, whatever a file or the environment says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from harness.errors import MachineError
from harness.numerics.keras_pins import check_keras, pinned
from harness.system.children import child_environment

HOSTILE = {
    "floatx": "float16",
    "epsilon": 0.001,
    "backend": "jax",
    "image_data_format": "channels_first",
}
IMPORT = """
import json, os
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.recipes.recipe import Numerics, Precision
numerics = resolved(Numerics())
set_import_flags(numerics)
pin_runtime(numerics, Precision())
import keras
from harness.numerics.keras_pins import user_keras_home
from keras.src.backend import config
with user_keras_home():
    downloads = config.keras_home()
print(json.dumps([keras.config.floatx(), keras.config.epsilon(), keras.config.backend(),
    keras.config.image_data_format(), downloads, sorted(os.listdir(config.keras_home()))]))
"""


def test_a_hostile_home_changes_nothing_and_stays_the_place_of_downloads(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(HOSTILE))
    environ = {
        "KERAS_HOME": str(tmp_path),
        "KERAS_BACKEND": "torch",
        "KERAS_MAX_EPOCHS": "no number",
        "KERAS_NNX_ENABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        env=child_environment({**os.environ, **environ}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *settings, downloads, files = json.loads(done.stdout)
    assert settings == ["float32", 1e-07, "tensorflow", "channels_last"]
    assert downloads == str(tmp_path)
    assert files == ["keras.json"]
    assert json.loads((tmp_path / "keras.json").read_text()) == HOSTILE


def test_settings_of_another_program_are_refused() -> None:
    check_keras()
    before = keras.config.epsilon()
    keras.config.set_epsilon(1e-3)
    try:
        with pytest.raises(MachineError, match=r"Keras has epsilon = 0.001") as told:
            check_keras()
        assert f"epsilon = {pinned()['epsilon']}" in str(told.value)
    finally:
        keras.config.set_epsilon(before)
