"""Other layouts of image files: a flat val folder, Kaggle's, and the reference's list files."""

from pathlib import Path

import numpy as np

from harness.data.class_order import CLASSES, Order, class_orders, translate_labels
from harness.data.sources.label_files import (
    bad_line,
    order_of,
    read_lines,
    read_named_labels,
    read_val_labels,
    refuse_labels_without_image,
)
from harness.data.sources.source import (
    Source,
    SourceImage,
    SplitName,
    files_of,
    image_of,
    list_split,
)
from harness.errors import DataError

KAGGLE_ROOT = "ILSVRC/Data/CLS-LOC"
KAGGLE_LABELS = "LOC_val_solution.csv"


def list_flat_val(root: Path, labels: dict[str, str], kind: str = "flat_val") -> Source:
    """List `train/<wnid>/*` and a flat `val/*` with labels from elsewhere.

    Args:
        root: folder that holds train and val.
        labels: class of each validation image by its name without extension.
        kind: recorded kind of source.

    Raises:
        DataError: an image without a label, a label without its image (unless
            the labels are all 50,000 of ImageNet), or a class that train does
            not have.
    """
    train = list_split(root, "train")
    classes = tuple(sorted({image.class_name for image in train}))
    val = [
        image_of(entry, root, "val", _label_of(entry.name, labels, root))
        for entry in files_of(root / "val", root)
    ]
    _check_val(val, labels, classes, root)
    refuse_labels_without_image(labels, {Path(i.path).name for i in val}, str(root / "val"))
    return Source(kind, root, (*train, *val), classes)


def list_kaggle(root: Path) -> Source:
    """List Kaggle's layout, `ILSVRC/Data/CLS-LOC/{train,val}` with `LOC_val_solution.csv`.

    Raises:
        DataError: a file is missing or contradicts another.
    """
    candidates = [folder / KAGGLE_LABELS for folder in (root, root / "ILSVRC")]
    path = next((c for c in candidates if c.exists()), candidates[0])
    return list_flat_val(root / KAGGLE_ROOT, read_val_labels(path), "kaggle")


def list_files(root: Path, lists: dict[SplitName, Path], order: Order | None = None) -> Source:
    """List the images that list files name, `relative/path label` a line.

    Images are looked for below `root` and below `root/train` or `root/val`.
    Where the files' names carry WordNet ids, or the list is ImageNet's
    validation list, the class order is found out and labels are translated to
    WordNet order; an order asked for must agree.

    Raises:
        DataError: a missing file or a label out of range (the line is named),
            an image that is named twice or lies outside `root`, or labels that
            contradict the files' names.
    """
    pairs = {
        split: read_named_labels(read_lines(path), path, _many_classes(order))
        for split, path in lists.items()
    }
    names = _class_names(pairs, lists, order)
    images: list[SourceImage] = []
    for split, path in lists.items():
        images += _listed_split(root, split, path, pairs[split], names)
    return Source("lists", root, tuple(images), tuple(sorted(set(names.values()))))


def _listed_split(
    root: Path,
    split: SplitName,
    path: Path,
    pairs: list[tuple[str, int]],
    names: dict[int, str],
) -> list[SourceImage]:
    images = []
    lines: dict[str, int] = {}
    for line, (relative, label) in enumerate(pairs, 1):
        found = _find(root, split, relative, path, line)
        images.append(_listed(found, root, split, names[label], path, line))
        first = lines.setdefault(images[-1].path, line)
        if first != line:
            raise bad_line(path, line, f"{relative}, as line {first} has", "each image once")
    return images


def _many_classes(order: Order | None) -> int:
    return CLASSES if order else 1_000_000


def _class_names(
    pairs: dict[SplitName, list[tuple[str, int]]],
    lists: dict[SplitName, Path],
    order: Order | None,
) -> dict[int, str]:
    """Class name of each label: a WordNet id, the images' common folder, or the number."""
    by_label: dict[int, set[str]] = {}
    for relative, label in pairs.get("train", []) + pairs.get("val", []):
        by_label.setdefault(label, set()).add(_wnid_in(relative))
    told = _imagenet_order(by_label, pairs, lists)
    if told is None and order is None:
        return {label: f"class-{label:04d}" for label in by_label}
    if told is not None and order is not None and told != order:
        raise DataError(
            f"the labels are in {told} order by the files' names",
            where=", ".join(str(path) for path in lists.values()),
            expected=f"{order} order, as asked for",
            remedy=f"leave --class-order out or say {told}",
        )
    wnids = class_orders().ids_in(told or order or "wordnet")
    return {label: wnids[label] for label in by_label}


def _imagenet_order(
    by_label: dict[int, set[str]],
    pairs: dict[SplitName, list[tuple[str, int]]],
    lists: dict[SplitName, Path],
) -> Order | None:
    """The order in which labels agree with the WordNet ids in the paths; None without ids."""
    index = {wnid: number for number, wnid in enumerate(class_orders().wnids)}
    seen = {label: wnids - {""} for label, wnids in by_label.items()}
    seen = {label: wnids for label, wnids in seen.items() if wnids & index.keys()}
    if not seen:
        stems = {n.rsplit("/", 1)[-1].split(".")[0]: label for n, label in pairs.get("val", [])}
        return order_of(stems)
    for order in ("wordnet", "devkit"):
        expected = _labels_in(order, index)
        if all(wnids == {expected.get(label)} for label, wnids in seen.items()):
            return order
    raise DataError(
        "labels contradict the WordNet ids in the files' names",
        where=", ".join(str(path) for path in lists.values()),
        expected="labels in WordNet order or in the development kit's order",
        remedy="correct the list",
    )


def _labels_in(order: Order, index: dict[str, int]) -> dict[int, str]:
    labels = translate_labels(np.arange(CLASSES), "wordnet", order)
    return {int(label): wnid for wnid, label in zip(index, labels, strict=True)}


def _wnid_in(relative: str) -> str:
    """The WordNet id that a training image's name or folder carries, or ""."""
    parts = relative.split("/")
    for text in (parts[-1].split("_")[0], parts[-2] if len(parts) > 1 else ""):
        if len(text) == 9 and text[0] == "n" and text[1:].isdigit():
            return text
    return ""


def _find(root: Path, split: SplitName, relative: str, path: Path, line: int) -> Path:
    for candidate in (root / relative, root / split / relative):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"line {line} names {relative}, which is missing",
        where=str(path),
        expected=f"an image below {root} or {root / split}",
        remedy="name the images' folder with --source, or correct the list",
    )


def _listed(
    found: Path, root: Path, split: SplitName, class_name: str, path: Path, line: int
) -> SourceImage:
    if not found.is_relative_to(root):
        raise bad_line(path, line, f"{found}", f"an image below {root}, the folder of --source")
    stat = found.stat()
    relative = found.relative_to(root).as_posix()
    return SourceImage(split, class_name, relative, stat.st_size, stat.st_mtime_ns)


def _label_of(name: str, labels: dict[str, str], root: Path) -> str:
    label = labels.get(name.split(".", maxsplit=1)[0])
    if label is None:
        raise DataError(
            f"the image {name} has no label",
            where=str(root / "val"),
            expected=f"one of the {len(labels):,} images that have a label",
            remedy="give the label file of these images, or remove the file",
        )
    return label


def _check_val(
    val: list[SourceImage], labels: dict[str, str], classes: tuple[str, ...], root: Path
) -> None:
    if not val:
        raise DataError(
            "there are no validation images",
            where=str(root / "val"),
            expected=f"{len(labels):,} images",
            remedy="put the validation images there",
        )
    surplus = sorted({image.class_name for image in val} - set(classes))
    if surplus:
        raise DataError(
            f"validation images belong to {len(surplus)} classes that train lacks: "
            f"{', '.join(surplus[:5])}",
            where=str(root),
            expected="a class folder in train for every class",
            remedy="add the missing classes, or give the labels of these images",
        )
