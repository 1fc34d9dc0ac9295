"""A table of folders as people have them: what is taken, with all its images, and what is refused.

Each is made on the disk and in memory (tmpfs), whose folders give their entries
in other orders. Images are counted by a walk that knows nothing of the program.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.data.building import build
from harness.errors import HarnessError
from harness.sources.detection import find_folder, find_source
from harness.sources.source import Source
from tests.layouts import LAYOUTS, TARS, Layout, devkit, folders, hugging_face, tars

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
    assert all((source.root / path).is_file() for path in source.listing.paths.to_pylist())
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


def pack(archive: Path, folder: Path) -> None:
    """Pack a folder's content and remove it."""
    if archive.suffix == ".zip":
        shutil.make_archive(str(archive.with_suffix("")), "zip", folder)
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, path.name)
    shutil.rmtree(folder)


def packed_val(root: Path) -> None:
    folders(root)
    pack(root / "val.zip", root / "val")


def packed_classes(root: Path) -> None:
    folders(root)
    for folder in sorted((root / "train").iterdir()):
        pack(folder.with_suffix(".tar"), folder)


def packed_as_hugging_face(root: Path) -> None:
    hugging_face(root)
    pack(root / "train_images_0.tar.gz", root / "train")
    shutil.copy(root / "train_images_0.tar.gz", root / "train_images_1.tar.gz")
    pack(root / "val_images.tar.gz", root / "val")


def renamed_tar(root: Path) -> None:
    tars(root)
    devkit(root)
    (root / TARS[1]).rename(root / "ILSVRC2012_img_val (1).tar")


@pytest.mark.parametrize(
    "make",
    [packed_val, packed_classes, packed_as_hugging_face, renamed_tar],
    ids=lambda make: make.__name__,
)
def test_a_printed_command_works_as_printed(make: Callable[[Path], None], tmp_path: Path) -> None:
    """In a folder whose name a shell would part."""
    root = tmp_path / "my data"
    root.mkdir()
    make(root)
    with pytest.raises(HarnessError) as caught:
        find_source(root, tmp_path / "out")
    command = str(caught.value.remedy).rsplit(" is it, whole and not unpacked: ")[-1]
    command = command.split(": ", 1)[-1] if " are not read" in command else command
    if "unzip" in command and not shutil.which("unzip"):
        pytest.skip("this machine has no unzip")
    subprocess.run(["bash", "-ec", command], check=True, timeout=60)
    assert find_source(root, tmp_path / "out").kind in {"folder", "flat", "tars"}


def test_there_are_enough_layouts() -> None:
    assert len(LAYOUTS) >= 40
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
