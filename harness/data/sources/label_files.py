"""Labels of ImageNet's validation images, from any of the files that carry them.

Understood, one image a line: `NAME LABEL` (the reference's lists, labels in
either class order), a bare WordNet id (tensorflow-datasets), a bare class id
from 1 to 1000 (the development kit's ground truth), and Kaggle's
`LOC_val_solution.csv`. Bare lines stand for images 1, 2, 3, ...
"""

from importlib import util
from pathlib import Path

from harness.data.class_order import CLASSES, Order, class_orders
from harness.errors import DataError

VAL_NAME = "ILSVRC2012_val_{:08d}"
VAL_LABELS = 50_000
"""Labels of ImageNet's whole validation set."""

KAGGLE_HEADER = "ImageId,PredictionString"
FIRST_LABELS: dict[Order, tuple[int, ...]] = {
    "devkit": (489, 360, 170, 821, 296),
    "wordnet": (65, 970, 230, 809, 516),
}
"""Labels of validation images 1 to 5 in the published lists; they tell the orders apart."""

TFDS_LABELS = (
    "datasets/imagenet2012/validation_labels.txt",
    "image_classification/imagenet2012_validation_labels.txt",
)


def read_val_labels(path: Path, order: Order | None = None) -> dict[str, str]:
    """WordNet id of each validation image, by the image's name without extension.

    Args:
        path: the label file.
        order: class order of `NAME LABEL` lines; found out where possible when None.

    Raises:
        DataError: unreadable, a bad line (named), or an order that cannot be told.
    """
    lines = read_lines(path)
    if lines[0].strip() == KAGGLE_HEADER:
        return _kaggle(lines[1:], path)
    if len(lines[0].split()) > 1:
        return _named(lines, path, order)
    return _bare(lines, path)


def tfds_val_labels() -> Path | None:
    """The label file inside an installed tensorflow-datasets package, without importing it."""
    found = util.find_spec("tensorflow_datasets")
    for folder in (found.submodule_search_locations or []) if found else []:
        for relative in TFDS_LABELS:
            path = Path(folder) / relative
            if path.exists():
                return path
    return None


def refuse_labels_without_image(labels: dict[str, str], names: set[str], where: str) -> None:
    """Each label needs its image, unless the list is ImageNet's whole one: it serves subsets too.

    Args:
        labels: by the images' names without extension.
        names: file names of the images that there are.
        where: they are, for the message.

    Raises:
        DataError: an image is missing.
    """
    if len(labels) == VAL_LABELS:
        return
    missing = sorted(labels.keys() - {name.split(".", maxsplit=1)[0] for name in names})
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(labels):,} labels have no image: {', '.join(missing[:5])}",
            where=where,
            expected="every image of the label list",
            remedy="add the images, or take their lines out of the list",
        )


def label_number(text: str, classes: int, path: Path, line: int) -> int:
    """A label from a list file.

    Raises:
        DataError: no integer, or outside [0, classes).
    """
    if text.isascii() and text.isdigit() and int(text) < classes:
        return int(text)
    raise bad_line(path, line, f"the label {text!r}", f"an integer from 0 to {classes - 1}")


def order_of(labels: dict[str, int]) -> Order | None:
    """The class order in which named labels agree with the published lists, if they tell."""
    for order, first in FIRST_LABELS.items():
        known = {VAL_NAME.format(n): label for n, label in enumerate(first, 1)}
        shared = known.keys() & labels.keys()
        if shared and all(known[name] == labels[name] for name in shared):
            return order
    return None


def read_named_labels(lines: list[str], path: Path, classes: int) -> list[tuple[str, int]]:
    """`NAME LABEL` lines as pairs.

    Raises:
        DataError: a bad line, named by its number.
    """
    pairs = []
    for number, line in enumerate(lines, 1):
        parts = line.rsplit(maxsplit=1)
        if len(parts) != 2:
            raise bad_line(path, number, repr(line), "an image path, a space and a label")
        pairs.append((parts[0].strip(), label_number(parts[1], classes, path, number)))
    return pairs


def _named(lines: list[str], path: Path, order: Order | None) -> dict[str, str]:
    labels: dict[str, int] = {}
    seen: dict[str, int] = {}
    for line, (name, label) in enumerate(read_named_labels(lines, path, CLASSES), 1):
        stem = name.rsplit("/", 1)[-1].split(".")[0]
        _refuse_contradiction(labels.setdefault(stem, label), label, seen, stem, path, line)
    order = checked_order(labels, order, path)
    wnids = class_orders().ids_in(order)
    return {name: wnids[label] for name, label in labels.items()}


def checked_order(labels: dict[str, int], order: Order | None, path: Path) -> Order:
    """The order asked for or told by the first validation images; both must agree.

    Raises:
        DataError: they contradict, or neither says.
    """
    told = order_of(labels)
    if order is None and told is None:
        raise DataError(
            "the class order of the labels cannot be told",
            where=str(path),
            expected="--class-order devkit (the reference's lists) or --class-order wordnet",
            remedy="say which; the wrong one scores about 0 %",
        )
    if order is not None and told is not None and order != told:
        raise DataError(
            f"the labels are in {told} order",
            where=str(path),
            expected=f"{order} order, as asked for",
            remedy=f"leave --class-order out or say {told}",
        )
    return order or told or "wordnet"


def _bare(lines: list[str], path: Path) -> dict[str, str]:
    known = set(class_orders().wnids)
    devkit = class_orders().ids_in("devkit")
    labels = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.isascii() and text.isdigit() and 1 <= int(text) <= CLASSES:
            wnid = devkit[int(text) - 1]
        elif text in known:
            wnid = text
        else:
            raise bad_line(path, number, repr(text), "a WordNet id or a class id from 1 to 1000")
        labels[VAL_NAME.format(number)] = wnid
    return labels


def _kaggle(lines: list[str], path: Path) -> dict[str, str]:
    known = set(class_orders().wnids)
    labels: dict[str, str] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 2):
        name, _, prediction = line.partition(",")
        wnid = prediction.split(" ", 1)[0]
        if wnid not in known:
            raise bad_line(path, number, repr(wnid), "a WordNet id after the comma")
        _refuse_contradiction(labels.setdefault(name, wnid), wnid, seen, name, path, number)
    return labels


def _refuse_contradiction(
    earlier: int | str, label: int | str, seen: dict[str, int], name: str, path: Path, line: int
) -> None:
    first = seen.setdefault(name, line)
    if earlier != label:
        found = f"the label {label} for {name}, which line {first} gives the label {earlier}"
        raise bad_line(path, line, found, "one label for each image")


def read_lines(path: Path) -> list[str]:
    """Lines of a text file that are not blank; at least one.

    Raises:
        DataError: unreadable, no text, or empty.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the list: {error}",
            where=str(path),
            expected="a text file with one line per image",
            remedy="check the path and its permissions",
        ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise bad_line(path, 1, "nothing", "one line per image")
    return lines


def bad_line(path: Path, line: int, found: str, expected: str) -> DataError:
    """The error about one line of a list."""
    return DataError(
        f"line {line} has {found}",
        where=str(path),
        expected=expected,
        remedy="correct the line or name the right file",
    )
