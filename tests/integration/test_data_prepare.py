"""`prepare` on every kind of source, with planted oddities and faults."""

import csv
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from harness.cli.prepare import command, progress_line
from harness.data import preparing, source_tars
from harness.data.class_order import class_orders, translate_labels
from harness.data.manifest import MANIFEST, read_manifest
from harness.data.opening import open_dataset
from harness.data.preparing import Progress
from harness.data.source_tars import PublishedTar
from harness.data.sources import SourceImage
from harness.errors import DataError, HarnessError, MachineError
from harness.workflows.prepare import Prepared, prepare, render
from tests.parity.generated_images import jpeg_bytes, picture

WNIDS = ("n01440764", "n01443537", "n02105855")
VAL = "ILSVRC2012_val_{:08d}"


def jpeg(seed: int) -> bytes:
    return jpeg_bytes(picture(40, 50, seed))


def train_images() -> dict[str, bytes]:
    """Relative path below train to bytes: three per class."""
    return {
        f"{wnid}/{wnid}_{n}.JPEG": jpeg(10 * c + n)
        for c, wnid in enumerate(WNIDS)
        for n in range(3)
    }


def val_images() -> dict[str, bytes]:
    """Name to bytes: two per class; image n belongs to class n % 3."""
    return {f"{VAL.format(n + 1)}.JPEG": jpeg(100 + n) for n in range(6)}


def val_labels() -> dict[str, str]:
    return {VAL.format(n + 1): WNIDS[n % 3] for n in range(6)}


def write(root: Path, files: dict[str, bytes]) -> None:
    for relative, raw in files.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def write_folder(root: Path) -> Path:
    labels = val_labels()
    write(root / "train", train_images())
    write(root / "val", {f"{labels[n.split('.')[0]]}/{n}": raw for n, raw in val_images().items()})
    return root


def add(tar: tarfile.TarFile, name: str, raw: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(raw)
    tar.addfile(member, io.BytesIO(raw))


def tar_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, raw in files.items():
            add(tar, name, raw)
    return buffer.getvalue()


def write_tars(root: Path) -> tuple[Path, Path]:
    """Both tars in ILSVRC's structure, and a label file in the development kit's order."""
    root.mkdir(parents=True, exist_ok=True)
    inner = {
        f"{wnid}.tar": tar_bytes(
            {p.split("/")[1]: raw for p, raw in train_images().items() if p.startswith(wnid)}
        )
        for wnid in WNIDS
    }
    (root / source_tars.TRAIN_TAR).write_bytes(tar_bytes(inner))
    (root / source_tars.VAL_TAR).write_bytes(tar_bytes(val_images()))
    return root, write_label_list(root / "val.txt")


def write_label_list(path: Path) -> Path:
    """The reference's format, development kit's labels."""
    devkit = {w: n for n, w in enumerate(class_orders().ids_in("devkit"))}
    lines = [f"{name}.JPEG {devkit[wnid]}" for name, wnid in val_labels().items()]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    base = tmp_path_factory.mktemp("folder")
    prepared = prepare(write_folder(base / "in"), base / "out")
    assert prepared.description.identity.kind == "imagenet_subset"
    return prepared.description.identity.root_digest


def test_tars_equal_the_folder(tmp_path: Path, folder_root: str) -> None:
    source, labels = write_tars(tmp_path / "in")
    prepared = prepare(source, tmp_path / "out", val_labels=labels, order="devkit")
    identity = prepared.description.identity
    assert identity.root_digest == folder_root
    assert (identity.train_images, identity.val_images, identity.classes) == (9, 6, WNIDS)
    facts = {truth.fact: truth.holds for truth in prepared.description.truths}
    assert facts[f"bytes of {source_tars.TRAIN_TAR}"] is False
    data = open_dataset(tmp_path / "out", manifests=tmp_path / "unused")
    assert Path(data.val.paths[0]).read_bytes() == val_images()[f"{VAL.format(1)}.JPEG"]
    assert "subset of ImageNet" in render(prepared)


def test_flat_val_and_kaggle_equal_the_folder(tmp_path: Path, folder_root: str) -> None:
    flat = tmp_path / "flat"
    write(flat / "train", train_images())
    write(flat / "val", val_images())
    labels = write_label_list(tmp_path / "val.txt")
    prepared = prepare(flat, tmp_path / "a", val_labels=labels, order="devkit")
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
    prepared = prepare(tmp_path, tmp_path / "out", lists={"train": train, "val": val})
    assert prepared.description.identity.root_digest == folder_root
    data = open_dataset(tmp_path / "out", manifests=tmp_path)
    assert [data.classes[label] for label in data.val.labels] == [
        i.split("/")[1] for i in data.val.ids
    ]
    other = "devkit" if order == "wordnet" else "wordnet"
    with pytest.raises(DataError, match=f"{order} order"):
        prepare(tmp_path, tmp_path / "out2", lists={"train": train, "val": val}, order=other)


def test_odd_files_get_a_decision(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    upright = picture(60, 80)
    odd = {
        "png.JPEG": png(upright.convert("RGBA")),
        "cmyk.JPEG": jpeg_bytes(upright.convert("CMYK")),
        "grey.JPEG": jpeg_bytes(upright.convert("L")),
        "progressive.JPEG": jpeg_bytes(upright, progressive=True),
        "turned.JPEG": jpeg_bytes(upright, orientation=6),
        "truncated.JPEG": jpeg_bytes(upright)[:-700],
        "header.JPEG": jpeg_bytes(upright)[:100],
        "empty.JPEG": b"",
        "text.JPEG": b"this is no image",
        "webp.webp": encoded(upright, "WEBP", lossless=True),
    }
    write(root / "train" / WNIDS[0], odd)
    prepared = prepare(root, tmp_path / "out")
    rows = {r["id"].rsplit("/", 1)[1]: r for r in read_manifest(tmp_path / "out").to_pylist()}
    decisions = {name: rows[name]["decision"] for name in odd}
    assert decisions == {
        "png.JPEG": "converted",
        "cmyk.JPEG": "converted",
        "grey.JPEG": "as_is",
        "progressive.JPEG": "as_is",
        "turned.JPEG": "as_is",
        "truncated.JPEG": "refused",
        "header.JPEG": "refused",
        "empty.JPEG": "refused",
        "text.JPEG": "refused",
        "webp.webp": "converted",
    }
    assert rows["turned.JPEG"]["orientation"] == 6
    assert prepared.description.turned == 1
    assert {name for name, _ in prepared.refused} == {
        f"train/{WNIDS[0]}/{name}" for name in odd if decisions[name] == "refused"
    }
    for name in ("png.JPEG", "cmyk.JPEG", "webp.webp"):
        assert (root / "train" / WNIDS[0] / name).read_bytes() == odd[name]
    with pytest.raises(DataError, match=r"4 images cannot be read[\s\S]*empty.JPEG"):
        open_dataset(tmp_path / "out", manifests=tmp_path)
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the oracle of converted pixels")
    for name in ("png.JPEG", "cmyk.JPEG", "webp.webp"):
        original = cv2.imread(str(root / "train" / WNIDS[0] / name))
        copy = cv2.imread(str(tmp_path / "out" / rows[name]["converted"]))
        assert np.array_equal(original, copy), name


def png(image: Image.Image) -> bytes:
    return encoded(image, "PNG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_an_interrupted_preparation_goes_on(
    tmp_path: Path, folder_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_folder(tmp_path / "in")
    monkeypatch.setattr(preparing, "PART_ROWS", 4)
    inspected: list[bytes] = []
    real = preparing.inspect_all

    def counting(raws: list[bytes]) -> object:
        inspected.extend(raws)
        return real(raws)

    def failing(raws: list[bytes]) -> object:
        if len(inspected) == 10:
            raise KeyboardInterrupt
        return counting(raws)

    monkeypatch.setattr(preparing, "BATCH_IMAGES", 2)
    monkeypatch.setattr(preparing, "inspect_all", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / MANIFEST).exists()
    inspected.clear()
    monkeypatch.setattr(preparing, "inspect_all", counting)
    prepared = prepare(root, tmp_path / "out", workers=1)
    assert len(inspected) == 15 - 8
    assert prepared.description.identity.root_digest == folder_root
    assert not (tmp_path / "out" / preparing.PARTS).exists()
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
    monkeypatch.setattr(preparing, "BATCH_IMAGES", 2)
    monkeypatch.setattr(preparing, "BATCH_BYTES", 9)
    items = [(SourceImage("train", "a", f"{n}", size, 0), None) for n, size in enumerate(sizes)]
    made = list(preparing.in_tasks(iter(items)))
    assert [len(batch) for batch in made] == batches
    assert [item for batch in made for item in batch] == items


def test_unpacking_tars_goes_on_without_inspecting_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, labels = write_tars(tmp_path / "in")
    first = prepare(source, tmp_path / "out", val_labels=labels, order="devkit")
    monkeypatch.setattr(preparing, "inspect_all", lambda _: pytest.fail("inspected again"))
    again = prepare(source, tmp_path / "out", val_labels=labels, order="devkit")
    assert again.description == first.description


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, labels = write_tars(tmp_path / "in")
    real = Path.write_bytes

    def full(path: Path, raw: bytes) -> int:
        if "n01443537_1" in path.name:
            real(path, raw[:10])
            raise OSError(28, "No space left on device")
        return real(path, raw)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MachineError, match="disk is full"):
        prepare(source, tmp_path / "out", val_labels=labels, order="devkit")
    assert not (tmp_path / "out" / MANIFEST).exists()
    assert not list((tmp_path / "out").rglob("*n01443537_1*"))


def published(path: Path, md5: str) -> dict[str, PublishedTar]:
    return {path.name: PublishedTar(path.stat().st_size, md5)}


def test_md5_of_a_tar_of_the_published_size(tmp_path: Path) -> None:
    source, labels = write_tars(tmp_path / "in")
    tar = source / source_tars.VAL_TAR
    md5 = hashlib.md5(tar.read_bytes()).hexdigest()

    def run(sum_: str, out: str) -> Prepared:
        return prepare(
            source,
            tmp_path / out,
            val_labels=labels,
            order="devkit",
            published=published(tar, sum_),
        )

    truths = {t.fact: t for t in run(md5, "a").description.truths}
    assert truths[f"md5 of {tar.name}"].holds
    with pytest.raises(DataError, match="md5 sum") as caught:
        run("0" * 32, "b")
    assert str(tar) in str(caught.value)
    assert not (tmp_path / "b" / MANIFEST).exists()


@pytest.mark.parametrize("cut", [700, 1024, 5000])
@pytest.mark.parametrize("name", [source_tars.TRAIN_TAR, source_tars.VAL_TAR])
def test_a_tar_cut_short_is_named(tmp_path: Path, name: str, cut: int) -> None:
    source, labels = write_tars(tmp_path / "in")
    tar = source / name
    raw = tar.read_bytes().rstrip(b"\0")
    whole = raw + b"\0" * (-len(raw) % 512 + 1024)
    tar.write_bytes(whole[:-cut])
    with pytest.raises(DataError, match=name):
        prepare(source, tmp_path / "out", val_labels=labels, order="devkit")
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.mark.parametrize("evil", ["../evil.JPEG", "/evil.JPEG", "a/../../evil.JPEG"])
def test_paths_that_leave_the_target_are_refused(tmp_path: Path, evil: str) -> None:
    source, labels = write_tars(tmp_path / "in")
    (source / source_tars.VAL_TAR).write_bytes(tar_bytes({evil: jpeg(0)}))
    with pytest.raises(DataError, match="leaves the target"):
        prepare(source, tmp_path / "out", val_labels=labels, order="devkit")
    assert not list(tmp_path.rglob("evil.JPEG"))


def test_links_in_a_tar_are_refused(tmp_path: Path) -> None:
    source, labels = write_tars(tmp_path / "in")
    with tarfile.open(source / source_tars.VAL_TAR, "w") as tar:
        member = tarfile.TarInfo(f"{VAL.format(1)}.JPEG")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataError, match="no plain file"):
        prepare(source, tmp_path / "out", val_labels=labels, order="devkit")


def break_folder(root: Path, fault: str) -> None:
    match fault:
        case "class without images":
            (root / "train" / "n09999999").mkdir()
        case "class missing in val":
            for path in (root / "val" / WNIDS[1]).iterdir():
                path.unlink()
            (root / "val" / WNIDS[1]).rmdir()
        case "no val":
            (root / "val").rename(root / "elsewhere")
        case "text file":
            (root / "train" / WNIDS[0] / "notes.txt").write_text("hello")


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("class without images", "n09999999"),
        ("class missing in val", WNIDS[1]),
        ("no val", "val"),
        ("text file", "notes.txt"),
    ],
)
def test_faults_of_a_folder_are_named(tmp_path: Path, fault: str, named: str) -> None:
    root = write_folder(tmp_path / "in")
    break_folder(root, fault)
    with pytest.raises(DataError, match=named):
        prepare(root, tmp_path / "out")
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path / "in")
    secret = root / "train" / WNIDS[0] / f"{WNIDS[0]}_1.JPEG"
    if os.geteuid() == 0:  # permissions do not bind the superuser
        real = Path.read_bytes

        def denied(path: Path) -> bytes:
            if path == secret:
                raise PermissionError(13, "Permission denied")
            return real(path)

        monkeypatch.setattr(Path, "read_bytes", denied)
    else:
        secret.chmod(0)
    with pytest.raises(DataError, match="Permission denied") as caught:
        prepare(root, tmp_path / "out")
    assert str(secret) in str(caught.value)


def test_two_files_with_one_id_are_named(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder / WNIDS[0], {"same.JPEG": jpeg(1)})
    lists = {}
    for split in ("train", "val"):
        lists[split] = tmp_path / f"{split}.txt"
        lists[split].write_text(f"a/{WNIDS[0]}/same.JPEG 0\nb/{WNIDS[0]}/same.JPEG 0\n")
    with pytest.raises(DataError, match=f"one id|id train/{WNIDS[0]}/same.JPEG"):
        prepare(tmp_path, tmp_path / "out", lists=lists)


@pytest.mark.parametrize(
    ("line", "named"),
    [("gone.JPEG 0", "gone.JPEG"), ("x.JPEG 1000", "line 2"), ("x.JPEG -1", "line 2"),
     ("x.JPEG", "line 2"), ("x.JPEG tench", "tench")],
)  # fmt: skip
def test_bad_list_lines_are_named(tmp_path: Path, line: str, named: str) -> None:
    write(tmp_path, {"x.JPEG": jpeg(1)})
    path = tmp_path / "list.txt"
    path.write_text(f"x.JPEG 0\n{line}\n")
    with pytest.raises(DataError, match=named):
        prepare(tmp_path, tmp_path / "out", lists={"train": path, "val": path}, order="wordnet")


def test_validation_labels_that_do_not_fit(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    write(flat / "train", train_images())
    write(flat / "val", val_images())
    labels = tmp_path / "val.txt"
    labels.write_text("".join(f"{name}.JPEG 5\n" for name in val_labels()))
    with pytest.raises(DataError, match="cannot be told"):
        prepare(flat, tmp_path / "out", val_labels=labels)
    with pytest.raises(DataError, match="classes that train lacks"):
        prepare(flat, tmp_path / "out", val_labels=labels, order="wordnet")
    labels.write_text(f"{VAL.format(1)}.JPEG 489\n{VAL.format(2)}.JPEG 360\n")
    with pytest.raises(DataError, match="devkit order"):
        prepare(flat, tmp_path / "out", val_labels=labels, order="wordnet")


def test_ground_truth_and_tfds_label_formats(tmp_path: Path) -> None:
    from harness.data.label_files import read_val_labels

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


def test_progress_line_says_rate_and_time_left() -> None:
    line = progress_line(Progress(1_000, 4_000, 10_000_000, 40_000_000), 2.0)
    assert line == "1,000 of 4,000 images, 5 MB/s, 0 min 6 s left"
