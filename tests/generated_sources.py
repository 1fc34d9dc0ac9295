"""A small data set with ImageNet's names, written as any source that people have."""

import io
import tarfile
from pathlib import Path

from PIL import Image

from harness.sources import tars
from harness.sources.class_order import class_orders
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


def inner_tars(train: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """One tar for each class, by its name in the training tar."""
    images = train_images() if train is None else train
    by_class: dict[str, dict[str, bytes]] = {}
    for path, raw in images.items():
        wnid, name = path.split("/")
        by_class.setdefault(wnid, {})[name] = raw
    return {f"{wnid}.tar": tar_bytes(files) for wnid, files in by_class.items()}


def write_tars(
    root: Path,
    *,
    inner: dict[str, bytes] | None = None,
    val: dict[str, bytes] | None = None,
) -> tuple[Path, Path]:
    """Both tars in ILSVRC's structure, and a label file in the development kit's order."""
    root.mkdir(parents=True, exist_ok=True)
    (root / tars.TRAIN_TAR).write_bytes(tar_bytes(inner or inner_tars()))
    (root / tars.VAL_TAR).write_bytes(tar_bytes(val or val_images()))
    return root, write_label_list(root / "val.txt")


def write_label_list(path: Path) -> Path:
    """The reference's format, development kit's labels."""
    devkit = {w: n for n, w in enumerate(class_orders().ids_in("devkit"))}
    lines = [f"{name}.JPEG {devkit[wnid]}" for name, wnid in val_labels().items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def odd_files() -> dict[str, tuple[bytes, str]]:
    """Every odd kind of file by name, and the decision that it must get."""
    upright = picture(60, 80)
    return {
        "png.JPEG": (encoded(upright.convert("RGBA"), "PNG"), "converted"),
        "cmyk.JPEG": (jpeg_bytes(upright.convert("CMYK")), "converted"),
        "grey.JPEG": (jpeg_bytes(upright.convert("L")), "as_is"),
        "progressive.JPEG": (jpeg_bytes(upright, progressive=True), "as_is"),
        "turned.JPEG": (jpeg_bytes(upright, orientation=6), "as_is"),
        "truncated.JPEG": (jpeg_bytes(upright)[:-700], "refused"),
        "header.JPEG": (jpeg_bytes(upright)[:100], "refused"),
        "empty.JPEG": (b"", "refused"),
        "text.JPEG": (b"this is no image", "refused"),
        "webp.webp": (encoded(upright, "WEBP", lossless=True), "converted"),
    }


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of a kind that Pillow knows."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def damaged_behind_its_header(seed: int = 3) -> bytes:
    """A JPEG whose header and end mark are sound and whose Huffman table is nonsense."""
    raw = bytearray(jpeg_bytes(picture(60, 80, seed)))
    table = raw.find(b"\xff\xc4")
    raw[table + 5 : table + 21] = b"\xff" * 16
    return bytes(raw)
