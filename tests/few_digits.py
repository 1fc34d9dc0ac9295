"""Some of the embedded digits as a folder of images, for runs that train in seconds."""

from collections import Counter
from pathlib import Path

from harness.sources.digits import digit_files


def every_nth_digit(folder: Path, n: int) -> Path:
    """Each n-th digit of both splits; returns the folder."""
    return _written(folder, dict(list(digit_files())[::n]))


def digits_of_classes(folder: Path, classes: int, train: int, val: int) -> Path:
    """As many digits of each of the first classes; returns the folder."""
    left, taken = {"train": train, "val": val}, {}
    seen: Counter[tuple[str, str]] = Counter()
    for relative, jpeg in digit_files():
        split, name, _ = relative.split("/")
        if int(name) < classes and seen[split, name] < left[split]:
            seen[split, name] += 1
            taken[relative] = jpeg
    return _written(folder, taken)


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    for relative, jpeg in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg)
    return folder
