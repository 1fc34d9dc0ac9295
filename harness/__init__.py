"""A reproducibility benchmark harness for ResNet on ImageNet in TensorFlow.

Public are `load_recipe`, `run`, `read_steps`, `judge` and `render`; see `docs/api.md`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.3.0"
_PUBLIC = ("judge", "load_recipe", "read_steps", "render", "run")


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: `harness --help` must be quick.

    By name: each room may read `__version__` here without depending on all others.
    """
    if name in _PUBLIC:
        return getattr(import_module("harness.api"), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Names for completion and `help`."""
    return [*globals(), *_PUBLIC]
