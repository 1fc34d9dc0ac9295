"""A wheel of the project works from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROBE = """
import sys
from pathlib import Path
import harness
from harness.baselines.loading import baselines_folder
assert Path(harness.__file__).is_relative_to(sys.argv[1]), harness.__file__
print(sorted(path.name for path in baselines_folder().glob("*.toml")))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as the declared build backend makes it."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return next(out.glob("*.whl"))


def test_a_wheel_holds_the_baselines_and_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    committed = {path.name for path in (ROOT / "baselines").glob("*.toml")}
    inside = {Path(n).name for n in names if n.startswith("harness/_baselines/")}
    assert committed
    assert committed <= inside
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "runs/", "reports/"))]


def test_an_installed_wheel_finds_its_baselines_from_any_folder(
    wheel: Path, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-I", "-m", "pip", "install", "-q", "--no-deps", "--no-index",
         "--target", str(target), str(wheel)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(target)],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "target.toml" in done.stdout
