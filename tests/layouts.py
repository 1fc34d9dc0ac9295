"""Folders as people have them: each a function that makes one, with what must come of it."""

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.sources.detection import Told
from tests.generated_sources import VAL, WNIDS, add, jpeg, tar_bytes, write

TRAIN = {f"{w}/{w}_{n}.JPEG": jpeg(10 * c + n) for c, w in enumerate(WNIDS) for n in range(3)}
FLAT = {f"{VAL.format(n + 1)}.JPEG": jpeg(100 + n) for n in range(6)}
CLASS_OF = {VAL.format(n + 1): WNIDS[n % 3] for n in range(6)}
SORTED = {f"{CLASS_OF[name.split('.')[0]]}/{name}": raw for name, raw in FLAT.items()}
PICTURE = jpeg(7)
KAGGLE = "ILSVRC/Data/CLS-LOC"
TARS = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")

Make = Callable[[Path], None]


@dataclass(frozen=True)
class Layout:
    """A folder and what must come of it.

    Attributes:
        name: for the test's id.
        make: makes it below an empty folder.
        given: what is named, relative to that folder.
        kind: of the source; None where it is refused.
        refusal: what the message says, as a regular expression.
        told: options of `prepare`.
        unused: what the notes name.
        leave: folders whose images must not count, for the independent walk.
        images: where the walk counts, relative; the folders of both splits.
    """

    name: str
    make: Make
    given: str = "."
    kind: str | None = "folder"
    refusal: str = ""
    told: Callable[[Path], Told] = lambda _: Told()
    unused: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    images: tuple[str, ...] = ("train", "val")


def folders(root: Path, train: str = "train", val: str = "val") -> None:
    write(root / train, TRAIN)
    write(root / val, SORTED)


def flat(root: Path, val: str = "val") -> None:
    write(root / "train", TRAIN)
    write(root / val, FLAT)


def extra(make: Make, files: dict[str, bytes | str]) -> Make:
    """The same with more files, by path."""

    def made(root: Path) -> None:
        make(root)
        write(root, {n: raw.encode() if isinstance(raw, str) else raw for n, raw in files.items()})

    return made


def kaggle(root: Path, *, val: dict[str, bytes] | None = None) -> None:
    write(root / KAGGLE / "train", TRAIN)
    write(root / KAGGLE / "val", FLAT if val is None else val)
    write(root / KAGGLE / "test", {"ILSVRC2012_test_00000001.JPEG": PICTURE})
    write(root / "ILSVRC/Annotations/CLS-LOC/train/n01440764", {"n01440764_1.xml": b"<a/>"})
    write(root / "ILSVRC/Annotations/CLS-LOC/val", {"ILSVRC2012_val_00000001.xml": b"<a/>"})
    write(root / "ILSVRC/ImageSets/CLS-LOC", {"train_cls.txt": b"n01440764/n01440764_1 1\n"})
    lines = [f"{name},{wnid} 1 2 30 40 " for name, wnid in CLASS_OF.items()]
    text = "\n".join(["ImageId,PredictionString", *lines]) + "\n"
    write(root, {"LOC_val_solution.csv": text.encode()})


def kaggle_sorted(root: Path) -> None:
    kaggle(root, val=SORTED)


def devkit(root: Path, packed: bool = False) -> None:
    """The development kit's ground truth, as if the first images had these classes."""
    from harness.sources.class_order import class_orders

    number = {wnid: n for n, wnid in enumerate(class_orders().ids_in("devkit"), 1)}
    lines = "\n".join(str(number[wnid]) for wnid in CLASS_OF.values()) + "\n"
    name = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    if not packed:
        write(root, {name: lines.encode()})
        return
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        add(tar, "ILSVRC2012_devkit_t12/readme.txt", b"hello")
        add(tar, name, lines.encode())


def tars(root: Path, names: tuple[str, ...] = TARS) -> None:
    inner = {f"{w}.tar": tar_bytes({n.split("/")[1]: r for n, r in TRAIN.items() if w in n})
             for w in WNIDS}  # fmt: skip
    content = dict(zip(TARS, (tar_bytes(inner), tar_bytes(FLAT)), strict=True))
    write(root, {name: content[name] for name in names})


def hugging_face(root: Path) -> None:
    write(root / "train", {f"{n.split('/')[1][:-5]}_{n[:9]}.JPEG": r for n, r in TRAIN.items()})
    write(root / "val", hugging_face_val())


def hugging_face_val() -> dict[str, bytes]:
    return {f"{n[:-5]}_{CLASS_OF[n[:-5]]}.JPEG": r for n, r in FLAT.items()}


def tiny_imagenet(root: Path) -> None:
    for wnid in WNIDS:
        write(root / "train" / wnid / "images", {f"{wnid}_{n}.JPEG": jpeg(n) for n in range(2)})
        write(root / "train" / wnid, {f"{wnid}_boxes.txt": b"0 0 1 1\n"})
    write(root / "val" / "images", {f"val_{n}.JPEG": jpeg(40 + n) for n in range(3)})
    lines = [f"val_{n}.JPEG\t{wnid}\t0\t32\t44\t62" for n, wnid in enumerate(WNIDS)]
    write(root / "val", {"val_annotations.txt": "\n".join(lines).encode()})
    write(root / "test" / "images", {"test_0.JPEG": PICTURE})


def tfds(root: Path, *versions: str) -> None:
    for version in versions:
        write(root / version, {
            "dataset_info.json": json.dumps({"name": "imagenet2012"}).encode(),
            "features.json": b"{}", "imagenet2012-train.tfrecord-00000-of-00001": b"",
        })  # fmt: skip


def renamed_case(root: Path) -> None:
    """Suffixes in any case, and the rarer ones."""
    ends = (".JPG", ".jpg", ".Jpeg", ".jfif", ".JPE", ".jpeg")
    for c, wnid in enumerate(WNIDS):
        write(root / "train" / wnid, {f"a{n}{end}": jpeg(c * 9 + n) for n, end in enumerate(ends)})
        write(root / "val" / wnid, {f"v.{'PNG' if c else 'JFIF'}": jpeg(90 + c)})


def left_by_systems(root: Path) -> None:
    folders(root)
    for place in ("", "train/", "val/", f"train/{WNIDS[0]}/", f"val/{WNIDS[1]}/"):
        write(root, {
            f"{place}.DS_Store": b"x", f"{place}Thumbs.db": b"x", f"{place}._x.JPEG": b"x",
            f"{place}@eaDir/x.JPEG/SYNOPHOTO_THUMB_M.jpg": PICTURE,
            f"{place}.@__thumb/default.jpg": PICTURE, f"{place}#recycle/x.JPEG": PICTURE,
            f"{place}__MACOSX/._x.JPEG": b"x", f"{place}x.JPEG@SynoEAStream": b"x",
            f"{place}lost+found/x.JPEG": PICTURE, f"{place}desktop.ini": b"x",
        })  # fmt: skip


def two_spellings(root: Path) -> None:
    """The accented letter together in train, apart in val: a copy by way of macOS."""
    for split, accent in (("train", "caf\u00e9"), ("val", "cafe\u0301")):
        write(root / split, {f"{accent}/1.jpg": jpeg(1), "tea/1.jpg": jpeg(2)})


def linked(root: Path) -> None:
    """Class folders of train and the whole of val are links, as clusters make them."""
    folders(root / "store")
    (root / "data" / "train").mkdir(parents=True)
    for wnid in WNIDS:
        (root / "data" / "train" / wnid).symlink_to(root / "store" / "train" / wnid)
    (root / "data" / "val").symlink_to(root / "store" / "val")


def linked_splits(root: Path) -> None:
    """Both of the resized splits are links to another disk."""
    (root / "data").mkdir()
    for name in ("train_256", "val_256"):
        (root / "data" / name).symlink_to(root / "disk" / name)


def circle(root: Path) -> None:
    folders(root)
    (root / "train" / WNIDS[0] / "again").symlink_to(root / "train")


def emptied(root: Path, *folders_: str) -> None:
    for name in folders_:
        (root / name).mkdir(parents=True)


def labels_of(name: str, order: str | None = None) -> Callable[[Path], Told]:
    return lambda root: Told(val_labels=root / name, order=order)  # type: ignore[arg-type]


def csv_of(classes: dict[str, str], separator: str = ",") -> str:
    lines = [separator.join((name, wnid)) for name, wnid in classes.items()]
    return "\n".join([separator.join(("filename", "label")), *lines]) + "\n"


OTHER = dict.fromkeys(CLASS_OF, WNIDS[2])
IN_KAGGLE = (f"{KAGGLE}/train", f"{KAGGLE}/val")
SCRIPT = "#!/bin/sh\nmkdir -p n01440764\n"

LAYOUTS = (
    Layout("class folders", folders),
    Layout("validation", lambda root: folders(root, val="validation"),
           images=("train", "validation")),
    Layout("capital letters", lambda root: folders(root, "Train", "VALID"),
           images=("Train", "VALID")),
    Layout("tars' own folder names",
           lambda root: folders(root, "ILSVRC2012_img_train", "ILSVRC2012_img_val"),
           images=("ILSVRC2012_img_train", "ILSVRC2012_img_val")),
    Layout("train and test alone", lambda root: folders(root, val="test"),
           images=("train", "test")),
    Layout("tars left beside them", lambda root: (folders(root), tars(root))),
    Layout("one tar left beside them", lambda root: (folders(root), tars(root, TARS[:1]))),
    Layout("tars and devkit beside flat val",
           lambda root: (flat(root), tars(root), devkit(root, packed=True)), kind="flat_val"),
    Layout("a TFDS mark beside them", lambda root: (folders(root), tfds(root, "."))),
    Layout("scripts and lists in val", extra(folders, {
        "val/valprep.sh": SCRIPT, "val/val.txt": "x 0\n", "val/README": "hello",
        "val/synsets.xml": "<a/>"}), unused=("valprep.sh", "val.txt", "README")),
    Layout("scripts and lists in flat val", lambda root: (extra(flat, {
        "val/valprep.sh": SCRIPT, "val/.hidden": "x"})(root), devkit(root)),
        kind="flat_val", unused=("valprep.sh",)),
    Layout("lists in class folders", extra(folders, {f"train/{WNIDS[0]}/boxes.txt": "0 0 1 1"}),
           unused=("boxes.txt",)),
    Layout("a folder of scripts in val", extra(folders, {"val/tools/sort.py": "print()"}),
           unused=("tools/sort.py",)),
    Layout("what systems leave behind", left_by_systems,
           leave=("@eaDir", ".@__thumb", "#recycle", "__MACOSX", "lost+found")),
    Layout("suffixes in any case", renamed_case),
    Layout("images one folder deeper", tiny_imagenet, kind="flat_val", unused=("boxes.txt",)),
    Layout("a class with a split's name", lambda root: [
        write(root / split, {f"{c}/{n}.jpg": jpeg(n) for c in ("bus", "train") for n in (1, 2)})
        for split in ("train", "val")]),
    Layout("every image some folders deeper", lambda root: [
        write(root / split, {f"{c}/a/b/{n}.jpg": jpeg(n) for c in ("bus", "car") for n in (1, 2)})
        for split in ("train", "val")]),
    Layout("resized copies and the options", lambda root: folders(root, "train_256", "val_256"),
           told=lambda _: Told(folders={"train": Path("train_256"), "val": Path("val_256")}),
           images=("train_256", "val_256")),
    Layout("resized copies on another disk and the options", lambda root: (
        folders(root / "disk", "train_256", "val_256"), linked_splits(root)), given="data",
        told=lambda _: Told(folders={"train": Path("train_256"), "val": Path("val_256")}),
        images=("disk/train_256", "disk/val_256")),
    Layout("a validation folder above the place of train", lambda root: (
        write(root / "imagenet/train", TRAIN), write(root / "other_val", SORTED)),
        told=lambda _: Told(folders={"val": Path("other_val")}),
        images=("imagenet/train", "other_val")),
    Layout("the option with an absolute path", lambda root: folders(root, val="dev"),
           told=lambda root: Told(folders={"val": root / "dev"}), images=("train", "dev")),
    Layout("train inside train", lambda root: folders(root, "train/train", "val/val")),
    Layout("one folder above", lambda root: folders(root / "imagenet")),
    Layout("links to folders", linked, given="data", images=("data/train", "data/val")),
    Layout("letters in two forms", two_spellings),
    Layout("Kaggle from the top", kaggle, kind="kaggle", images=IN_KAGGLE),
    Layout("Kaggle from ILSVRC", kaggle, given="ILSVRC", kind="kaggle", images=IN_KAGGLE),
    Layout("Kaggle from Data", kaggle, given="ILSVRC/Data", kind="kaggle", images=IN_KAGGLE),
    Layout("Kaggle from CLS-LOC", kaggle, given=KAGGLE, kind="kaggle", images=IN_KAGGLE),
    Layout("Kaggle sorted", kaggle_sorted, images=IN_KAGGLE),
    Layout("Kaggle sorted, from CLS-LOC", kaggle_sorted, given=KAGGLE, images=IN_KAGGLE),
    Layout("Kaggle without its CSV", lambda root: (
        kaggle(root), (root / "LOC_val_solution.csv").unlink()), kind=None,
        refusal="classes that train lacks"),
    Layout("Hugging Face's names, flat", hugging_face, kind="flat"),
    Layout("Hugging Face's names in val alone, beside empty class folders", lambda root: (
        write(root / "train", TRAIN), write(root / "val", hugging_face_val()),
        emptied(root, f"val/{WNIDS[0]}")), kind="flat_val", unused=(WNIDS[0],)),
    Layout("flat val with a list", extra(flat, {"val.csv": csv_of(CLASS_OF)}), kind="flat_val",
           told=labels_of("val.csv")),
    Layout("flat val with the devkit below", lambda root: (flat(root), devkit(root)),
           kind="flat_val"),
    Layout("flat val with the devkit deep below", lambda root: (flat(root), devkit(root / "a/b")),
           kind="flat_val"),
    Layout("flat val with the devkit packed", lambda root: (flat(root), devkit(root, packed=True)),
           kind="flat_val"),
    Layout("flat val with the devkit in it", lambda root: (flat(root), devkit(root / "val")),
           kind="flat_val"),
    Layout("flat val with the devkit packed in it", lambda root: (
        flat(root), devkit(root / "val", packed=True)), kind="flat_val"),
    Layout("flat val with Kaggle's CSV in it", extra(flat, {
        "val/LOC_val_solution.csv": csv_of(CLASS_OF)}), kind="kaggle"),
    Layout("two label files that agree", lambda root: (
        flat(root), devkit(root), write(root, {"LOC_val_solution.csv": csv_of(CLASS_OF).encode()})),
        kind="kaggle"),
    Layout("both tars", lambda root: (tars(root), devkit(root)), kind="tars"),
    Layout("both tars, one folder above", lambda root: (tars(root / "in"), devkit(root)),
           kind="tars"),
    Layout("both tars and empty folders", lambda root: (
        tars(root), devkit(root), emptied(root, "train", "val")), kind="tars"),
    Layout("TFDS at its version", lambda root: tfds(root, "imagenet2012/5.1.0"),
           given="imagenet2012/5.1.0", kind="tfds"),
    Layout("TFDS at its name", lambda root: tfds(root, "imagenet2012/5.1.0"),
           given="imagenet2012", kind="tfds"),
    Layout("TFDS at its data directory", lambda root: (
        tfds(root, "imagenet2012/5.1.0"), tars(root / "downloads/manual")), kind="tfds"),
    Layout("TFDS' downloads, nothing built yet", lambda root: tars(root / "downloads/manual"),
           kind="tars"),
    Layout("two validation folders, one empty", lambda root: (
        folders(root), emptied(root, "validation"))),
    Layout("two validation folders and the option", lambda root: (
        folders(root), write(root / "validation", SORTED)),
        told=lambda _: Told(folders={"val": Path("validation")}), images=("train", "validation")),
    Layout("what sync programs and Windows leave behind", extra(folders, {
        f"{place}{name}": b"x" if ":" in name else PICTURE
        for place in ("", "train/", f"train/{WNIDS[0]}/", "val/")
        for name in ("@__thumb/x.jpg", ".stversions/x.jpg", ".ipynb_checkpoints/x.jpg",
                     "x.JPEG:Zone.Identifier", "_gsdata_/x.jpg", ".Trash-1000/files/x.jpg",
                     ".AppleDouble/x.JPEG", "found.000/x.jpg", "Thumbs.db:encryptable")}),
        leave=("@__thumb", ".stversions", ".ipynb_checkpoints", "_gsdata_", ".Trash-1000",
               ".AppleDouble", "found.000")),
    Layout("a class that is hidden by its name", lambda root: [
        write(root / split, {f"{c}/1.jpg": PICTURE for c in (".22_rifle", "cat", "dog")})
        for split in ("train", "val")], unused=(".22_rifle",), leave=(".22_rifle",)),
    Layout("more folders of the same kind beside them", extra(folders, {
        "train_2/n01440764/x.JPEG": PICTURE}), unused=("beside them: train_2/",)),
    Layout("odd class names", lambda root: [
        write(root / split, {f"{c}/1.jpg": PICTURE for c in (
            "a b", "c,d", "-x", "e'f", 'g"h', "i\tj", "k\nl", "\u65e5\u672c", "#1", "m ", "100%")})
        for split in ("train", "val")]),
    Layout("images that are links into a store", lambda root: [
        folders(root / "store"), folders(root / "data"), *(
            (image.unlink(), image.symlink_to(root / "store" / image.relative_to(root / "data")))
            for image in (root / "data").rglob("*.JPEG"))], given="data",
        images=("data/train", "data/val")),
    Layout("a TFDS build that was stopped, beside a whole one", lambda root: tfds(
        root, "x/5.1.0", "x/5.1.0.incompleteAB12"), kind="tfds"),
    Layout("classes of train alone and a share", lambda root: (
        write(root / "train", TRAIN), write(root / "test", {"a.jpg": PICTURE})),
        told=lambda _: Told(val_share=0.2), images=("train",), unused=("held back",)),
    # Refused, each with what to do.
    Layout("names with the backslashes of Windows", lambda root: write(root, {
        f"{split}\\{name}": raw for split, files in (("train", TRAIN), ("val", SORTED))
        for name, raw in files.items()}), kind=None, refusal="backslashes.*unzip"),
    Layout("backslashes within the splits", lambda root: [
        write(root / split, {name.replace("/", "\\"): raw for name, raw in TRAIN.items()})
        for split in ("train", "val")], kind=None, refusal="backslashes.*unzip"),
    Layout("other words around the splits", lambda root: folders(root, "seg_train", "seg_test"),
           kind=None, refusal="--train-folder seg_train --val-folder seg_test"),
    Layout("a name that a shell would part", lambda root: folders(root, "my train", "my val"),
           kind=None, refusal="--train-folder 'my train' --val-folder 'my val'"),
    Layout("another word for val", lambda root: folders(root, val="dev"), kind=None,
           refusal="if dev is val: harness prepare .* --val-folder dev"),
    Layout("train in parts", lambda root: (
        folders(root, "train.X1", "val.X"), write(root / "train.X2", TRAIN)), kind=None,
        refusal=r"class folders of train\.X1, train\.X2 into one folder train"),
    Layout("Kaggle's archive", lambda root: write(root, {"imagenet-challenge.zip": b"PK"}),
           kind=None, refusal=r"unzip -q \S+/imagenet-challenge\.zip -d \S+"),
    Layout("Hugging Face's archives", lambda root: write(root, {
        "data/train_images_0.tar.gz": b"x", "data/train_images_1.tar.gz": b"x",
        "data/val_images.tar.gz": b"x"}), kind=None,
        refusal=r"train && for f in \S+_0\.tar\.gz \S+_1\.tar\.gz; do tar -xf .\$f. -C \S+/train; "
        r"done; mkdir -p \S+/data/val && tar -xf"),
    Layout("val packed beside train", lambda root: (
        write(root / "train", TRAIN), write(root, {"val.zip": b"PK"})), kind=None,
        refusal=r"mkdir -p \S+/val && unzip -q \S+/val\.zip -d \S+/val"),
    Layout("some classes still packed", lambda root: (
        folders(root), shutil.rmtree(root / "train" / WNIDS[0]),
        write(root / "train", {f"{WNIDS[0]}.tar": b"x"})), kind=None,
        refusal=r"still packed: cd \S+/train && for f in n\*\.tar"),
    Layout("a tar under another name", lambda root: (
        tars(root), (root / TARS[1]).rename(root / "ILSVRC2012_img_val (1).tar")), kind=None,
        refusal=r"mv '\S+/ILSVRC2012_img_val \(1\)\.tar' \S+/ILSVRC2012_img_val\.tar"),
    Layout("a tar itself", tars, given=TARS[1], kind=None, refusal="it is a file[\\s\\S]*name /"),
    Layout("the two tars apart", lambda root: (
        tars(root / "a", TARS[:1]), tars(root / "b", TARS[1:])), kind=None,
        refusal="put .* into one folder"),
    Layout("one class folder deeper", lambda root: write(root / "101_Objects", TRAIN), kind=None,
           refusal="101_Objects looks like the classes of one split"),
    Layout("words in train, ids in val", lambda root: (
        write(root / "train", {"tench/1.jpg": PICTURE, "cock/1.jpg": PICTURE}),
        write(root / "val", {f"{w}/1.jpg": PICTURE for w in WNIDS})), kind=None,
        refusal="cock, tench; val alone has n01440764"),
    Layout("labels by numbers for classes of one's own", extra(lambda root: (
        write(root / "train", {"cat/1.jpg": PICTURE, "dog/1.jpg": PICTURE}),
        write(root / "val", {"a.jpg": PICTURE}))[0], {"val.csv": "a.jpg,1"}), kind=None,
        told=labels_of("val.csv"), refusal="classes of train are cat, dog[\\s\\S]*write the name"),
    Layout("two validation folders", lambda root: (
        folders(root), write(root / "validation", SORTED)), kind=None,
        refusal=r"val/ \(6 images\) and validation/ \(6 images\)[\s\S]*--val-folder val"),
    Layout("two validation folders one folder down", lambda root: (
        folders(root / "imagenet"), write(root / "imagenet/validation", SORTED)), kind=None,
        refusal="harness prepare --source .*/data/imagenet --out DIR --val-folder val, or with"),
    Layout("two data sets", lambda root: (folders(root / "a"), folders(root / "b")), kind=None,
           refusal=r"2 folders below it hold a data set: .*/a, .*/b[\s\S]*name one of them"),
    Layout("two versions of TFDS", lambda root: tfds(root, "x/5.0.0", "x/5.1.0"), kind=None,
           refusal=r"5\.0\.0, .*5\.1\.0"),
    Layout("tars and TFDS in one folder", lambda root: (tars(root), tfds(root, ".")), kind=None,
           refusal=r"ILSVRC's tars and as a TFDS[\s\S]*--layout tars or --layout tfds"),
    Layout("images beside class folders", extra(folders, {"val/left.JPEG": PICTURE}), kind=None,
           refusal="3 class folders and 1 image beside them: left.JPEG"),
    Layout("images in deeper folders", extra(folders, {
        f"train/{WNIDS[0]}/old/x.JPEG": PICTURE, f"train/{WNIDS[0]}/old/y.JPEG": PICTURE}),
        kind=None, refusal=r"2 images of 1 class folder in train lie in deeper.*old \(2\)"),
    Layout("classes in two levels", lambda root: (
        write(root / "train", {f"animals/{name}": raw for name, raw in TRAIN.items()}),
        write(root / "train", {"things/cup/1.JPEG": PICTURE, "things/pot/1.JPEG": PICTURE}),
        write(root / "val", SORTED)), kind=None, refusal="deeper folders[\\s\\S]*--train-list"),
    Layout("an image that is not named like one", extra(folders, {
        f"train/{WNIDS[0]}/x.JPEG~": PICTURE}), kind=None, refusal="not named like one: x.JPEG~"),
    Layout("an image without any suffix", extra(folders, {f"train/{WNIDS[0]}/x": PICTURE}),
           kind=None, refusal="not named like one: x"),
    Layout("a bitmap and a phone's picture without suffixes", extra(folders, {
        f"train/{WNIDS[0]}/x": b"BM\x10\0\0\0\0\0\0\0xx",
        f"train/{WNIDS[0]}/y": b"\0\0\0\x18ftypheic"}), kind=None,
        refusal="not named like one: x, y"),
    Layout("resized copies", lambda root: folders(root, "train_256", "val_256"), kind=None,
           refusal="--source .* --out DIR --train-folder train_256 --val-folder val_256"),
    Layout("Parquet files", extra(lambda _: None, {
        "data/train-00000-of-00294.parquet": "", "data/validation-00000-of-00014.parquet": ""}),
        kind=None, refusal="Parquet files are not read, such as train-00000[\\s\\S]*as a file"),
    Layout("TFRecords in the splits' folders", extra(lambda _: None, {
        "train/train-00000-of-01024": "x", "validation/validation-00000-of-00128": "x"}),
        kind=None, refusal="no images in train or in val[\\s\\S]*TFRecords are not read"),
    Layout("shards of archives", extra(lambda _: None, {"imagenet-train-000000.tar": "x"}),
           kind=None, refusal="archives are not read, such as imagenet-train-000000.tar"),
    Layout("classes without splits", lambda root: write(root, TRAIN), kind=None,
           refusal="looks like the classes of one split: harness prepare .* --val-share 0.2"),
    Layout("splits within classes", lambda root: [
        write(root / w / split, {"a.jpg": PICTURE}) for w in WNIDS for split in ("train", "val")],
        kind=None, refusal="3 folders below it hold[\\s\\S]*turn the folders round"),
    Layout("images and lists", extra(lambda _: None, {
        "images/a.jpg": PICTURE, "train.csv": "images/a.jpg,0", "val.csv": "images/a.jpg,0"}),
        kind=None, refusal="--train-list and --val-list"),
    Layout("val a link to nothing", lambda root: (
        write(root / "train", TRAIN), (root / "val").symlink_to(root / "gone")), kind=None,
        refusal="val is no folder, but a link to nothing"),
    Layout("images and masks of each class", lambda root: [
        write(root / split, {f"{w}/{kind}/a.png": PICTURE for w in WNIDS for kind in ("i", "m")})
        for split in ("train", "val")], kind=None,
        refusal=r"6 images of 3 class folders in train lie in deeper folders.*i \(1\), m \(1\)"),
    Layout("a list beside images that nothing else labels", extra(lambda root: (
        write(root / "train", TRAIN), write(root / "val", {"a.JPEG": PICTURE}))[0], {
        "README.txt": "x", "labels.csv": "a.JPEG,n01440764"}), kind=None,
        refusal="--val-labels .*labels.csv"),
    Layout("a class only in val", extra(folders, {"val/n09999999/x.JPEG": PICTURE}), kind=None,
           refusal="1 of 4 classes of val have no image in train: n09999999"),
    Layout("a class in another case", lambda root: (
        write(root / "train", {"Apple/1.jpg": PICTURE, "pear/1.jpg": PICTURE}),
        write(root / "val", {"apple/1.jpg": PICTURE, "pear/1.jpg": PICTURE})), kind=None,
        refusal="Apple and apple differ in case"),
    Layout("the same class twice in other letters", lambda root: (
        two_spellings(root), write(root / "train", {"cafe\u0301/2.jpg": PICTURE})), kind=None,
        refusal=r"caf\\xe9.*cafe\\u0301|cafe\\u0301.*caf\\xe9"),
    Layout("an empty class", lambda root: (folders(root), emptied(root, "train/n09999999")),
           kind=None, refusal="the class n09999999 has no images in train"),
    Layout("a class that is still packed", lambda root: (
        folders(root), write(root / "train", {"n09999999/n09999999.tar": b"x"}),
        write(root / "val", {"n09999999/x.JPEG": PICTURE})), kind=None,
        refusal=r"n09999999"),
    Layout("the classes' tars alone", lambda root: (
        write(root / "train", {f"{w}.tar": b"x" for w in WNIDS}), write(root / "val", SORTED)),
        kind=None, refusal="no images in train, only in val"),
    Layout("train unpacked, val not", lambda root: (
        write(root / "train", TRAIN), tars(root, TARS[1:])), kind=None,
        refusal=r"ILSVRC2012_img_val\.tar is still packed: mkdir -p .*tar -xf"),
    Layout("val unpacked, train not", lambda root: (
        write(root / "val", FLAT), tars(root, TARS[:1])), kind=None,
        refusal=r"ILSVRC2012_img_train\.tar is still packed"),
    Layout("one tar alone", lambda root: tars(root, TARS[:1]), kind=None,
           refusal=r"ILSVRC2012_img_val\.tar is missing"),
    Layout("train alone", lambda root: write(root / "train", TRAIN), kind=None,
           refusal="no images in val, only in train; there is train/"),
    Layout("test without labels", lambda root: (
        write(root / "train", TRAIN), write(root / "test", {"t1.JPEG": PICTURE})), kind=None,
        refusal="no images in val, only in train; there is test/, train/"),
    Layout("the train folder itself", folders, given="train", kind=None,
           refusal="this is the folder train itself: name "),
    Layout("something else", lambda root: write(root, {"notes.txt": b"x", "src/a.py": b"x"}),
           kind=None, refusal=r"no data set lies there; there is src/, notes\.txt"),
    Layout("flat train without classes", lambda root: (
        write(root / "train", {f"{n}.jpg": PICTURE for n in range(3)}),
        write(root / "val", SORTED)), kind=None,
        refusal="3 of 3 images lie side by side in train and carry no WordNet id"),
    Layout("two classes in one name", lambda root: (
        hugging_face(root), write(root / "train", {"n01440764_9_n01443537.JPEG": PICTURE})),
        kind=None, refusal="carries two classes, n01440764 and n01443537"),
    Layout("flat val without labels", lambda root: (
        write(root / "train", TRAIN), write(root / "val", {"a.JPEG": PICTURE})), kind=None,
        refusal="nothing says their classes, as of a.JPEG[\\s\\S]*--val-labels"),
    Layout("an image without a label", extra(flat, {
        "val.csv": csv_of(CLASS_OF), "val/new.JPEG": PICTURE}), kind=None,
        told=labels_of("val.csv"), refusal="the image new.JPEG has no label"),
    Layout("two label files that disagree", lambda root: (
        flat(root), devkit(root), write(root, {"LOC_val_solution.csv": csv_of(OTHER).encode()})),
        kind=None, refusal=r"disagree on 4 of 6 images[\s\S]*--val-labels"),
    Layout("labels that nothing needs", extra(folders, {"val.csv": csv_of(CLASS_OF)}), kind=None,
           told=labels_of("val.csv"), refusal="--val-labels would not be used"),
    Layout("an order that nothing needs", folders, kind=None,
           told=lambda _: Told(order="wordnet"), refusal="--class-order would not be used"),
    Layout("labels beside a TFDS directory", lambda root: (
        tfds(root, "."), write(root, {"val.csv": csv_of(CLASS_OF).encode()})), kind=None,
        told=labels_of("val.csv"), refusal="--val-labels would not be used"),
    Layout("a layout that is not there", folders, kind=None,
           told=lambda _: Told(layout="tars"), refusal="there are no ILSVRC's tars"),
    Layout("a circle of links", circle, kind=None, refusal="contains itself, by a link"),
    Layout("a folder outside the source", folders, kind=None,
           told=lambda _: Told(folders={"val": Path("../val")}), refusal="not below the source"),
)  # fmt: skip
