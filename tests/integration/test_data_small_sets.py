"""MNIST's IDX files and CIFAR's binary version: every pixel and label as in the source."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli.train.prepare import command
from harness.data import manifest_rows
from harness.data.dataset import Split
from harness.data.manifest import DESCRIPTION, MANIFEST, read_manifest
from harness.data.opening import find_dataset, open_dataset
from harness.data.prepare import prepare, render
from harness.errors import DataError
from harness.sources.pixels import known_sets
from harness.system.folders import alone
from tests.small_sources import (
    Made,
    archive,
    cifar_10,
    cifar_100,
    gzipped,
    idx_files,
    made,
    write_all,
)

cv2 = pytest.importorskip("cv2", reason="OpenCV is the oracle of PNG pixels")

TRAIN, VAL = made(40, range(10), seed=1), made(20, range(10), seed=2)
PLAIN = idx_files(TRAIN, VAL)
OTHER_NAMES = ("Train A", "train B", "some test A", "some test B")


def check_split(split: Split, source: Made, classes: tuple[str, ...]) -> None:
    """Each image once, with its own pixels, its label, and its number as its name."""
    assert len(split) == len(source.images)
    seen = set()
    for path, image_id, label in zip(split.paths, split.ids, split.labels, strict=True):
        number = int(Path(path).stem)
        seen.add(number)
        stored = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if stored.ndim == 3:
            stored = stored[:, :, ::-1]
        np.testing.assert_array_equal(stored, source.images[number])
        assert int(classes[label]) == source.labels[number]
        assert image_id.split("/")[1] == classes[label]
    assert seen == set(range(len(source.images)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Root digest of the made IDX set."""
    base = tmp_path_factory.mktemp("plain")
    prepared = prepare(write_all(base / "in", PLAIN), base / "out")
    return prepared.description.identity.root_digest


@pytest.mark.parametrize(
    "files",
    [
        PLAIN,
        gzipped(PLAIN),
        PLAIN | gzipped(PLAIN),
        idx_files(TRAIN, VAL, "emnist-digits-") | {"README.txt": b"made", ".DS_Store": b"\0"},
        dict(zip(OTHER_NAMES, PLAIN.values(), strict=True)),
    ],
    ids=["plain", "gzipped", "both, as some leave them", "EMNIST's names", "other names"],
)
def test_idx_files_become_images_of_one_channel(
    tmp_path: Path, root: str, files: dict[str, bytes]
) -> None:
    prepared = prepare(write_all(tmp_path / "my digits", files), tmp_path / "out")
    identity = prepared.description.identity
    assert identity.root_digest == root
    assert (identity.name, identity.kind) == ("my digits", "other")
    assert identity.classes == tuple("0123456789")
    assert prepared.description.source == "idx"
    assert prepared.description.as_is == 60
    rows = read_manifest(tmp_path / "out")
    assert set(rows["colour_model"].to_pylist()) == {"grey"}
    assert set(rows["encoding"].to_pylist()) == {"png"}
    data = open_dataset(tmp_path / "out", manifests=tmp_path / "unused")
    assert data.channels == 1
    check_split(data.train, TRAIN, data.classes)
    check_split(data.val, VAL, data.classes)
    assert "no set that is known" in render(prepared)


def test_written_images_have_the_layout_of_every_other_data_set(tmp_path: Path, root: str) -> None:
    prepare(write_all(tmp_path / "in", PLAIN), tmp_path / "out")
    again = open_dataset(tmp_path / "out" / "images", manifests=tmp_path / "manifests")
    assert again.identity.root_digest == root
    assert (again.channels, again.decisions.as_is) == (1, 60)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (range(1, 27), [f"{n:02d}" for n in range(1, 27)]),
        (range(12), [f"{n:02d}" for n in range(12)]),
        (range(2), ["0", "1"]),
    ],
    ids=["from 1, as EMNIST's letters", "more than ten", "two"],
)
def test_classes_are_named_so_that_their_order_is_that_of_the_labels(
    tmp_path: Path, labels: range, classes: list[str]
) -> None:
    train, val = made(60, labels), made(30, labels)
    prepare(write_all(tmp_path / "in", idx_files(train, val)), tmp_path / "out")
    data = open_dataset(tmp_path / "out", manifests=tmp_path)
    assert data.classes == tuple(classes) == tuple(sorted(classes))
    check_split(data.train, train, data.classes)


def as_folder(base: Path, files: dict[str, bytes], folder: str) -> Path:
    return write_all(base / folder, files)


def as_folder_above(base: Path, files: dict[str, bytes], folder: str) -> Path:
    return write_all(base / "downloads" / folder, files).parent


def as_archive(base: Path, files: dict[str, bytes], folder: str) -> Path:
    raw = archive(files | {"batches.meta.txt": b"airplane", "readme.html": b""}, f"{folder}/")
    return write_all(base, {"cifar-binary.tar.gz": raw}) / "cifar-binary.tar.gz"


def as_folder_of_an_archive(base: Path, files: dict[str, bytes], folder: str) -> Path:
    return as_archive(base / "alone", dict(reversed(files.items())), folder).parent


@pytest.fixture(scope="module")
def cifar_roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The root digest of each variety, prepared from its folder."""
    base, roots = tmp_path_factory.mktemp("cifar"), {}
    for variety, files in (
        ("cifar-10-batches-bin", cifar_10()[0]),
        ("cifar-100-binary", cifar_100()[0]),
    ):
        prepared = prepare(as_folder(base, files, variety), base / "out" / variety)
        roots[variety] = prepared.description.identity.root_digest
    return roots


@pytest.mark.parametrize(
    "source", [as_folder, as_folder_above, as_archive, as_folder_of_an_archive]
)
@pytest.mark.parametrize("variety", ["cifar-10-batches-bin", "cifar-100-binary"])
def test_cifar_files_become_images_of_three_channels(
    tmp_path: Path, cifar_roots: dict[str, str], variety: str, source: Callable[..., Path]
) -> None:
    hundred = variety == "cifar-100-binary"
    files, train, val = cifar_100() if hundred else cifar_10()
    prepared = prepare(source(tmp_path, files, variety), tmp_path / "out")
    identity = prepared.description.identity
    assert identity.root_digest == cifar_roots[variety]
    assert (prepared.description.source, identity.kind) == ("cifar_binary", "other")
    classes = [f"{n:02d}" for n in range(100)] if hundred else list("0123456789")
    assert identity.classes == tuple(classes)
    data = open_dataset(tmp_path / "out", manifests=tmp_path / "unused")
    assert data.channels == 3
    check_split(data.train, train, data.classes)
    check_split(data.val, val, data.classes)
    found = "test.bin 10,000: NOT MET, found 100" if hundred else "test_batch.bin 10,000: NOT MET"
    assert found in render(prepared)


def published(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], name: str) -> None:
    """Let made files be a published set."""
    sums = {
        plain: hashlib.sha256(raw).hexdigest()
        for plain, raw in zip(known_sets.IDX_FILES, files.values(), strict=True)
    }
    known = known_sets.KnownSet(name.lower(), name, sums)
    for plain, sha256 in sums.items():
        monkeypatch.setitem(known_sets.KNOWN_FILES, sha256, (known, plain))


def test_every_known_file_has_a_sum_of_its_own() -> None:
    files = sum(len(known.files) for known in known_sets.KNOWN_SETS)
    assert len(known_sets.KNOWN_FILES) == files == 16
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in known_sets.KNOWN_FILES)


def test_a_published_set_is_known_by_its_content_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(monkeypatch, PLAIN, "Known")
    renamed = {f"{n}.idx": raw for n, raw in enumerate(PLAIN.values())}
    prepared = prepare(write_all(tmp_path / "a", gzipped(renamed)), tmp_path / "out")
    assert prepared.description.identity.kind == "known"
    assert prepared.description.identity.name == "Known"
    assert render(prepared).count(": holds") == 4
    altered = PLAIN | {"t10k-labels-idx1-ubyte": idx_files(TRAIN, made(20, range(10)[::-1]))[
        "t10k-labels-idx1-ubyte"]}  # fmt: skip
    prepared = prepare(write_all(tmp_path / "b", altered), tmp_path / "other")
    assert prepared.description.identity.kind == "other"
    assert render(prepared).count("NOT MET") == 1


def test_files_of_two_published_sets_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = idx_files(made(40, range(10), seed=7), VAL)
    published(monkeypatch, idx_files(TRAIN, made(20, range(10), seed=8)), "One")
    published(monkeypatch, other, "Other")
    mixed = PLAIN | {"t10k-images-idx3-ubyte": other["t10k-images-idx3-ubyte"]}
    with pytest.raises(DataError, match=r"two sets are mixed.*One's.*Other's"):
        prepare(write_all(tmp_path / "in", mixed), tmp_path / "out")


def test_an_interrupted_preparation_goes_on(
    tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_all(tmp_path / "in", gzipped(PLAIN))
    monkeypatch.setattr(manifest_rows, "PART_ROWS", 8)
    monkeypatch.setattr(manifest_rows, "BATCH_IMAGES", 4)
    inspected: list[bytes] = []
    real = manifest_rows.inspect_all

    def counting(raws: list[bytes], **options: bool) -> object:
        inspected.extend(raws)
        return real(raws, **options)

    def failing(raws: list[bytes], **options: bool) -> object:
        if len(inspected) == 36:
            raise KeyboardInterrupt
        return counting(raws, **options)

    monkeypatch.setattr(manifest_rows, "inspect_all", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / MANIFEST).exists()
    inspected.clear()
    monkeypatch.setattr(manifest_rows, "inspect_all", counting)
    prepared = prepare(source, tmp_path / "out", workers=1)
    assert len(inspected) == 60 - 32
    assert prepared.description.identity.root_digest == root


def test_a_preparation_waits_for_another_one_of_the_same_folder(tmp_path: Path, root: str) -> None:
    source, out = write_all(tmp_path / "in", PLAIN), tmp_path / "out"
    out.mkdir()
    with ThreadPoolExecutor(1) as pool:
        with alone(out / ".lock"):
            second = pool.submit(prepare, source, out)
            assert wait([second], 1).not_done
            prepared = list(out.iterdir())
        assert [path.name for path in prepared] == [".lock"]
        assert second.result(60).description.identity.root_digest == root


def test_the_same_call_again_changes_nothing(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in", PLAIN)
    prepare(source, tmp_path / "out")
    images = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "images").rglob("*.png")}
    files = {name: (tmp_path / "out" / name).read_bytes() for name in (MANIFEST, DESCRIPTION)}
    prepare(source, tmp_path / "out")
    assert images == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.png")}
    assert files == {name: (tmp_path / "out" / name).read_bytes() for name in files}


def test_other_pixels_of_the_same_size_replace_those_of_before(tmp_path: Path, root: str) -> None:
    """All files of one size of image have one length, so length and label do not tell them."""
    other = made(40, range(10), seed=5)
    first = prepare(write_all(tmp_path / "a", idx_files(other, VAL)), tmp_path / "out")
    second = prepare(write_all(tmp_path / "b", PLAIN), tmp_path / "out")
    assert first.description.identity.root_digest != root
    assert second.description.identity.root_digest == root
    data = open_dataset(tmp_path / "out", manifests=tmp_path)
    check_split(data.train, TRAIN, data.classes)


def test_a_lost_image_is_written_again(tmp_path: Path, root: str) -> None:
    source = write_all(tmp_path / "in", PLAIN)
    prepare(source, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "images" / "train" / "3")
    altered = next((tmp_path / "out" / "images" / "val" / "4").iterdir())
    altered.write_bytes(altered.read_bytes()[:-1])
    os.utime(altered, ns=(time.time_ns(), time.time_ns()))
    assert prepare(source, tmp_path / "out").description.identity.root_digest == root
    check_split(open_dataset(tmp_path / "out", manifests=tmp_path).val, VAL, tuple("0123456789"))


def test_a_run_is_told_to_prepare_them(tmp_path: Path) -> None:
    idx = write_all(tmp_path / "idx", gzipped(PLAIN))
    cifar = write_all(tmp_path / "cifar", {"cifar-10-binary.tar.gz": archive(cifar_10()[0])})
    for folder in (idx, cifar):
        for ask in (lambda f: open_dataset(f, manifests=tmp_path / "m"), find_dataset):
            with pytest.raises(DataError, match=r"packed[\s\S]*harness prepare --source"):
                ask(folder)


def test_the_command_takes_an_archive(tmp_path: Path) -> None:
    path = as_archive(tmp_path, cifar_10()[0], "cifar-10-batches-bin")
    args = ["--source", str(path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 0, result.output
    assert "50 train, 20 val" in result.stdout
