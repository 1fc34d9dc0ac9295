"""The reference's list files: `relative/path label` lines that name every image."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from harness.errors import DataError
from harness.recipes.imagenet import CLASSES
from harness.sources.class_order import Order, class_orders, translate_labels
from harness.sources.folders.names import WNID, normal, shown
from harness.sources.folders.tree import entries_if_readable
from harness.sources.labels.files import LabelledName, label_number, read_pairs
from harness.sources.labels.numbers import order_of
from harness.sources.labels.text import bad_line
from harness.sources.source import SPLITS, Listing, Source, SplitName


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
    numbered = {split: _numbers(path, order) for split, path in lists.items()}
    pairs = {s: [(pair.name, label) for pair, label in found] for s, found in numbered.items()}
    names = _class_names(pairs, lists, order)
    classes = tuple(sorted(set(names.values())))
    place = {name: label for label, name in enumerate(classes)}
    columns = _Columns(root)
    for split in SPLITS:
        columns.add(split, lists[split], [(p, place[names[label]]) for p, label in numbered[split]])
    return Source("lists", root, columns.listing(), classes)


def _numbers(path: Path, order: Order | None) -> list[tuple[LabelledName, int]]:
    most = _many_classes(order)
    return [(p, label_number(p.label, most, str(path), p.line)) for p in read_pairs(path)]


class _Columns:
    """The images of both lists as they are found."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: list[str] = []
        self.facts: list[tuple[int, bool, int, int]] = []

    def add(self, split: SplitName, path: Path, pairs: list[tuple[LabelledName, int]]) -> None:
        """Find the images of one list.

        Raises:
            DataError: one is missing, outside the root, or named twice.
        """
        lines: dict[str, int] = {}
        for pair, label in pairs:
            relative, stat = _found(self.root, split, pair, path)
            first = lines.setdefault(relative, pair.line)
            if first != pair.line:
                found = f"{shown(pair.name)}, as line {first} has"
                raise bad_line(str(path), pair.line, found, "each image once")
            self.paths.append(relative)
            self.facts.append((label, split == "val", stat.st_size, stat.st_mtime_ns))

    def listing(self) -> Listing:
        """What was found."""
        labels, in_val, sizes, times = np.array(self.facts, np.int64).reshape(-1, 4).T
        return Listing(
            paths=pa.array(self.paths, pa.string()),
            names=pa.array([path.rsplit("/", 1)[-1] for path in self.paths], pa.string()),
            labels=labels.astype(np.int32),
            in_val=in_val.astype(bool),
            size_bytes=sizes,
            mtime_ns=times,
        )


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
    parts = relative.replace("\\", "/").split("/")
    for text in (parts[-1].split("_")[0], parts[-2] if len(parts) > 1 else ""):
        if WNID.fullmatch(text):
            return text
    return ""


def _found(
    root: Path, split: SplitName, pair: LabelledName, path: Path
) -> tuple[str, os.stat_result]:
    """Path relative to the root and state of a list's image.

    Lists come from other systems: with backslashes, and with letters in another
    form than the file system has them.
    """
    for relative in dict.fromkeys((pair.name, pair.name.replace("\\", "/"))):
        for base in (root, root / split):
            for candidate in (base / relative, _same_letters(base, relative)):
                stat = _state(candidate)
                if candidate is None or stat is None:
                    continue
                if not candidate.is_relative_to(root) or ".." in candidate.parts:
                    expected = f"an image below {root}, the folder of --source"
                    raise bad_line(str(path), pair.line, f"{candidate}", expected)
                return candidate.relative_to(root).as_posix(), stat
    raise DataError(
        f"line {pair.line} names {shown(pair.name)}, which is missing",
        where=str(path),
        expected=f"an image below {root} or {root / split}",
        remedy="name the images' folder with --source, or correct the list",
    )


def _state(candidate: Path | None) -> os.stat_result | None:
    try:
        return candidate.stat() if candidate is not None and candidate.is_file() else None
    except (OSError, ValueError):
        return None


def _same_letters(base: Path, relative: str) -> Path | None:
    """The path below `base` that is equal in normal form; only looked for where letters need it."""
    if relative.isascii():
        return None
    folder = base
    for part in Path(relative).parts:
        entries = (e.name for e in entries_if_readable(folder) if normal(e.name) == normal(part))
        name = next(entries, None)
        if name is None:
            return None
        folder /= name
    return folder
