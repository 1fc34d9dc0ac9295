"""Room on the disk is checked before anything is unpacked."""

import os
from pathlib import Path

import pytest

from harness import files
from harness.errors import MachineError
from harness.files import MEAN_IMAGE_BYTES, check_disk_space


def disk(free_bytes: int, free_files: int) -> os.statvfs_result:
    block = 4096
    blocks = free_bytes // block
    return os.statvfs_result(
        (block, block, blocks, blocks, blocks, 10**6, 10**6, free_files, 0, 255)
    )


def test_room_is_enough_here(tmp_path: Path) -> None:
    check_disk_space(tmp_path, 1)
    check_disk_space(tmp_path, -1)  # everything is unpacked already


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "fits"),
    [
        (10**9, 10**6, False),
        (155 * 10**9, 10**7, False),
        (160 * 10**9, 10**7, True),
        (10**12, 1000, False),
    ],
    ids=["too few bytes", "no room for the last blocks", "enough", "too few files"],
)
def test_archives_need_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, free_files: int, fits: bool
) -> None:
    monkeypatch.setattr(files.os, "statvfs", lambda _folder: disk(free_bytes, free_files))
    if fits:
        check_disk_space(tmp_path, 155 * 10**9)
        return
    with pytest.raises(MachineError) as raised:
        check_disk_space(tmp_path, 155 * 10**9)
    assert "--out" in raised.value.remedy
    assert f"{155 * 10**9 // MEAN_IMAGE_BYTES:,} files" in raised.value.expected


def test_small_images_take_a_block_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """70,000 of 900 bytes: 63 MB of content, 287 MB on the disk."""
    monkeypatch.setattr(files.os, "statvfs", lambda _folder: disk(280 * 10**6, 10**6))
    check_disk_space(tmp_path, 63 * 10**6)
    with pytest.raises(MachineError, match=r"0\.3 GB of images in about 70,000 files"):
        check_disk_space(tmp_path, 63 * 10**6, 70_000)
