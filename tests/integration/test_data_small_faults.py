"""Small data sets with a fault: each is refused by name before any image is written."""

import gzip
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from harness.data.manifest import MANIFEST
from harness.data.prepare import prepare
from harness.errors import DataError
from tests.small_sources import (
    CIFAR_10_FILES,
    IDX_NAMES,
    archive,
    cifar_10,
    cifar_100,
    gzipped,
    idx_bytes,
    idx_files,
    made,
    write_all,
)

TRAIN, VAL = made(40, range(10), seed=1), made(20, range(10), seed=2)
IDX = idx_files(TRAIN, VAL)
OTHER = idx_files(made(40, range(10), seed=3), VAL)
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = IDX_NAMES.values()
CIFAR_10, CIFAR_100 = cifar_10()[0], cifar_100()[0]


def labels_with(values: np.ndarray, place: int, label: int) -> bytes:
    changed = values.copy()
    changed[place] = label
    return idx_bytes(changed)


def without(files: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: raw for name, raw in files.items() if name not in names}


def flipped(raw: bytes, place: int) -> bytes:
    changed = bytearray(raw)
    changed[place] ^= 0xFF
    return bytes(changed)


packed = gzipped(IDX)
IDX_FAULTS = {
    "images cut short": (
        IDX | {TRAIN_IMAGES: IDX[TRAIN_IMAGES][:-1]},
        r"40 x 7 x 9, and 2,519 bytes[\s\S]*train-images[\s\S]*cut short",
    ),
    "labels cut short": (IDX | {TEST_LABELS: IDX[TEST_LABELS][:-3]}, r"20, and 17[\s\S]*t10k-l"),
    "more bytes than told": (IDX | {TEST_LABELS: IDX[TEST_LABELS] + b"\0"}, "20, and 21"),
    "header cut short": (IDX | {TEST_IMAGES: IDX[TEST_IMAGES][:9]}, r"20, and 0 [\s\S]*t10k-i"),
    "only a magic number": (IDX | {TEST_IMAGES: IDX[TEST_IMAGES][:4]}, "nothing, and 0 "),
    "empty file": (IDX | {TRAIN_LABELS: b""}, r"empty[\s\S]*train-labels"),
    "no images": (IDX | {TEST_IMAGES: idx_bytes(np.zeros((0, 7, 9), np.uint8))}, "0 x 7 x 9"),
    "an absurd size": (
        IDX | {TEST_IMAGES: b"\0\0\x08\x03" + struct.pack(">3I", *[2**32 - 1] * 3)},
        "4,294,967,295 x 4,294,967,295",
    ),
    "wrong magic number": (
        IDX | {TRAIN_IMAGES: flipped(IDX[TRAIN_IMAGES], 2)},
        r"magic number is 0x0000f703[\s\S]*train-images[\s\S]*0x00000803",
    ),
    "integers instead of bytes": (
        IDX | {TRAIN_LABELS: idx_bytes(TRAIN.labels, kind=12)},
        r"0x00000c01[\s\S]*another type",
    ),
    "colour images": (
        IDX | {TRAIN_IMAGES: idx_bytes(np.zeros((4, 2, 2, 3), np.uint8))}, "0x00000804",
    ),
    "fewer labels than images": (
        IDX | {TRAIN_LABELS: idx_bytes(TRAIN.labels[:-1])},
        "train-images-idx3-ubyte holds 40 images, train-labels-idx1-ubyte 39 labels",
    ),
    "labels of the other split": (
        IDX | {TEST_LABELS: IDX[TRAIN_LABELS]},
        "t10k-images-idx3-ubyte holds 20 images, t10k-labels-idx1-ubyte 40 labels",
    ),
    "training label out of range": (
        IDX | {TRAIN_LABELS: labels_with(TRAIN.labels, 17, 200)},
        r"1 labels are out of range; the first is 200, of the image 17[\s\S]*train-l[\s\S]*0 to 9",
    ),
    "test label out of range": (
        IDX | {TEST_LABELS: labels_with(VAL.labels, 3, 10)},
        r"the first is 10, of the image 3,[\s\S]*t10k-labels[\s\S]*0 to 9",
    ),
    "a class of training alone": (
        IDX | {TRAIN_LABELS: labels_with(TRAIN.labels, 3, 10)},
        "1 of 11 classes have no image in val: 10",
    ),
    "gzip ends early": (
        packed | {f"{TRAIN_IMAGES}.gz": packed[f"{TRAIN_IMAGES}.gz"][:-400]},
        r"gzip file ends early[\s\S]*train-images-idx3-ubyte.gz[\s\S]*download it again",
    ),
    "gzip without its check sum": (
        packed | {f"{TEST_LABELS}.gz": packed[f"{TEST_LABELS}.gz"][:-4]}, "ends early",
    ),
    "only the beginning of a gzip": (packed | {f"{TEST_LABELS}.gz": b"\x1f\x8b\x08"}, "ends early"),
    "gzip with a wrong check sum": (
        packed | {f"{TEST_IMAGES}.gz": flipped(packed[f"{TEST_IMAGES}.gz"], -6)}, "damaged: CRC",
    ),
    "gzip with damaged data": (
        packed | {f"{TEST_IMAGES}.gz": flipped(packed[f"{TEST_IMAGES}.gz"], 10)}, "is damaged: ",
    ),
    "two training files": (
        IDX | {f"fashion-{name}": raw for name, raw in OTHER.items()},
        rf"two files hold images of the split train: fashion-{TRAIN_IMAGES} and {TRAIN_IMAGES}",
    ),
    "two EMNIST splits": (
        idx_files(TRAIN, VAL, "emnist-digits-")
        | {f"emnist-mnist-{name}": raw for name, raw in OTHER.items()},
        "emnist-digits-train-images-idx3-ubyte and emnist-mnist-train-images-idx3-ubyte",
    ),
    "images of two sizes": (
        IDX | {TEST_IMAGES: idx_bytes(np.zeros((20, 9, 7), np.uint8))},
        "7 x 9 pixels and test images 9 x 7",
    ),
    "only training files": (
        without(IDX, TEST_IMAGES, TEST_LABELS),
        rf"the images of val and the labels of val are missing; there are {TRAIN_IMAGES}",
    ),
    "only test files": (without(packed, f"{TRAIN_IMAGES}.gz", f"{TRAIN_LABELS}.gz"), "of train"),
    "no training labels": (without(IDX, TRAIN_LABELS), "the labels of train are missing"),
    "names that tell no split": (
        without(IDX, TRAIN_LABELS) | {"labels-idx1-ubyte": IDX[TRAIN_LABELS]},
        r"neither training nor test[\s\S]*labels-idx1-ubyte",
    ),
    "IDX and CIFAR": (
        IDX | CIFAR_10, r"more than one data set[\s\S]*t10k-images[\s\S]*data_batch_1.bin",
    ),
}  # fmt: skip

record, label = 3_073, 17 * 3_073
CIFAR_FAULTS = {
    "cut within a record": (
        CIFAR_10 | {"data_batch_3.bin": CIFAR_10["data_batch_3.bin"][:-5]},
        r"data_batch_3.bin has 30,725 bytes, which are 9 records and 3,068 bytes[\s\S]*3,073",
    ),
    "cut between records": (
        CIFAR_10 | {"data_batch_3.bin": CIFAR_10["data_batch_3.bin"][:-record]},
        r"different lengths[\s\S]*data_batch_3.bin 9,",
    ),
    "empty file": (CIFAR_10 | {"test_batch.bin": b""}, "test_batch.bin has 0 bytes"),
    "the other set's records": (
        CIFAR_100 | {"train.bin": CIFAR_10["data_batch_1.bin"]}, "CIFAR-10's records would fit",
    ),
    "label out of range": (
        CIFAR_10 | {"test_batch.bin": CIFAR_10["test_batch.bin"][:label] + b"\x0a"
                    + CIFAR_10["test_batch.bin"][label + 1:]},
        r"1 labels of test_batch.bin are out of range; the first is 10, of the image 17[\s\S]* 9",
    ),
    "coarse label out of range": (
        CIFAR_100 | {"test.bin": b"\x14" + CIFAR_100["test.bin"][1:]},
        r"test.bin are out of range; the first is 20, of the image 0[\s\S]*0 to 19",
    ),
    "fine label out of range": (
        CIFAR_100 | {"test.bin": CIFAR_100["test.bin"][:1] + b"d" + CIFAR_100["test.bin"][2:]},
        r"the first is 100, of the image 0[\s\S]*0 to 99",
    ),
    "a missing batch": (without(CIFAR_10, "data_batch_4.bin"), "data_batch_4.bin of CIFAR-10 is m"),
    "only training files": (without(CIFAR_10, "test_batch.bin"), "test_batch.bin of CIFAR-10 is m"),
    "only test files": (without(CIFAR_100, "train.bin"), "train.bin of CIFAR-100 is missing"),
    "both sets": (CIFAR_10 | CIFAR_100, "CIFAR-10 and CIFAR-100 are mixed"),
    "a file plain and gzipped": (
        CIFAR_10 | {"test_batch.bin.gz": gzip.compress(CIFAR_10["test_batch.bin"])},
        "test_batch.bin is there twice",
    ),
    "classes without images": (cifar_10(records=1)[0], "9 of 10 classes have no image in train"),
}  # fmt: skip


def refuse(source: Path, out: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        prepare(source, out)
    assert caught.value.remedy
    assert not (out / MANIFEST).exists()
    assert not list(out.rglob("*.png"))


@pytest.mark.parametrize("fault", IDX_FAULTS)
def test_faults_of_idx_files_are_named(tmp_path: Path, fault: str) -> None:
    files, message = IDX_FAULTS[fault]
    refuse(write_all(tmp_path / "in", files), tmp_path / "out", message)


@pytest.mark.parametrize("packing", ["folder", "archive"])
@pytest.mark.parametrize("fault", CIFAR_FAULTS)
def test_faults_of_cifar_files_are_named(tmp_path: Path, fault: str, packing: str) -> None:
    files, message = CIFAR_FAULTS[fault]
    source = write_all(tmp_path / "in", files)
    if packing == "archive":
        if any(name.endswith(".gz") for name in files):
            files = CIFAR_10 | {"copy/test_batch.bin": CIFAR_10["test_batch.bin"]}
        source = write_all(tmp_path / "packed", {"a.tar.gz": archive(files)})
    refuse(source, tmp_path / "out", message)


WHOLE = archive(CIFAR_10)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (WHOLE[:-4], "ends early"),
        (WHOLE[: len(WHOLE) // 2], "ends early"),
        (flipped(WHOLE, len(WHOLE) - 6), "damaged: CRC"),
        (gzip.compress(gzip.decompress(WHOLE)[:200_000]), "archive cannot be read to its end"),
        (gzip.decompress(WHOLE)[:200_000], "archive cannot be read to its end"),
        (archive({"notes.txt": b"nothing"}), "neither CIFAR-10's nor CIFAR-100's"),
    ],
    ids=["no check sum", "half", "wrong check sum", "tar cut, gzip whole", "tar cut", "others"],
)
def test_faults_of_an_archive_are_named(tmp_path: Path, raw: bytes, message: str) -> None:
    source = write_all(tmp_path / "in", {"cifar-10-binary.tar.gz": raw})
    refuse(source, tmp_path / "out", message)
    refuse(source / "cifar-10-binary.tar.gz", tmp_path / "out", message)


def test_two_archives_are_not_chosen_from(tmp_path: Path) -> None:
    source = write_all(tmp_path / "in", {"a.tar.gz": WHOLE, "b.tar.gz": archive(CIFAR_100)})
    refuse(source, tmp_path / "out", r"more than one data set[\s\S]*a.tar.gz; the archive b.tar.gz")
    assert prepare(source / "b.tar.gz", tmp_path / "out").description.identity.train_images == 200


@pytest.mark.parametrize("folder", ["../", "/tmp/", "a/../../"])
def test_nothing_is_extracted_to_a_path_of_the_archive(tmp_path: Path, folder: str) -> None:
    source = write_all(tmp_path / "in" / "deep", {"a.tar.gz": archive(CIFAR_10, folder)})
    prepare(source, tmp_path / "in" / "out")
    assert not [path for path in tmp_path.rglob("*.bin*") if path.is_file()]
    assert not Path("/tmp/data_batch_1.bin").exists()


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = write_all(tmp_path, {"secret": CIFAR_10["test_batch.bin"]}) / "secret"
    path = write_all(tmp_path / "in", {"a.tar.gz": archive(without(CIFAR_10, "test_batch.bin"))})
    raw = gzip.decompress((path / "a.tar.gz").read_bytes())
    (path / "a.tar.gz").unlink()
    (path / "a.tar").write_bytes(raw)
    with tarfile.open(path / "a.tar", "a") as tar:
        member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        member.type, member.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(member)
    refuse(path, tmp_path / "out", "test_batch.bin of CIFAR-10 is missing")


class Planted:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("packing", ["folder", "folder above", "archive"])
@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("names", [[n.removesuffix(".bin") for n in CIFAR_10_FILES],
                                   ["meta", "train", "test"]], ids=["10", "100"])  # fmt: skip
def test_pickles_are_refused_unopened(
    tmp_path: Path, packing: str, protocol: int, names: list[str]
) -> None:
    raw = pickle.dumps(Planted(tmp_path / "opened"), protocol)
    source = write_all(tmp_path / "in" / "cifar-10-batches-py", dict.fromkeys(names, raw))
    if packing == "folder above":
        source = source.parent
    if packing == "archive":
        files = archive(dict.fromkeys(names, raw), "cifar-10-batches-py/")
        source = write_all(tmp_path / "packed", {"cifar-10-python.tar.gz": files})
    refuse(source, tmp_path / "out", r"pickles[\s\S]*cifar-10-binary.tar.gz")
    assert not (tmp_path / "opened").exists()


def test_one_idx_file_is_no_data_set(tmp_path: Path) -> None:
    path = write_all(tmp_path / "in", IDX) / TRAIN_IMAGES
    refuse(path, tmp_path / "out", "labels of train and")
    other = write_all(tmp_path / "in", {"notes.txt": b"hello"}) / "notes.txt"
    refuse(other, tmp_path / "out", "no data set lies there; it is a file")
