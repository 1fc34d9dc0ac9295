"""Labels of ImageNet's validation images, from any of the files that carry them.

Understood, one image a line: a name and a label in either order of columns (the
reference's lists, Kaggle's `LOC_val_solution.csv`, what spreadsheets save), a
bare WordNet id (tensorflow-datasets), or a bare class id from 1 to 1000 (the
development kit's ground truth). A label is a WordNet id, the name of a class
folder, or a number in either class order. Bare lines stand for images 1, 2, 3, ...
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.recipes.imagenet import CLASSES, VAL_IMAGES
from harness.sources.class_order import Order, class_orders
from harness.sources.folders.names import EXTENSIONS, WNID, normal, shown, shown_all, stem, suffix
from harness.sources.labels.numbers import VAL_NAME, bare_way, way_of
from harness.sources.labels.text import TextRow, bad_line, read_rows

KAGGLE_LABELS = "LOC_val_solution.csv"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"

_NAME_HEADS = frozenset(
    {"imageid", "image", "imagename", "img", "filename", "file", "filepath", "path", "name"}
)
_LABEL_HEADS = frozenset(
    {"predictionstring", "label", "labels", "class", "classname", "classid", "wnid", "synset",
     "synsetid", "category", "categoryname", "categoryid", "target", "labelid", "labelidx"}
)  # fmt: skip


def read_val_labels(
    path: Path, order: Order | None = None, classes: Collection[str] = ()
) -> dict[str, str]:
    """Class of each validation image, by the image's name without suffix.

    Args:
        path: the label file.
        order: class order of numbers; found out where possible when None.
        classes: names of the training classes, which may be labels too.

    Raises:
        DataError: unreadable, a bad line (named), an order that cannot be told, or
            one that was given and is not needed.
    """
    return labels_of_rows(read_rows(path), str(path), order, classes)


def labels_of_rows(
    rows: Sequence[TextRow], path: str, order: Order | None = None, classes: Collection[str] = ()
) -> dict[str, str]:
    """The same from rows that were read already; `path` is where, for messages."""
    known = {normal(name): name for name in (*class_orders().wnids, *classes)}
    pairs = _pairs(rows, known, path)
    texts = [known.get(normal(pair.label)) for pair in pairs]
    if all(text is not None for text in texts):
        if order is not None:
            raise _order_unused(path)
        named = [str(text) for text in texts]
    else:
        _refuse_words(pairs, known, path)
        named = _numbered(pairs, order, path, classes)
    labels: dict[str, str] = {}
    seen: dict[str, int] = {}
    for pair, label in zip(pairs, named, strict=True):
        first = seen.setdefault(pair.stem, pair.line)
        if labels.setdefault(pair.stem, label) != label:
            found = (
                f"the label {pair.label} for {shown(pair.stem)}, "
                f"which line {first} gives the label {labels[pair.stem]}"
            )
            raise bad_line(path, pair.line, found, "one label for each image")
    return labels


def refuse_labels_without_image(
    labels: Mapping[str, str], names: Collection[str], where: str
) -> None:
    """Each label needs its image, unless the list is ImageNet's whole one: it serves subsets too.

    Args:
        labels: by the images' names without suffix.
        names: file names of the images that there are.
        where: they are, for the message.

    Raises:
        DataError: an image is missing.
    """
    if len(labels) == VAL_IMAGES:
        return
    missing = sorted(labels.keys() - {stem(name) for name in names})
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(labels):,} labels have no image: {shown_all(missing)}",
            where=where,
            expected="every image of the label list",
            remedy="add the images, or take their lines out of the list",
        )


def label_number(text: str, classes: int, path: str, line: int) -> int:
    """A label from a list file.

    Raises:
        DataError: no integer, or outside [0, classes).
    """
    if text.isascii() and text.isdigit() and int(text) < classes:
        return int(text)
    raise bad_line(path, line, f"the label {text!a}", f"an integer from 0 to {classes - 1}")


@dataclass(frozen=True)
class LabelledName:
    """A line's image, by its path as written, and its label's text."""

    line: int
    name: str
    label: str

    @property
    def stem(self) -> str:
        """The image's name without folders and suffix."""
        return stem(self.name)


def read_pairs(path: Path) -> list[LabelledName]:
    """Lines of a list, `path label` each, whatever separates them.

    Raises:
        DataError: unreadable, empty, or a line without a label.
    """
    return _columns(read_rows(path), {}, str(path))


def _pairs(rows: Sequence[TextRow], known: Mapping[str, str], path: str) -> list[LabelledName]:
    if any(len(_filled(row)) > 1 for row in rows[:2]):
        return _columns(rows, known, path)
    bare = rows[1:] if len(rows) > 1 and not _is_label(rows[0].fields[0], known) else rows
    for row in bare:
        if len(_filled(row)) != 1:
            raise bad_line(path, row.line, shown(" ".join(row.fields)), "one label, as before")
    return [
        LabelledName(row.line, VAL_NAME.format(n), row.fields[0]) for n, row in enumerate(bare, 1)
    ]


def _filled(row: TextRow) -> tuple[str, ...]:
    """The fields up to the last one that is not empty: spreadsheets add empty ones."""
    fields = row.fields
    while fields and not fields[-1]:
        fields = fields[:-1]
    return fields


def _columns(rows: Sequence[TextRow], known: Mapping[str, str], path: str) -> list[LabelledName]:
    heads = [_head(field) for field in rows[0].fields]
    if _is_header(rows, heads, known):
        rows = rows[1:]
        if not rows:
            raise bad_line(path, 2, "nothing", "one line per image below the header")
    else:
        heads = []
    name, label = _places(rows[0], heads, known)
    pairs = []
    for row in rows:
        fields = _filled(row)
        if len(fields) <= max(name, label) or not fields[name]:
            text = shown(" ".join(row.fields))
            raise bad_line(path, row.line, repr(text), "an image path, a space and a label")
        _refuse_several(fields[label] if heads else " ".join(fields[label:]), row.line, path)
        pairs.append(LabelledName(row.line, fields[name], _label(fields[label:], known)))
    return pairs


def _refuse_several(text: str, line: int, path: str) -> None:
    """One image has one class; Kaggle repeats it for each of its boxes."""
    if len(found := dict.fromkeys(WNID.findall(text))) > 1:
        raise bad_line(path, line, f"the labels {' and '.join(found)}", "one label for each image")


def _label(fields: Sequence[str], known: Mapping[str, str]) -> str:
    """A class whose name may hold blanks, else the first word; spreadsheets write 489 as 489.0."""
    whole = next((t for t in (fields[0], " ".join(fields)) if normal(t) in known), "")
    return whole or re.sub(r"^(\d+)\.0+$", r"\1", fields[0].split()[0])


def _head(field: str) -> str:
    return "".join(c for c in field.casefold() if c.isalnum())


def _is_header(rows: Sequence[TextRow], heads: Sequence[str], known: Mapping[str, str]) -> bool:
    first = rows[0].fields
    if any(_is_image(field) for field in first):
        return False
    if any(head in _NAME_HEADS or head in _LABEL_HEADS for head in heads):
        return True
    # Words that are no labels above lines that end in one.
    return len(rows) > 1 and not _has_label(first, known) and _has_label(rows[1].fields, known)


def _has_label(fields: Sequence[str], known: Mapping[str, str]) -> bool:
    return any(_is_label(field, known) for field in fields[1:])


def _places(row: TextRow, heads: Sequence[str], known: Mapping[str, str]) -> tuple[int, int]:
    """Which fields hold the name and the label, by the header or by the first line."""
    fields = row.fields
    columns = range(len(fields))
    name = next((i for i, head in enumerate(heads) if head in _NAME_HEADS), None)
    named = [i for i, head in enumerate(heads) if head in _LABEL_HEADS]
    label = next((i for i in named if _is_label(fields[i], known)), named[0] if named else None)
    if name is None:
        images = (i for i in columns if i != label and _is_image(fields[i]))
        name = next(images, next(i for i in (0, 1) if i != label))
    if label is None:
        behind = sorted(columns, key=lambda i: i < name)
        labels = (i for i in behind if i != name and _is_label(fields[i], known))
        label = next(labels, next(i for i in (1, 0) if i != name))
    return name, label


def _is_image(field: str) -> bool:
    return suffix(field) in EXTENSIONS or stem(field).startswith("ILSVRC2012_")


def _is_label(field: str, known: Mapping[str, str]) -> bool:
    text = _label([field], known) if field.strip() else ""
    return (text.isascii() and text.isdigit()) or bool(WNID.fullmatch(text)) or text in known


def _numbered(
    pairs: Sequence[LabelledName], order: Order | None, path: str, classes: Collection[str]
) -> list[str]:
    bare = len(pairs) > 0 and all(p.name == VAL_NAME.format(n) for n, p in enumerate(pairs, 1))
    numbers = {pair.stem: int(pair.label) for pair in pairs}
    default = bare_way(numbers, order) if bare else None
    way = way_of(numbers, order, path, default, classes)
    named = []
    for pair in pairs:
        wnid = way.wnid(int(pair.label))
        if wnid is None:
            expected = f"an integer from {way.first} to {CLASSES - 1 + way.first}"
            raise bad_line(path, pair.line, f"the label {pair.label!a}", expected)
        named.append(wnid)
    return named


def _refuse_words(pairs: Sequence[LabelledName], known: Mapping[str, str], path: str) -> None:
    """Labels are all names of classes or all numbers; the first that is neither is named."""
    names = any(normal(pair.label) in known for pair in pairs)
    for pair in pairs:
        number = pair.label.isascii() and pair.label.isdigit()
        if normal(pair.label) not in known if names else not number:
            raise bad_line(
                path,
                pair.line,
                f"the label {pair.label!a}",
                "a WordNet id, the name of a class folder of train, or a class number",
            )


def _order_unused(path: str) -> DataError:
    return DataError(
        "--class-order is given and not needed: the labels are names of classes",
        where=path,
        expected="--class-order only for labels that are numbers",
        remedy="leave --class-order out",
    )
