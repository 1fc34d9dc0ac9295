"""No room, no right to write, no folder: told at once, nothing half-written left looking whole."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.data import manifest_rows
from harness.data.manifest import DESCRIPTION, MANIFEST
from harness.data.prepare import prepare
from harness.errors import MachineError
from harness.sources.detection import Told
from tests.generated_sources import write_folder, write_tars

FULL = OSError(28, "No space left on device")


def files_left(out: Path) -> list[str]:
    """Names of files that look whole or were left behind half-written."""
    return [
        p.name for p in out.rglob("*") if p.suffix == ".tmp" or p.name in {MANIFEST, DESCRIPTION}
    ]


def test_a_full_disk_while_images_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, labels = write_tars(tmp_path / "in")
    real = Path.write_bytes

    def full(path: Path, raw: bytes) -> int:
        if "n01443537_1" in path.name:
            real(path, raw[:10])
            raise FULL
        return real(path, raw)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MachineError, match="No space left"):
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert not files_left(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*n01443537_1*"))


@pytest.mark.parametrize("file", ["part", MANIFEST, DESCRIPTION])
def test_a_full_disk_while_rows_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    root = write_folder(tmp_path / "in")
    monkeypatch.setattr(manifest_rows, "PART_ROWS", 4)
    real_table, real_text = pq.write_table, Path.write_text

    def table(rows: object, path: Path, **options: object) -> None:
        if file in path.name:
            path.write_bytes(b"half")
            raise FULL
        real_table(rows, path, **options)

    def text(path: Path, content: str, **options: str) -> int:
        if file in path.name:
            real_text(path, content[:10], **options)
            raise FULL
        return real_text(path, content, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", table)
        patch.setattr(Path, "write_text", text)
        with pytest.raises(MachineError, match="No space left") as caught:
            prepare(root, tmp_path / "out")
    assert file in str(caught.value.where)
    assert files_left(tmp_path / "out") == ([MANIFEST] if file == DESCRIPTION else [])
    prepare(root, tmp_path / "out")
    assert sorted(files_left(tmp_path / "out")) == [DESCRIPTION, MANIFEST]


@pytest.mark.parametrize("place", ["below a file", "not writable"])
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    root = write_folder(tmp_path / "in")
    monkeypatch.setattr(manifest_rows, "inspect_all", lambda *_, **__: pytest.fail("was read"))
    if place == "below a file":
        (tmp_path / "file").write_text("x")
        out = tmp_path / "file" / "out"
    else:
        out = tmp_path / "out"
        out.mkdir()
        # Permissions do not bind the superuser, who may be running this.
        monkeypatch.setattr("harness.files.os.access", lambda *_: False)
    with pytest.raises(MachineError, match=r"here: (Not a directory|Permission denied)"):
        prepare(root, out)
