"""Class folders without a split: a share of each class is held back, by name."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError, UsageError
from harness.sources.detection import Told, find_source
from harness.sources.source import Source
from tests.parity.generated_images import jpeg_bytes, picture

PICTURE = jpeg_bytes(picture(8, 8))


def folders(root: Path, counts: dict[str, int], below: str = "") -> Path:
    for name, count in counts.items():
        for i in range(count):
            path = root / below / name / f"{name}-{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PICTURE)
    return root


def listed(root: Path, share: float) -> Source:
    found = find_source(root, root / "out", Told(val_share=share))
    assert isinstance(found, Source)
    return found


def held(source: Source) -> set[str]:
    names = source.listing.paths.to_pylist()
    return {name for name, val in zip(names, source.listing.in_val, strict=True) if val}


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.2, [10, 2, 1]), (0.5, [25, 5, 1]), (0.001, [1, 1, 1]), (0.99, [49, 9, 1])],
)
def test_the_share_of_each_class_is_held_back(
    share: float, expected: list[int], tmp_path: Path
) -> None:
    source = listed(folders(tmp_path, {"a": 50, "b": 10, "c": 2}), share)
    assert source.classes == ("a", "b", "c")
    counts = np.bincount(source.listing.labels[source.listing.in_val], minlength=3)
    assert counts.tolist() == expected
    assert source.notes == (f"{sum(expected)} of 62 images are held back for validation",)


def test_the_same_names_are_held_back_again_and_new_ones_move_few(tmp_path: Path) -> None:
    before = held(listed(folders(tmp_path / "one", {"a": 50}), 0.2))
    assert before == held(listed(folders(tmp_path / "two", {"a": 50}), 0.2))
    after = held(listed(folders(tmp_path / "one", {"a": 55}), 0.2))
    assert len(before & after) >= 7
    assert len(after) == 11


def test_what_cannot_be_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="b have one image alone"):
        listed(folders(tmp_path / "single", {"a": 3, "b": 1}), 0.2)
    split = folders(folders(tmp_path / "split", {"a": 2}, "train"), {"a": 2}, "val")
    with pytest.raises(UsageError, match="train and val lie there"):
        listed(split, 0.2)
