"""Where a prepared folder's images lie, also after folder or images were moved."""

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import numpy as np
import pyarrow as pa

from harness.data.manifest import DESCRIPTION, Description
from harness.errors import DataError

SAMPLE = 20
"""Images whose files are looked for when a folder is opened."""

IMAGES = "images"
_ABOVE = 3


def as_stored(root: Path, folder: Path) -> str:
    """How `dataset.json` names the images' folder: relative where it lies below its own."""
    root, folder = root.resolve(), folder.resolve()
    return root.relative_to(folder).as_posix() if root.is_relative_to(folder) else str(root)


def images_root(description: Description, folder: Path, rows: pa.Table) -> Path:
    """The images' folder, absolute.

    Images that were moved together with the prepared folder are found again:
    below it, beside it or above it.

    Args:
        description: of the prepared folder.
        folder: where it lies now.
        rows: with the columns `path` and `converted`.

    Raises:
        DataError: a file of the sample is not there.
    """
    sample = [rows.slice(place, 1).to_pylist()[0] for place in _spread(len(rows))]
    originals = [row["path"] for row in sample if row["converted"] is None]
    stored = folder / description.images_root
    places = _places(stored, folder) if originals else iter((stored,))
    root = next((p for p in places if any(_is_there(p, path) for path in originals)), stored)
    gone = [root / path for path in originals if not _is_there(root, path)]
    gone += [
        folder / row["converted"]
        for row in sample
        if row["converted"] is not None and not _is_there(folder, row["converted"])
    ]
    if gone:
        raise _gone(gone, len(sample), root, folder)
    return root


def _spread(rows: int) -> list[int]:
    return sorted({int(place) for place in np.linspace(0, rows - 1, min(rows, SAMPLE))})


def _places(stored: Path, folder: Path) -> Iterator[Path]:
    yield stored
    yield folder / IMAGES
    for above in (folder, *folder.parents)[: _ABOVE + 1]:
        yield above
        yield above / stored.name


def _is_there(root: Path, relative: str) -> bool:
    return os.path.exists(f"{root}/{relative}")  # noqa: PTH110 - a name may be any text


def _gone(gone: list[Path], sample: int, root: Path, folder: Path) -> DataError:
    return DataError(
        f"{len(gone)} of {sample} images that were looked for are not where they were when the "
        f"folder was prepared, such as {gone[0]}",
        where=str(folder / DESCRIPTION),
        expected=f"the images below {root}",
        remedy="put the images back, or make the manifest again where they are now: harness "
        f"prepare --source FOLDER_OF_IMAGES --out {quote(str(folder))}; it reads no file "
        "again that did not change. Where that folder cannot be written, name another --out",
    )
