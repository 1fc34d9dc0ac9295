"""Keras' own settings, which a file in the home folder and the environment would decide.

They are the same for every run of the harness and so no part of the numerics; what is in
force is read back before anything is computed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import MachineError

PINNED_HOME = Path(__file__).with_name("keras_home")
"""Holds `keras.json`, which Keras reads when it is imported; it is never written to."""

HOME_VARIABLE = "KERAS_HOME"
USER_HOME_VARIABLE = "HARNESS_KERAS_HOME"
"""Keeps the user's own `KERAS_HOME` for downloads, in children too."""
BACKEND_VARIABLE = "KERAS_BACKEND"
DROPPED = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")


@cache
def pinned() -> dict[str, Any]:
    """The settings by Keras' names."""
    settings: dict[str, Any] = json.loads((PINNED_HOME / "keras.json").read_bytes())
    return settings


def pin_keras() -> None:
    """Set what Keras reads from the environment when it is imported. Doing it again is free."""
    home = os.environ.get(HOME_VARIABLE)
    if home != str(PINNED_HOME):
        if home is not None:
            os.environ[USER_HOME_VARIABLE] = home
        os.environ[HOME_VARIABLE] = str(PINNED_HOME)
    os.environ[BACKEND_VARIABLE] = pinned()["backend"]
    for name in DROPPED:
        os.environ.pop(name, None)


def check_keras() -> None:
    """Read the settings back.

    Raises:
        MachineError: another program imported or changed Keras in this process before.
    """
    import keras

    found = {
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "backend": keras.config.backend(),
        "image_data_format": keras.config.image_data_format(),
        "dtype policy": keras.config.dtype_policy().name,
    }
    wanted = {**pinned(), "dtype policy": pinned()["floatx"]}
    other = [name for name in wanted if found[name] != wanted[name]]
    if other:
        raise MachineError(
            "; ".join(f"Keras has {name} = {found[name]}" for name in other),
            expected="; ".join(f"{name} = {wanted[name]}" for name in other),
            remedy="start the command in a process of its own",
        )


@contextmanager
def user_keras_home() -> Iterator[None]:
    """Let Keras keep downloads where the user's own programs find them."""
    from keras.src.backend import config

    before = config._KERAS_DIR  # noqa: SLF001 - Keras has no public way
    config._KERAS_DIR = _user_home()  # noqa: SLF001
    try:
        yield
    finally:
        config._KERAS_DIR = before  # noqa: SLF001


def _user_home() -> str:
    named = os.environ.get(USER_HOME_VARIABLE)
    if named:
        return named
    base = Path("~").expanduser() if os.environ.get("HOME") else Path("/tmp")  # noqa: S108 - as Keras
    return str((base if os.access(base, os.W_OK) else Path("/tmp")) / ".keras")  # noqa: S108
