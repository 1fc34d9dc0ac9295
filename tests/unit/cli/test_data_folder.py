"""A data folder that is not there is refused before anything is imported for it."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli.main import harness
from harness.cli.options import DataFolder
from harness.cli.table import ENTRIES
from harness.errors import DataError


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        DataFolder().convert(str(path), None, None)
    return str(caught.value)


def test_the_nearest_name_beside_it_is_offered(tmp_path: Path) -> None:
    (tmp_path / "fashion-mnist").mkdir()
    assert DataFolder().convert(str(tmp_path / "fashion-mnist"), None, None).is_dir()
    meant = f"did you mean {tmp_path / 'fashion-mnist'}?"
    assert meant in refused(tmp_path / "fashon-mnist")
    assert meant in refused(tmp_path / "fashon-mnist" / "data")


def test_without_one_the_folder_that_is_there_is_named(tmp_path: Path) -> None:
    assert f"the folder {tmp_path} holds no zzz" in refused(tmp_path / "zzz" / "data")
    assert "holds no zzz-nothing" in refused(Path("zzz-nothing"))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data.tar").write_bytes(b"")
    assert "a file, not a folder" in refused(tmp_path / "data.tar")


LOOKED_FOR_ELSEWHERE = {"doctor", "reproduce", "report", "bench input", "bench loop"}
"""A line of the doctor's report; packed files too; a page can do without; click's own check."""


def test_every_command_that_needs_data_looks_for_its_folder_first() -> None:
    late = set()
    for name in ENTRIES:
        command = harness.get_command(click.Context(harness), name)
        assert command is not None
        inner = getattr(command, "lazy", None) or getattr(command, "commands", None) or {"": None}
        for sub in inner:
            one = command.get_command(click.Context(command), sub) if sub else command
            for option in one.params:
                if option.name.startswith("data") and not isinstance(option.type, DataFolder):
                    late.add(f"{name} {sub}".strip())
    assert late == LOOKED_FOR_ELSEWHERE


@pytest.mark.parametrize(
    "words", [("run", "smoke", "--seed", "1"), ("evaluate", "--weights", "imagenet")]
)
def test_tensorflow_is_not_imported_for_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; "
        "from harness.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--data", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "there is no such folder of data" in done.stderr
