"""Checkpoints are whole or refused, and the one before is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.errors import CheckpointError
from harness.numerics.fingerprint import array_fingerprint
from harness.training.checkpoint import (
    INDEX_FILE,
    STATE_FILE,
    folder_name,
    list_checkpoints,
    read_checkpoint,
    read_latest,
    remove_old,
    write_checkpoint,
)

RUN = "0123456789abcdef"


def arrays(step: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(step)
    return {
        "weights/conv0/kernel": generator.normal(size=(3, 3, 3, 4)).astype(np.float32),
        "slots/conv0/kernel": generator.normal(size=(3, 3, 3, 4)).astype(np.float32),
        "loss_scale": np.float32(1),
        "scale_age": np.int32(0),
    }


def write(folder: Path, step: int, run: str = RUN) -> Path:
    return write_checkpoint(folder, step, run, arrays(step), lambda: None).folder


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = write_checkpoint(tmp_path, 7, RUN, arrays(7), lambda: None)
    loaded = read_checkpoint(written.folder, RUN)
    assert loaded.step == 7
    assert loaded.arrays.keys() == arrays(7).keys()
    for name, array in arrays(7).items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == array.dtype
        assert written.tensor_fingerprints[name] == array_fingerprint(array)
    assert written.bytes == (written.folder / STATE_FILE).stat().st_size


@pytest.mark.parametrize("name", [STATE_FILE, INDEX_FILE])
def test_a_flipped_bit_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, 7)
    path = folder / name
    raw = path.read_bytes()
    generator = np.random.default_rng(0)
    places = generator.choice(len(raw), size=min(60, len(raw)), replace=False)
    for place in places:
        flipped = bytearray(raw)
        flipped[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            read_checkpoint(folder, RUN)
    path.write_bytes(raw)
    assert read_checkpoint(folder, RUN).step == 7


@pytest.mark.parametrize("name", [STATE_FILE, INDEX_FILE])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.999])
def test_a_torn_file_is_refused(tmp_path: Path, name: str, fraction: float) -> None:
    folder = write(tmp_path, 7)
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[: int(len(raw) * fraction)])
    with pytest.raises(CheckpointError):
        read_checkpoint(folder, RUN)


@pytest.mark.parametrize("name", [STATE_FILE, INDEX_FILE])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, 7)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match="not readable"):
        read_checkpoint(folder, RUN)


@pytest.mark.parametrize("document", ["[]", "3", "{}", '{"index": 3, "index_sha256": 1}', "null"])
def test_an_index_of_another_shape_is_refused(tmp_path: Path, document: str) -> None:
    folder = write(tmp_path, 7)
    (folder / INDEX_FILE).write_text(document)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder, RUN)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_checkpoint(tmp_path, 1, RUN, {"a": np.array([{}])}, lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="belongs to run another1"):
        read_checkpoint(write(tmp_path, 7, "another1"), RUN)


def tear(folder: Path) -> None:
    path = folder / STATE_FILE
    path.write_bytes(path.read_bytes()[:-9])


def relabel(folder: Path) -> None:
    path = folder / INDEX_FILE
    document = json.loads(path.read_bytes())
    document["index"]["step"] += 1
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("damage", [tear, relabel])
def test_the_one_before_a_damaged_one_is_found_and_said(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    for step in (3, 6, 9):
        write(tmp_path, step)
    damage(tmp_path / folder_name(9))
    loaded, damaged = read_latest(tmp_path, RUN)
    assert loaded is not None
    assert loaded.step == 6
    assert len(damaged) == 1
    assert damaged[0].startswith("step-0000000009: ")


def test_a_checkpoint_ahead_of_the_journal_is_passed_over(tmp_path: Path) -> None:
    for step in (3, 6):
        write(tmp_path, step)
    loaded, damaged = read_latest(tmp_path, RUN, at_most=5)
    assert loaded is not None
    assert loaded.step == 3
    assert damaged == ("step-0000000006: the journal ends at step 5",)


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert read_latest(tmp_path / "missing", RUN) == (None, ())


def test_nothing_appears_when_the_journal_cannot_be_synced(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_checkpoint(tmp_path, 3, RUN, arrays(3), fail)
    assert list(tmp_path.iterdir()) == []


def test_files_are_whole_before_the_journal_is_synced_and_named_after(tmp_path: Path) -> None:
    seen: list[tuple[list[str], list[Path]]] = []

    def sync() -> None:
        (temporary,) = tmp_path.glob(".step-*.tmp")
        seen.append((sorted(p.name for p in temporary.iterdir()), list_checkpoints(tmp_path)))

    write_checkpoint(tmp_path, 3, RUN, arrays(3), sync)
    assert seen == [([INDEX_FILE, STATE_FILE], [])]


def test_a_leftover_of_a_killed_process_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".step-0000000003.tmp").mkdir()
    assert read_latest(tmp_path, RUN) == (None, ())
    write(tmp_path, 3)
    assert [p.name for p in tmp_path.iterdir()] == [folder_name(3)]


def test_the_newest_and_the_chosen_stay(tmp_path: Path) -> None:
    for step in range(1, 9):
        write(tmp_path, step)
    (tmp_path / ".step-0000000002.tmp").mkdir()
    remove_old(tmp_path, 3, lambda step: step % 4 == 0, newest=8)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [folder_name(s) for s in (4, 6, 7, 8)]


@pytest.mark.parametrize("name", ["{}-backup", "{}.old", "{}.tar", "step-", "step-7", "step-all"])
def test_a_copy_under_another_name_is_no_checkpoint_and_stays(tmp_path: Path, name: str) -> None:
    for step in range(1, 6):
        write(tmp_path, step)
    copy = tmp_path / name.format(folder_name(5))
    shutil.copytree(tmp_path / folder_name(5), copy)
    remove_old(tmp_path, 2, lambda _step: False, newest=5)
    assert [p.name for p in list_checkpoints(tmp_path)] == [folder_name(4), folder_name(5)]
    assert copy.is_dir()
    loaded, passed_over = read_latest(tmp_path, RUN)
    assert loaded is not None
    assert loaded.folder.name == folder_name(5)
    assert passed_over == ()


def test_an_old_checkpoint_that_cannot_be_removed_ends_nothing(tmp_path: Path) -> None:
    """A file where a folder is expected cannot be removed as one; it goes when it can."""
    for step in range(1, 4):
        write(tmp_path, step)
    shutil.rmtree(tmp_path / folder_name(1))
    (tmp_path / folder_name(1)).touch()
    remove_old(tmp_path, 1, lambda _step: False, newest=3)
    assert [p.name for p in list_checkpoints(tmp_path)] == [folder_name(1), folder_name(3)]


def test_those_that_a_resume_passed_over_take_no_place_of_what_it_writes(tmp_path: Path) -> None:
    """Damaged, ahead of the journal or of a run before: they are newer by name alone."""
    for step in (2, 3, 4, 5, 20, 30, 40):
        write(tmp_path, step)
    remove_old(tmp_path, 3, lambda _step: False, newest=5)
    left = [p.name for p in sorted(tmp_path.iterdir())]
    assert left == [folder_name(s) for s in (3, 4, 5, 20, 30, 40)]
