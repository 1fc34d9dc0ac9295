"""Where the optional shared sample data lies; tests skip in words without it."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SHARED_DIR", Path(__file__).parents[2] / "shared"))


def shared(relative: str) -> Path:
    """A path below the shared data, or a skip that says what is missing."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"shared sample data {relative} is not beside this checkout")
    return path
