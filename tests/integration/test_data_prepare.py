"""`prepare` on every kind of source, with planted oddities and faults."""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli.train.prepare import command
from harness.data import manifest_rows
from harness.data.manifest import MANIFEST, read_manifest
from harness.data.opening import open_dataset
from harness.data.prepare import Prepared, prepare, render
from harness.errors import DataError, HarnessError, MachineError
from harness.sources import tars
from harness.sources.class_order import class_orders, translate_labels
from harness.sources.detection import Told
from harness.sources.source import SourceImage
from harness.sources.tars import PublishedTar
from tests.generated_sources import (
    VAL,
    WNIDS,
    damaged_behind_its_header,
    inner_tars,
    jpeg,
    odd_files,
    train_images,
    val_images,
    val_labels,
    write,
    write_folder,
    write_label_list,
    write_tars,
)


@pytest.fixture(scope="module")
def folder_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    base = tmp_path_factory.mktemp("folder")
    prepared = prepare(write_folder(base / "in"), base / "out")
    assert prepared.description.identity.kind == "imagenet_subset"
    return prepared.description.identity.root_digest


def test_tars_equal_the_folder(tmp_path: Path, folder_root: str) -> None:
    source, labels = write_tars(tmp_path / "in")
    prepared = prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    identity = prepared.description.identity
    assert identity.root_digest == folder_root
    assert (identity.train_images, identity.val_images, identity.classes) == (9, 6, WNIDS)
    facts = {truth.fact: truth.holds for truth in prepared.description.truths}
    assert facts[f"bytes of {tars.TRAIN_TAR}"] is False
    data = open_dataset(tmp_path / "out", manifests=tmp_path / "unused")
    assert Path(data.val.paths[0]).read_bytes() == val_images()[f"{VAL.format(1)}.JPEG"]
    assert "subset of ImageNet" in render(prepared)


def test_flat_val_and_kaggle_equal_the_folder(tmp_path: Path, folder_root: str) -> None:
    flat = tmp_path / "flat"
    write(flat / "train", train_images())
    write(flat / "val", val_images())
    labels = write_label_list(tmp_path / "val.txt")
    prepared = prepare(flat, tmp_path / "a", Told(val_labels=labels, order="devkit"))
    assert prepared.description.identity.root_digest == folder_root
    kaggle = tmp_path / "kaggle"
    write(kaggle / "ILSVRC/Data/CLS-LOC/train", train_images())
    write(kaggle / "ILSVRC/Data/CLS-LOC/val", val_images())
    with (kaggle / "LOC_val_solution.csv").open("w") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["ImageId", "PredictionString"])
        rows.writerows([name, f"{wnid} 1 2 30 40 "] for name, wnid in val_labels().items())
    prepared = prepare(kaggle, tmp_path / "b")
    assert prepared.description.source == "kaggle"
    assert prepared.description.identity.root_digest == folder_root
    opened = open_dataset(kaggle, manifests=tmp_path / "manifests")
    assert opened.identity.root_digest == folder_root


def test_a_run_cannot_read_tars_where_they_are(tmp_path: Path) -> None:
    source, _labels = write_tars(tmp_path / "in")
    with pytest.raises(DataError, match=r"packed[\s\S]*harness prepare --source"):
        open_dataset(source, manifests=tmp_path / "manifests")


@pytest.mark.parametrize("order", ["wordnet", "devkit"])
def test_list_files_in_either_class_order(tmp_path: Path, folder_root: str, order: str) -> None:
    write(tmp_path / "train", train_images())
    write(tmp_path / "val", val_images())
    index = {w: n for n, w in enumerate(class_orders().ids_in(order))}
    train = tmp_path / "train.txt"
    train.write_text("".join(f"{p} {index[p.split('/')[0]]}\n" for p in train_images()))
    val = tmp_path / "val.txt"
    val.write_text("".join(f"{n}.JPEG {index[w]}\n" for n, w in val_labels().items()))
    prepared = prepare(tmp_path, tmp_path / "out", Told(lists={"train": train, "val": val}))
    assert prepared.description.identity.root_digest == folder_root
    data = open_dataset(tmp_path / "out", manifests=tmp_path)
    assert [data.classes[label] for label in data.val.labels] == [
        i.split("/")[1] for i in data.val.ids
    ]
    other = "devkit" if order == "wordnet" else "wordnet"
    with pytest.raises(DataError, match=f"{order} order"):
        prepare(tmp_path, tmp_path / "out2", Told(lists={"train": train, "val": val}, order=other))


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tars"])
def test_odd_files_get_a_decision(tmp_path: Path, packed: bool) -> None:
    odd = {name: raw for name, (raw, _) in odd_files().items()}
    expected = {name: decision for name, (_, decision) in odd_files().items()}
    here = f"train/{WNIDS[0]}"
    if packed:
        train = train_images() | {f"{WNIDS[0]}/{name}": raw for name, raw in odd.items()}
        source, labels = write_tars(tmp_path / "in", inner=inner_tars(train))
        prepared = prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
        originals = tmp_path / "out" / "images" / here
    else:
        originals = write_folder(tmp_path / "in") / here
        write(originals, odd)
        prepared = prepare(tmp_path / "in", tmp_path / "out")
    rows = {r["id"].rsplit("/", 1)[1]: r for r in read_manifest(tmp_path / "out").to_pylist()}
    assert {name: rows[name]["decision"] for name in odd} == expected
    assert rows["turned.JPEG"]["orientation"] == 6
    assert prepared.description.turned == 1
    assert {name for name, _ in prepared.refused} == {
        f"{here}/{name}" for name in odd if expected[name] == "refused"
    }
    converted = [name for name in odd if expected[name] == "converted"]
    for name in converted:
        assert (originals / name).read_bytes() == odd[name]
    with pytest.raises(DataError, match=r"4 images cannot be read[\s\S]*empty.JPEG"):
        open_dataset(tmp_path / "out", manifests=tmp_path)
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the oracle of converted pixels")
    for name in converted:
        original = cv2.imread(str(originals / name))
        copy = cv2.imread(str(tmp_path / "out" / rows[name]["converted"]))
        assert np.array_equal(original, copy), name


def test_damage_behind_a_sound_header_is_found_by_decoding(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    write(root / "train" / WNIDS[0], {"damaged.JPEG": damaged_behind_its_header()})
    assert not prepare(root, tmp_path / "out").refused
    ((name, reason),) = prepare(root, tmp_path / "out", decode=True).refused
    assert name == f"train/{WNIDS[0]}/damaged.JPEG"
    assert "does not decode" in reason


@pytest.mark.parametrize(
    ("damage", "prepared"),
    [("lost", True), ("altered", True), ("lost", False)],
    ids=["lost", "altered", "lost where a run keeps it"],
)
def test_a_damaged_converted_copy_is_made_again(
    tmp_path: Path, damage: str, prepared: bool
) -> None:
    root = write_folder(tmp_path / "in")
    write(root / "train" / WNIDS[0], {"cmyk.JPEG": odd_files()["cmyk.JPEG"][0]})

    def make() -> Path:
        if prepared:
            prepare(root, tmp_path / "out")
        else:
            open_dataset(root, manifests=tmp_path / "out")
        (copy,) = (tmp_path / "out").rglob("*.png")
        return copy

    copy = make()
    raw = copy.read_bytes()
    if damage == "lost":
        copy.unlink()
    else:
        copy.write_bytes(raw[:-1])
    assert make().read_bytes() == raw


def test_an_interrupted_preparation_goes_on(
    tmp_path: Path, folder_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path / "in")
    monkeypatch.setattr(manifest_rows, "PART_ROWS", 4)
    inspected: list[bytes] = []
    real = manifest_rows.inspect_all

    def counting(raws: list[bytes], **options: bool) -> object:
        inspected.extend(raws)
        return real(raws, **options)

    def failing(raws: list[bytes], **options: bool) -> object:
        if len(inspected) == 10:
            raise KeyboardInterrupt
        return counting(raws, **options)

    monkeypatch.setattr(manifest_rows, "BATCH_IMAGES", 2)
    monkeypatch.setattr(manifest_rows, "inspect_all", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / MANIFEST).exists()
    inspected.clear()
    monkeypatch.setattr(manifest_rows, "inspect_all", counting)
    prepared = prepare(root, tmp_path / "out", workers=1)
    assert len(inspected) == 15 - 8
    assert prepared.description.identity.root_digest == folder_root
    assert not (tmp_path / "out" / manifest_rows.PARTS).exists()
    inspected.clear()
    prepare(root, tmp_path / "out")
    assert not inspected
    prepare(root, tmp_path / "out", rehash=True)
    assert len(inspected) == 15


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [([], []), ([1, 1, 1], [2, 1]), ([9, 1, 1, 20], [1, 2, 1]), ([4, 5, 9], [2, 1])],
    ids=["nothing", "by number", "one is large by itself", "large together"],
)
def test_tasks_end_by_number_and_by_bytes(
    sizes: list[int], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_rows, "BATCH_IMAGES", 2)
    monkeypatch.setattr(manifest_rows, "BATCH_BYTES", 9)
    items = [(SourceImage("train", "a", f"{n}", size, 0), None) for n, size in enumerate(sizes)]
    made = list(manifest_rows.in_tasks(iter(items)))
    assert [len(batch) for batch in made] == batches
    assert [item for batch in made for item in batch] == items


def test_unpacking_tars_goes_on_without_inspecting_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, labels = write_tars(tmp_path / "in")
    first = prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    monkeypatch.setattr(
        manifest_rows, "inspect_all", lambda _, **__: pytest.fail("inspected again")
    )
    again = prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert again.description == first.description


@pytest.mark.parametrize("loss", ["gone", "emptied"])
def test_an_unpacked_image_that_was_lost_is_unpacked_again(tmp_path: Path, loss: str) -> None:
    source, labels = write_tars(tmp_path / "in")
    first = prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    lost = min((tmp_path / "out").rglob("*.JPEG"))
    content, time_ns = lost.read_bytes(), lost.stat().st_mtime_ns
    if loss == "gone":
        lost.unlink()
    else:
        lost.write_bytes(b"")
        os.utime(lost, ns=(time_ns, time_ns))
    again = prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert again.description == first.description
    assert lost.read_bytes() == content


def published(path: Path, md5: str) -> dict[str, PublishedTar]:
    return {path.name: PublishedTar(path.stat().st_size, md5)}


def test_md5_of_a_tar_of_the_published_size(tmp_path: Path) -> None:
    source, labels = write_tars(tmp_path / "in")
    tar = source / tars.VAL_TAR
    md5 = hashlib.md5(tar.read_bytes()).hexdigest()

    def run(sum_: str, out: str) -> Prepared:
        return prepare(
            source,
            tmp_path / out,
            Told(val_labels=labels, order="devkit"),
            published=published(tar, sum_),
        )

    truths = {t.fact: t for t in run(md5, "a").description.truths}
    assert truths[f"md5 of {tar.name}"].holds
    with pytest.raises(DataError, match="md5 sum") as caught:
        run("0" * 32, "b")
    assert str(tar) in str(caught.value)
    assert not (tmp_path / "b" / MANIFEST).exists()


def test_ground_truth_and_tfds_label_formats(tmp_path: Path) -> None:
    from harness.sources.labels.files import read_val_labels

    devkit = translate_labels(np.array([0, 1]), "wordnet", "devkit") + 1
    truth = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("\n".join(map(str, devkit)))
    tfds = tmp_path / "validation_labels.txt"
    tfds.write_text("n01440764\nn01443537\n")
    expected = {VAL.format(1): "n01440764", VAL.format(2): "n01443537"}
    assert read_val_labels(truth) == read_val_labels(tfds) == expected


def test_command_prints_one_json_document(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    args = ["--source", str(root), "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["identity"]["train_images"] == 9
    write(root / "train" / WNIDS[0], {"bad.JPEG": b"no"})
    result = CliRunner().invoke(command, args[:-1])
    assert result.exit_code == 2
    assert "bad.JPEG" in result.stdout
    alone = CliRunner().invoke(command, [*args, "--train-list", str(root / "train.txt")])
    assert alone.exit_code == 2


def test_one_list_without_the_other_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("x 0\n")
    args = ["--source", str(tmp_path), "--out", str(tmp_path / "o"), "--train-list", str(path)]
    result = CliRunner().invoke(command, args)
    assert isinstance(result.exception, HarnessError)


def test_an_unchanged_folder_may_lie_where_nobody_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only medium; anything else there is refused before a file is read."""
    root = write_folder(tmp_path / "in")
    args = ["--source", str(root), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(command, args).exit_code == 0
    # Permissions do not bind the superuser, who may be running this.
    monkeypatch.setattr("harness.files.os.access", lambda _path, mode: not mode & os.W_OK)

    def refused(folder: Path) -> None:
        raise MachineError("nothing can be written here", where=str(folder))

    monkeypatch.setattr("harness.cli.train.prepare.try_output", refused)
    assert CliRunner().invoke(command, args).exit_code == 0
    for out, added in (("other", False), ("out", True)):
        if added:
            (root / "train" / WNIDS[0] / "new.JPEG").write_bytes(jpeg(9))
        result = CliRunner().invoke(command, [*args[:-1], str(tmp_path / out)])
        assert isinstance(result.exception, MachineError), out
