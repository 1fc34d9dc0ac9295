"""Any folder of image files as a split without classes, for benchmarks."""

from pathlib import Path

import numpy as np

from harness.data.dataset import Channels, Split
from harness.data.image_files.inspection import inspect
from harness.errors import DataError
from harness.sources.folders.names import EXTENSIONS


def loose_split(folder: Path) -> Split:
    """Every usable image below a folder, label 0; images that need conversion are left out.

    Raises:
        DataError: there is none.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS)
    facts = [(path, inspect(path.read_bytes())) for path in paths]
    usable = [(path, fact) for path, fact in facts if fact.decision == "as_is"]
    if not usable:
        raise DataError(
            "there is no JPEG and no plain PNG file",
            where=str(folder),
            expected="a prepared data set or any folder with JPEG or PNG files",
            remedy="name another folder",
        )
    grey = {fact.colour_model == "grey" for _, fact in usable}
    channels: Channels = "mixed" if len(grey) > 1 else 1 if True in grey else 3
    return Split(
        ids=tuple(path.relative_to(folder).as_posix() for path, _ in usable),
        paths=tuple(str(path.resolve()) for path, _ in usable),
        labels=np.zeros(len(usable), np.int32),
        farmhash64=np.array([fact.farmhash64 for _, fact in usable], np.uint64),
        heights=np.array([fact.height for _, fact in usable], np.int32),
        widths=np.array([fact.width for _, fact in usable], np.int32),
        orientations=np.array([fact.orientation for _, fact in usable], np.uint8),
        channels=channels,
    )
