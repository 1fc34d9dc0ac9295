"""A prepared folder and its images are moved, together and apart."""

import json
import shutil
from pathlib import Path

import pytest

from harness.data.manifest import DESCRIPTION, MANIFEST
from harness.data.opening import load
from harness.data.prepare import prepare
from harness.errors import DataError, MachineError
from harness.sources.detection import Told
from tests.generated_sources import write_folder, write_tars


def test_images_below_the_folder_are_named_relative_to_it(tmp_path: Path) -> None:
    source, labels = write_tars(tmp_path / "in")
    prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert json.loads((tmp_path / "out" / DESCRIPTION).read_text())["images_root"] == "images"
    shutil.rmtree(source)
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    data = load(tmp_path / "elsewhere")
    assert all(Path(path).is_file() for path in (*data.train.paths, *data.val.paths))


@pytest.mark.parametrize("inside", ["out", "data/out", "out/deep"])
def test_folder_and_images_that_were_moved_together_are_found(tmp_path: Path, inside: str) -> None:
    """The prepared folder beside, inside and above the images; old folders hold absolute names."""
    base = tmp_path / "base"
    images = base / "out" / "deep" / "data" if inside == "out/deep" else base / "data"
    write_folder(images)
    prepare(images, base / inside)
    description = json.loads((base / inside / DESCRIPTION).read_text())
    description["images_root"] = str(images)
    (base / inside / DESCRIPTION).write_text(json.dumps(description))
    base.rename(tmp_path / "elsewhere")
    data = load(tmp_path / "elsewhere" / inside)
    assert all(Path(path).is_file() for path in (*data.train.paths, *data.val.paths))


def test_images_that_were_moved_alone_are_told_with_what_to_do(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    first = prepare(root, tmp_path / "out").description
    moved = root.rename(tmp_path / "other")
    with pytest.raises(DataError, match=r"15 of 15 images .* not where they were") as caught:
        load(tmp_path / "out")
    assert f"--out {tmp_path / 'out'}" in str(caught.value.remedy)
    again = prepare(moved, tmp_path / "out").description
    assert again.identity.root_digest == first.identity.root_digest
    assert Path(load(tmp_path / "out").train.paths[0]).is_file()


def test_what_did_not_change_may_lie_where_nobody_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path / "in")
    first = prepare(root, tmp_path / "out")
    written = (tmp_path / "out" / MANIFEST).stat().st_mtime_ns
    # Permissions do not bind the superuser, who may be running this.
    monkeypatch.setattr("harness.files.os.access", lambda *_: False)
    assert prepare(root, tmp_path / "out").description == first.description
    assert (tmp_path / "out" / MANIFEST).stat().st_mtime_ns == written
    assert len(load(tmp_path / "out").train) == 9
    next(root.rglob("*.JPEG")).unlink()
    with pytest.raises(MachineError, match="nothing can be written"):
        prepare(root, tmp_path / "out")
