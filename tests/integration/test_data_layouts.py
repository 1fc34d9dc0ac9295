"""A table of folders as people have them: what is taken, with all its images, and what is refused.

Each is made on the disk and in memory (tmpfs), whose folders give their entries
in other orders. Images are counted by a walk that knows nothing of the program.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.data.building import build
from harness.errors import HarnessError
from harness.sources.detection import find_folder, find_source
from harness.sources.source import Source
from tests.layouts import LAYOUTS, Layout

MEMORY = Path("/dev/shm")
PICTURE_MARKS = (b"\xff\xd8", b"\x89PNG")
ACCEPTED = [layout for layout in LAYOUTS if layout.kind]
REFUSED = [layout for layout in LAYOUTS if not layout.kind]


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty folder on the disk or in memory."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access(MEMORY, os.W_OK):
        pytest.skip("this machine has no file system in memory at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


def walked(root: Path, leave: tuple[str, ...]) -> int:
    """Files below a folder that begin as a picture does."""
    count = 0
    for folder, inside, files in os.walk(root, followlinks=True):
        inside[:] = [name for name in inside if name not in leave]
        for name in files:
            with (Path(folder) / name).open("rb") as file:
                count += file.read(4).startswith(PICTURE_MARKS)
    return count


@pytest.mark.parametrize("layout", ACCEPTED, ids=lambda layout: layout.name)
def test_a_folder_is_taken_with_all_its_images(layout: Layout, place: Path) -> None:
    root = place / "data"
    root.mkdir()
    layout.make(root)
    source = find_source(root / layout.given, place / "out", layout.told(root))
    assert source.kind == layout.kind
    if not isinstance(source, Source):
        assert source.origin.is_relative_to(root)
        with pytest.raises(HarnessError, match="packed"):
            find_folder(root / layout.given)
        return
    assert source.count == sum(walked(_inside(root, part), layout.leave) for part in layout.images)
    for name in layout.unused:
        assert name in " ".join(source.notes)
    assert bool(source.notes) == bool(layout.unused)


def _inside(root: Path, part: str) -> Path:
    found = root / part
    return found if found.exists() else next(root.glob(f"*/{part}"))


@pytest.mark.parametrize("layout", REFUSED, ids=lambda layout: layout.name)
def test_a_folder_is_refused_with_what_to_do(layout: Layout, place: Path) -> None:
    root = place / "data"
    root.mkdir()
    layout.make(root)

    def take() -> None:
        build(find_source(root / layout.given, place / "out", layout.told(root)), place / "out")

    with pytest.raises(HarnessError) as caught:
        take()
    assert re.search(layout.refusal, str(caught.value)), caught.value
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_every_file_system_gives_the_same_answer(tmp_path: Path) -> None:
    """The orders of entries differ; sources and messages must not."""
    if not os.access(MEMORY, os.W_OK):
        pytest.skip("this machine has no file system in memory at /dev/shm")
    with tempfile.TemporaryDirectory(dir=MEMORY) as memory:
        for number, layout in enumerate(LAYOUTS):
            answers = [_answer(layout, base / str(number)) for base in (tmp_path, Path(memory))]
            assert answers[0] == answers[1], layout.name


def _answer(layout: Layout, root: Path) -> object:
    root.mkdir()
    layout.make(root)
    try:
        source = find_source(root / layout.given, root / "out", layout.told(root))
    except HarnessError as error:
        return str(error).replace(str(root), "")
    if not isinstance(source, Source):
        return source.kind
    return source.kind, source.listing.ids(source.classes).to_pylist(), source.notes


def test_there_are_enough_layouts() -> None:
    assert len(LAYOUTS) >= 40
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
