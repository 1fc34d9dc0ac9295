"""An image that vanishes or changes while a run lasts is named; restored, the run goes on."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.command import Command, bits_of, check_counted_once, wait_for_step
from tests.faults.conftest import Reference, Row


def vanish(path: Path) -> None:
    path.unlink()


def change(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-10] ^= 1
    path.write_bytes(raw)


@pytest.mark.slow
@pytest.mark.parametrize("harm", [vanish, change])
def test_image(
    harm: Callable[[Path], None],
    digits: Path,
    tmp_path: Path,
    uninterrupted: Reference,
    table: list[Row],
) -> None:
    data = tmp_path / "digits"
    shutil.copytree(digits, data)
    image = sorted(data.glob("train/2/*.jpg"))[3]
    raw = image.read_bytes()
    command = Command(data, tmp_path / "runs")
    process = command.start()
    assert wait_for_step(command, process, 3)
    harm(image)
    ended = command.finish(process)
    assert ended.exit_code == 2, ended.stderr
    assert image.name in ended.stderr
    assert "Traceback" not in ended.stderr
    last = command.journal().events[-1]
    assert (last.event, last.reason) == ("interrupted", "error")
    table.append(Row(f"image: {harm.__name__}", "after step 3", "named", None, ended.exit_code))

    image.write_bytes(raw)
    shutil.copystat(sorted(digits.glob("train/2/*.jpg"))[3], image)
    ended = command.finish()
    equal = ended.exit_code == 0 and bits_of(command.journal()) == uninterrupted.bits
    table.append(Row("image restored", "same command", "went on", equal, ended.exit_code))
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    assert equal
