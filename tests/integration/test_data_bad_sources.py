"""Sources with a fault: each is refused, and the message names what is wrong and where."""

import csv
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.data.manifest import MANIFEST
from harness.data.opening import open_dataset
from harness.data.prepare import prepare
from harness.errors import DataError
from harness.sources import tars
from harness.sources.class_order import class_orders
from harness.sources.detection import Told
from tests.generated_sources import (
    VAL,
    WNIDS,
    add,
    inner_tars,
    jpeg,
    tar_bytes,
    train_images,
    val_images,
    val_labels,
    write,
    write_folder,
    write_label_list,
    write_tars,
)


@pytest.mark.parametrize("cut", [700, 1024, 5000])
@pytest.mark.parametrize("name", [tars.TRAIN_TAR, tars.VAL_TAR])
def test_a_tar_cut_short_is_named(tmp_path: Path, name: str, cut: int) -> None:
    source, labels = write_tars(tmp_path / "in")
    tar = source / name
    raw = tar.read_bytes().rstrip(b"\0")
    whole = raw + b"\0" * (-len(raw) % 512 + 1024)
    tar.write_bytes(whole[:-cut])
    with pytest.raises(DataError, match=name):
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.mark.parametrize("evil", ["../evil.JPEG", "/evil.JPEG", "a/../../evil.JPEG"])
def test_paths_that_leave_the_target_are_refused(tmp_path: Path, evil: str) -> None:
    source, labels = write_tars(tmp_path / "in")
    (source / tars.VAL_TAR).write_bytes(tar_bytes({evil: jpeg(0)}))
    with pytest.raises(DataError, match="leaves the target"):
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert not list(tmp_path.rglob("evil.JPEG"))


def test_links_in_a_tar_are_refused(tmp_path: Path) -> None:
    source, labels = write_tars(tmp_path / "in")
    with tarfile.open(source / tars.VAL_TAR, "w") as tar:
        member = tarfile.TarInfo(f"{VAL.format(1)}.JPEG")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(DataError, match="no plain file"):
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))


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
        case "image without its suffix":
            (root / "train" / WNIDS[0] / "copy.JPEG.part").write_bytes(jpeg(1))


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("class without images", "n09999999"),
        ("class missing in val", WNIDS[1]),
        ("no val", "val"),
        ("image without its suffix", "copy.JPEG.part"),
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
        prepare(tmp_path, tmp_path / "out", Told(lists=lists))


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
        prepare(
            tmp_path, tmp_path / "out", Told(lists={"train": path, "val": path}, order="wordnet")
        )


def test_validation_labels_that_do_not_fit(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    write(flat / "train", train_images())
    write(flat / "val", val_images())
    labels = tmp_path / "val.txt"
    labels.write_text("".join(f"{name}.JPEG 5\n" for name in val_labels()))
    with pytest.raises(DataError, match="cannot be told"):
        prepare(flat, tmp_path / "out", Told(val_labels=labels))
    with pytest.raises(DataError, match="classes that train lacks"):
        prepare(flat, tmp_path / "out", Told(val_labels=labels, order="wordnet"))
    labels.write_text(f"{VAL.format(1)}.JPEG 489\n{VAL.format(2)}.JPEG 360\n")
    with pytest.raises(DataError, match="devkit order"):
        prepare(flat, tmp_path / "out", Told(val_labels=labels, order="wordnet"))


TEXT = {"notes.txt": b"hello"}


def without_end_mark(tar: bytes) -> bytes:
    content = tar.rstrip(b"\0")
    return content + b"\0" * (-len(content) % 512)


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        ({f"{WNIDS[1]}.tar": inner_tars()[f"{WNIDS[1]}.tar"][:3000]}, f"{WNIDS[1]}.tar"),
        ({f"{WNIDS[1]}.tar": without_end_mark(inner_tars()[f"{WNIDS[1]}.tar"])}, f"{WNIDS[1]}.tar"),
        ({f"{WNIDS[1]}.tar": tar_bytes(TEXT)}, "notes.txt"),
        ({f"{WNIDS[1]}.tar": tar_bytes({})}, WNIDS[1]),
        ({"README.txt": b"hello"}, "README.txt"),
        ({"n\udcff.tar": tar_bytes({"a.JPEG": jpeg(1)})}, "no text"),
    ],
    ids=["cut short", "without end mark", "no image", "empty class", "no tar", "no UTF-8"],
)
def test_faults_inside_the_training_tar_are_named(
    tmp_path: Path, inner: dict[str, bytes], named: str
) -> None:
    source, labels = write_tars(tmp_path / "in", inner=inner_tars() | inner)
    with pytest.raises(DataError, match=named) as caught:
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert caught.value.where
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_a_tar_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, labels = write_tars(tmp_path / "in")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Permissions do not bind the superuser, who may be running this.
    monkeypatch.setattr(tarfile, "open", denied)
    with pytest.raises(DataError, match="cannot be read: Permission denied") as caught:
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert caught.value.where == str(source / tars.TRAIN_TAR)
    assert "give this user the right to it" in str(caught.value.remedy)


def without_class(files: dict[str, bytes], wnid: str) -> dict[str, bytes]:
    labels = val_labels()
    return {name: raw for name, raw in files.items() if labels[name.split(".")[0]] != wnid}


def without_one(files: dict[str, bytes], _wnid: str) -> dict[str, bytes]:
    return {name: raw for name, raw in files.items() if name != f"{VAL.format(3)}.JPEG"}


@pytest.mark.parametrize("packed", [False, True], ids=["flat", "tars"])
@pytest.mark.parametrize(
    ("change", "listed", "named"),
    [
        (without_class, False, rf"no image in val: {WNIDS[2]}"),
        (without_one, True, rf"1 of 6 labels have no image: {VAL.format(3)}"),
    ],
    ids=["class without images", "label without image"],
)
def test_images_missing_in_val_are_named(
    tmp_path: Path, packed: bool, change: Callable[..., dict[str, bytes]], listed: bool, named: str
) -> None:
    val = change(val_images(), WNIDS[2])
    if packed:
        source, labels = write_tars(tmp_path / "in", val=val)
    else:
        source = tmp_path / "in"
        write(source / "train", train_images())
        write(source / "val", val)
        labels = write_label_list(tmp_path / "val.txt")
    if not listed:
        lines = labels.read_text().splitlines()
        labels.write_text("\n".join(line for line in lines if line.split()[0] in val))
    with pytest.raises(DataError, match=named):
        prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_a_label_list_of_all_of_imagenet_serves_a_subset(tmp_path: Path) -> None:
    write(tmp_path / "in" / "train", train_images())
    write(tmp_path / "in" / "val", val_images())
    labels = tmp_path / "val.txt"
    known = list(val_labels().values())
    labels.write_text("\n".join(known + [WNIDS[0]] * (50_000 - len(known))))
    found = prepare(tmp_path / "in", tmp_path / "out", Told(val_labels=labels))
    assert found.description.identity.val_images == len(known)


def test_an_image_twice_in_a_tar_is_named(tmp_path: Path) -> None:
    source, labels = write_tars(tmp_path / "in")
    name = f"{VAL.format(1)}.JPEG"
    with tarfile.open(source / tars.VAL_TAR, "w") as tar:
        for _ in range(4):
            add(tar, name, jpeg(7) * 50)
    for _ in range(2):  # an interrupted preparation's files must not hide it
        with pytest.raises(DataError, match=rf"two images have the id .*{name}"):
            prepare(source, tmp_path / "out", Told(val_labels=labels, order="devkit"))


@pytest.mark.parametrize("kaggle", [False, True])
@pytest.mark.parametrize("same", [False, True])
def test_contradicting_labels_are_named_by_both_lines(
    tmp_path: Path, kaggle: bool, same: bool
) -> None:
    root = tmp_path / "in" / "ILSVRC/Data/CLS-LOC" if kaggle else tmp_path / "in"
    write(root / "train", train_images())
    write(root / "val", val_images())
    labels = list(val_labels().items())
    labels.append((labels[0][0], WNIDS[0 if same else 1]))
    if kaggle:
        with (tmp_path / "in" / "LOC_val_solution.csv").open("w") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["ImageId", "PredictionString"])
            rows.writerows([name, f"{wnid} 1 2 30 40 "] for name, wnid in labels)
        path = None
    else:
        path = tmp_path / "val.txt"
        devkit = {w: n for n, w in enumerate(class_orders().ids_in("devkit"))}
        path.write_text("".join(f"{name}.JPEG {devkit[wnid]}\n" for name, wnid in labels))

    def run() -> None:
        prepare(
            tmp_path / "in",
            tmp_path / "out",
            Told(val_labels=path, order=None if kaggle else "devkit"),
        )

    if same:
        run()
        return
    lines = (8, 2) if kaggle else (7, 1)
    with pytest.raises(DataError, match=rf"line {lines[0]} has .*line {lines[1]} gives"):
        run()


@pytest.mark.parametrize(
    ("train", "val", "named"),
    [
        ("a.JPEG 0\n{other}/b.JPEG 0\n", "a.JPEG 0\n", "line 2 has .*b.JPEG"),
        ("a.JPEG 0\na.JPEG 0\n", "a.JPEG 0\n", "line 2 has a.JPEG, as line 1"),
        ("", "", "line 1 has nothing"),
        ("\n \n", "a.JPEG 0\n", "line 1 has nothing"),
        ("a.JPEG 0\n", "c.JPEG 1\n", "no image in train: class-0001"),
    ],
    ids=["outside", "twice", "both empty", "one blank", "class only in val"],
)
def test_bad_lists_are_named(tmp_path: Path, train: str, val: str, named: str) -> None:
    write(tmp_path / "in", {"a.JPEG": jpeg(1), "c.JPEG": jpeg(3)})
    write(tmp_path / "other", {"b.JPEG": jpeg(2)})
    lists = {"train": tmp_path / "train.txt", "val": tmp_path / "val.txt"}
    for path, text in zip(lists.values(), (train, val), strict=True):
        path.write_text(text.format(other=tmp_path / "other"))
    with pytest.raises(DataError, match=named):
        prepare(tmp_path / "in", tmp_path / "out", Told(lists=lists))


@pytest.mark.parametrize("place", ["class folder", "image", "flat val"])
def test_a_link_to_nothing_is_named(tmp_path: Path, place: str) -> None:
    root = write_folder(tmp_path / "in")
    link = {
        "class folder": root / "train" / "n09999999",
        "image": root / "train" / WNIDS[0] / "dangling.JPEG",
        "flat val": tmp_path / "flat" / "val" / "dangling.JPEG",
    }[place]
    labels = None
    if place == "flat val":
        root = tmp_path / "flat"
        write(root / "train", train_images())
        write(root / "val", val_images())
        labels = write_label_list(tmp_path / "val.txt")
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="a link to nothing") as caught:
        prepare(root, tmp_path / "out", Told(val_labels=labels, order="devkit" if labels else None))
    assert caught.value.where == str(link)


def test_links_to_images_are_images(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    image = next((root / "val").rglob("*.JPEG"))
    (root / "train" / WNIDS[0] / "link.JPEG").symlink_to(image)
    assert open_dataset(root, manifests=tmp_path / "m").identity.train_images == 10


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    strange = os.fsencode(root / "train" / WNIDS[0]) + b"/\xff.JPEG"
    try:
        os.close(os.open(strange, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    with pytest.raises(DataError, match=r"xff.JPEG' is no text") as caught:
        prepare(root, tmp_path / "out")
    str(caught.value).encode()
