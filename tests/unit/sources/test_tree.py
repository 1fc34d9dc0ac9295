"""A folder's listing: quick and slow storage, by the test's own clock, give the same."""

import itertools
import threading
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.sources.folders.tree import SLOW_FILE_S, read_tree

FOLDERS = [f"class-{i}" for i in range(12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(FOLDERS):
        (tmp_path / name).mkdir()
        for n in range(i + 1):
            (tmp_path / name / f"{n}.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path


@pytest.mark.parametrize("file_s", [SLOW_FILE_S / 10, SLOW_FILE_S * 1000], ids=["quick", "slow"])
def test_slow_storage_is_listed_at_once_and_gives_the_same(folder: Path, file_s: float) -> None:
    listed: list[int] = []
    is_slow = file_s > SLOW_FILE_S
    # The first two listing threads wait for each other: a pool gives an idle thread the next
    # folder, so one thread that is quick enough could list all.
    meeting, lock = threading.Barrier(2), threading.Lock()
    met: set[str] = set()

    def on_files(count: int) -> None:
        listed.append(count)
        name = threading.current_thread().name
        with lock:
            is_one_of_two = name.startswith("listing") and len(met) < 2
            if is_one_of_two:
                met.add(name)
        if is_one_of_two and is_slow:
            meeting.wait(timeout=60)

    # The sample holds 1 + 10 + 11 images: folders by name.
    clock = itertools.count(step=file_s * 22)
    tree = read_tree(folder, on_files, now=lambda: float(next(clock)))
    assert [f.name for f in tree.folders] == sorted(FOLDERS)
    assert tree.count == sum(listed) == sum(range(1, 13))
    assert {len(f.images) for f in tree.folders} == set(range(1, 13))
    assert len(met) == (2 if is_slow else 1)


@pytest.mark.parametrize("file_s", [0.0, 1.0], ids=["quick", "slow"])
def test_an_error_in_a_folder_names_it(folder: Path, file_s: float) -> None:
    (folder / "class-7" / "gone").symlink_to(folder / "nowhere")
    (folder / "class-7" / "around").symlink_to(folder)
    clock = itertools.count(step=file_s * 100)
    with pytest.raises(DataError, match="class-7"):
        read_tree(folder, now=lambda: float(next(clock)))
