"""The words at the end of a job reach the installation that did it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.system.own_command import near, own_command


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "clone of mine" / ".tox" / "smoke" / "bin" / "harness"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho reached\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("inside", [True, False])
def test_the_words_can_be_pasted_where_the_command_was_given(program: Path, inside: bool) -> None:
    here = program.parents[3] if inside else program.parents[4] / "other"
    here.mkdir(exist_ok=True)
    words = own_command(str(program), here, path="/nowhere")
    assert words.startswith(".tox") is inside
    done = subprocess.run(["/bin/sh", "-c", words], cwd=here, capture_output=True, check=True)
    assert done.stdout == b"reached\n"


def test_what_the_shell_finds_needs_no_path(program: Path) -> None:
    path = os.pathsep.join((str(program.parent), "/bin"))
    assert own_command(str(program), program.parent, path=path) == "harness"


def test_a_module_is_called_as_one(tmp_path: Path) -> None:
    words = own_command(str(tmp_path / "__main__.py"), tmp_path)
    assert words == f"{sys.executable} -m harness"


def test_what_only_tox_finds_is_named_by_its_path(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under tox the programs of its environment are found; in the shell outside they are not."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(program.parent), "/bin")))
    monkeypatch.delenv("TOX_ENV_NAME", raising=False)
    assert own_command(str(program), program.parents[3]) == "harness"
    monkeypatch.setenv("TOX_ENV_NAME", "smoke")
    assert own_command(str(program), program.parents[3]) == ".tox/smoke/bin/harness"


def test_paths_are_near_where_they_can_be(tmp_path: Path) -> None:
    assert near(tmp_path / "runs", tmp_path) == Path("runs")
    assert near(tmp_path, tmp_path / "runs") == tmp_path
    assert near(Path("runs"), tmp_path) == Path("runs")
