"""A tiny fixed subset of ImageNet: ten named classes, a few images each, as links."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.data.manifest import DESCRIPTION
from harness.data.opening import load
from harness.errors import DataError
from harness.sources.detection import find_folder

SUBSET_CLASSES = (
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
    "n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
)  # fmt: skip
"""Tench, springer spaniel, cassette player, chain saw, church, French horn, garbage truck,
gas pump, golf ball, parachute."""
SUBSET_TRAIN = 64
SUBSET_VAL = 20

FindImages = Callable[[str, str], list[Path]]
"""(split, WordNet id) -> image files, sorted by name."""


def imagenet_subset(imagenet: Path, runs: Path) -> Path:
    """Ten named classes of ImageNet, a few images each, as links in a folder of their own.

    Raises:
        DataError: a class or images are missing.
    """
    folder = runs / "datasets" / "imagenet-smoke"
    find = _prepared_images(imagenet) if (imagenet / DESCRIPTION).exists() else _plain(imagenet)
    for split, count in (("train", SUBSET_TRAIN), ("val", SUBSET_VAL)):
        for name in SUBSET_CLASSES:
            images = find(split, name)
            if len(images) < count:
                raise _too_few(len(images), count, f"{imagenet}, {split}/{name}")
            _link(images[:count], folder / split / name)
    return folder


def _plain(imagenet: Path) -> FindImages:
    source = find_folder(imagenet)
    listed = source.listing

    def find(split: str, name: str) -> list[Path]:
        if name not in source.classes:
            return []
        of_class = listed.labels == source.classes.index(name)
        places = np.flatnonzero(of_class & (listed.in_val == (split == "val")))
        return sorted(source.root / listed.paths[place].as_py() for place in places.tolist())

    return find


def _prepared_images(imagenet: Path) -> FindImages:
    data = load(imagenet)
    splits = {"train": data.train, "val": data.val}

    def find(split: str, name: str) -> list[Path]:
        if name not in data.classes:
            return []
        places = np.flatnonzero(splits[split].labels == data.classes.index(name))
        return [Path(splits[split].paths[int(place)]) for place in places]

    return find


def _too_few(found: int, count: int, where: str) -> DataError:
    return DataError(
        f"{found} images where the smoke takes {count}",
        where=where,
        expected="ImageNet as train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, or as `harness prepare` "
        "leaves it",
        remedy="set IMAGENET_DIR to such a folder, or unset it: the smoke then takes its embedded "
        "digits",
    )


def _link(images: list[Path], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    wanted = {image.name for image in images}
    for stale in (link for link in target.iterdir() if link.name not in wanted):
        stale.unlink()
    for image in images:
        link = target / image.name
        if not link.is_symlink() or link.readlink() != image.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(image.resolve())
