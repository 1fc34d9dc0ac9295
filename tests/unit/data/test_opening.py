"""Digits and manifests: fixed content, recognised, checked, and made again when files change."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.manifest import DESCRIPTION, MANIFEST, read_manifest, root_digest
from harness.data.opening import find_dataset, open_dataset, open_found
from harness.errors import DataError
from harness.sources.detection import find_folder
from harness.sources.digits import ROOT_DIGEST, digit_files, enlarge, write_digits
from tests.generated_sources import encoded
from tests.parity.generated_images import jpeg_bytes, picture


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("d") / "digits"
    write_digits(folder)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in ("apple", "pear"):
            path = tmp_path / "fruit" / split / name / "1.jpg"
            path.parent.mkdir(parents=True)
            path.write_bytes(jpeg_bytes(picture(20, 30, len(name))))
    return tmp_path / "fruit"


@pytest.mark.parametrize("once_more", range(5))
def test_jobs_that_begin_together_make_one_manifest(
    small: Path, tmp_path: Path, once_more: int
) -> None:
    manifests, together = tmp_path / f"manifests-{once_more}", threading.Barrier(6)

    def root(_job: int) -> str:
        together.wait(30)
        return open_dataset(small, manifests=manifests).identity.root_digest

    with ThreadPoolExecutor(6) as jobs:
        assert len(set(jobs.map(root, range(6)))) == 1


def test_digits_are_recognised(digits_folder: Path, tmp_path: Path) -> None:
    data = open_dataset(digits_folder, manifests=tmp_path)
    identity = data.identity
    assert (identity.kind, identity.name) == ("digits", "digits")
    assert identity.root_digest == ROOT_DIGEST
    assert (len(data.train), len(data.val)) == (1_442, 355)
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.val.labels).min() >= 34
    assert set(data.train.paths).isdisjoint(data.val.paths)
    one_less = Path(data.train.paths[0])
    raw = one_less.read_bytes()
    one_less.unlink()
    assert open_dataset(digits_folder, manifests=tmp_path).identity.kind == "other"
    write_digits(digits_folder)
    assert one_less.read_bytes() == raw
    assert open_dataset(digits_folder, manifests=tmp_path).identity.kind == "digits"


def test_channels_of_the_stored_files_are_told(small: Path, tmp_path: Path) -> None:
    assert open_dataset(small, manifests=tmp_path).channels == 3
    for path in (small / "train").rglob("*.jpg"):
        path.write_bytes(jpeg_bytes(picture(20, 30, 1).convert("L")))
    data = open_dataset(small, manifests=tmp_path)
    assert (data.train.channels, data.val.channels, data.channels) == (1, 3, "mixed")
    next((small / "val").rglob("*.jpg")).write_bytes(jpeg_bytes(picture(20, 30).convert("L")))
    assert open_dataset(small, manifests=tmp_path).val.channels == "mixed"
    for path in (small / "val").rglob("*.jpg"):
        path.write_bytes(jpeg_bytes(picture(20, 30).convert("L")))
    assert open_dataset(small, manifests=tmp_path).channels == 1
    for path in small.rglob("*.jpg"):
        path.write_bytes(encoded(picture(20, 30).convert("LA"), "PNG"))
    assert open_dataset(small, manifests=tmp_path).channels == 3, "the converted copies are RGB"


def test_writing_digits_again_touches_nothing(digits_folder: Path) -> None:
    times = {p: p.stat().st_mtime_ns for p in digits_folder.rglob("*.jpg")}
    write_digits(digits_folder)
    assert times == {p: p.stat().st_mtime_ns for p in digits_folder.rglob("*.jpg")}
    assert len(times) == len({name for name, _ in digit_files()}) == 1_797


def test_a_digit_is_enlarged_smoothly_in_a_black_margin() -> None:
    strokes = np.zeros((8, 8))
    strokes[3, 4] = 16
    image = enlarge(strokes)
    assert image.shape == (40, 40)
    assert not image[:4].any()
    assert not image[:, -4:].any()
    # Half-pixel centers: output 13 and 14 stand 1/8 from source pixel 3.
    assert image[4 + 13, 4 + 17] == image[4 + 14, 4 + 18] == round(255 * (7 / 8) ** 2)


def test_a_manifest_is_kept_and_made_again_when_a_file_changes(small: Path, tmp_path: Path) -> None:
    first = open_dataset(small, manifests=tmp_path / "m")
    (kept,) = (tmp_path / "m").iterdir()
    written = (kept / MANIFEST).stat().st_mtime_ns
    assert open_dataset(small, manifests=tmp_path / "m").identity == first.identity
    assert (kept / MANIFEST).stat().st_mtime_ns == written
    changed = small / "train" / "apple" / "1.jpg"
    changed.write_bytes(jpeg_bytes(picture(20, 30, 77)))
    os.utime(changed, ns=(1, 1))
    again = open_dataset(small, manifests=tmp_path / "m")
    assert again.identity.root_digest != first.identity.root_digest


def test_the_root_covers_ids_classes_and_contents_only(small: Path, tmp_path: Path) -> None:
    one = open_dataset(small, manifests=tmp_path / "a").identity
    moved = small.rename(tmp_path / "elsewhere")
    assert open_dataset(moved, manifests=tmp_path / "b").identity.root_digest == one.root_digest
    (kept,) = (tmp_path / "b").iterdir()
    rows = read_manifest(kept)
    for column in ("id", "class", "sha256"):
        values = rows[column].to_pylist()
        values[0] += "x"
        other = rows.set_column(rows.schema.get_field_index(column), column, [values])
        assert root_digest(other) != one.root_digest


def test_an_altered_manifest_is_refused(small: Path, tmp_path: Path) -> None:
    open_dataset(small, manifests=tmp_path / "m")
    (kept,) = (tmp_path / "m").iterdir()
    rows = read_manifest(kept)
    values = rows["class"].to_pylist()
    values[0] = "pear"
    index = rows.schema.get_field_index("class")
    pq.write_table(rows.set_column(index, rows.schema.field(index), [values]), kept / MANIFEST)
    with pytest.raises(DataError, match="root digest"):
        open_dataset(kept, manifests=tmp_path / "unused")


@pytest.mark.parametrize("labels", [[1, 0], [0, 2], [-1, 1]])
def test_labels_that_are_not_those_of_the_classes_are_refused(
    small: Path, tmp_path: Path, labels: list[int]
) -> None:
    """The root digest does not cover them."""
    open_dataset(small, manifests=tmp_path / "m")
    (kept,) = (tmp_path / "m").iterdir()
    rows = read_manifest(kept)
    assert rows["label"].to_pylist() == [0, 1, 0, 1]
    index = rows.schema.get_field_index("label")
    field = rows.schema.field(index)
    altered = rows.set_column(index, field, [pa.array([0, 1, *labels], field.type)])
    assert root_digest(altered) == root_digest(rows)
    pq.write_table(altered, kept / MANIFEST)
    with pytest.raises(DataError, match=r"another label than their class has, such as val/"):
        open_dataset(kept, manifests=tmp_path / "unused")


@pytest.mark.parametrize("damage", ["torn", "missing", "other columns", "newer version"])
def test_a_damaged_prepared_folder_is_named(small: Path, tmp_path: Path, damage: str) -> None:
    open_dataset(small, manifests=tmp_path / "m")
    (kept,) = (tmp_path / "m").iterdir()
    manifest = kept / MANIFEST
    match damage:
        case "torn":
            manifest.write_bytes(manifest.read_bytes()[:-20])
        case "missing":
            manifest.unlink()
        case "other columns":
            pq.write_table(read_manifest(kept).select(["id", "path"]), manifest)
        case "newer version":
            text = json.loads((kept / DESCRIPTION).read_text())
            (kept / DESCRIPTION).write_text(json.dumps({**text, "version": 99}))
    with pytest.raises(DataError, match="cannot read") as caught:
        open_dataset(kept, manifests=tmp_path / "unused")
    assert str(kept) in str(caught.value)


@pytest.mark.parametrize("file", [MANIFEST, DESCRIPTION])
def test_a_damaged_kept_manifest_is_made_again(small: Path, tmp_path: Path, file: str) -> None:
    """Its user gave a plain folder and has nothing to prepare."""
    first = open_dataset(small, manifests=tmp_path / "m")
    (kept,) = (tmp_path / "m").iterdir()
    (kept / file).write_bytes((kept / file).read_bytes()[:-20])
    assert open_dataset(small, manifests=tmp_path / "m").identity == first.identity


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set lies there; there is nothing"):
        open_dataset(tmp_path, manifests=tmp_path / "m")


def test_what_file_managers_leave_behind_is_no_image_and_no_error(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "a").mkdir(parents=True)
        (tmp_path / split / "a" / "1.jpg").write_bytes(b"x")
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (tmp_path / split / "a" / name).write_bytes(b"x")
    assert [image.id for image in find_folder(tmp_path).images] == ["train/a/1.jpg", "val/a/1.jpg"]


def test_a_folder_is_listed_once(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is opened without another look at a million files, manifest or not."""
    listed: list[str] = []
    scandir = os.scandir

    def counting(folder: int | str) -> Any:
        own = isinstance(folder, int)
        listed.append(str(Path(f"/proc/self/fd/{folder}").readlink()) if own else str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counting)
    for _ in range(2):
        listed.clear()
        found = find_dataset(small)
        classes = [path for path in listed if Path(path).parent.parent == small]
        assert sorted(classes) == sorted(set(classes)), "each class folder once"
        assert len(classes) == 4
        listed.clear()
        open_found(found, manifests=tmp_path / "manifests")
        assert [path for path in listed if path.startswith(str(small))] == []
