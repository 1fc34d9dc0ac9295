"""Rows of an earlier manifest that still describe a source's files, found column by column."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.manifest import read_description, read_manifest
from harness.errors import DataError
from harness.sources.source import Source

COLUMNS = ["id", "label", "path", "bytes", "mtime_ns", "converted"]
"""What `still_valid` needs of a manifest."""

UNKNOWN = -1


def still_valid(
    earlier: pa.Table, source: Source, copy_is_whole: Callable[[int], bool]
) -> np.ndarray:
    """For each listed image the earlier row that describes it, by path, id, label, size and time.

    Args:
        earlier: rows with `COLUMNS`; of two rows with one path the first counts.
        source: as listed now.
        copy_is_whole: whether the converted copy of an earlier row is still there;
            asked for the few rows that have one.

    Returns:
        int64 [n], -1 where the image has to be inspected.
    """
    listed = source.listing
    if not len(earlier) or not len(listed):
        return np.full(len(listed), UNKNOWN, np.int64)
    paths = earlier["path"].combine_chunks()
    if paths.equals(listed.paths):  # as always where nothing came, vanished or moved
        known, found, at = np.arange(len(paths)), np.array(True), earlier
    else:
        place = pc.index_in(listed.paths, value_set=paths)
        known, found = pc.fill_null(place, 0).to_numpy().astype(np.int64), pc.is_valid(place)
        at = earlier.take(pa.array(known)).combine_chunks()
    same = (
        np.asarray(found)
        & (at["bytes"].to_numpy() == listed.size_bytes)
        & (at["label"].to_numpy() == listed.labels)
        & pc.fill_null(pc.equal(at["mtime_ns"], pa.array(listed.mtime_ns)), False).to_numpy()
        & pc.equal(at["id"], listed.ids(source.classes)).to_numpy()
    )
    copied = np.flatnonzero(same & pc.is_valid(at["converted"]).to_numpy())
    for image in copied.tolist():
        same[image] = copy_is_whole(int(known[image]))
    return np.where(same, known, UNKNOWN)


def copy_is_there(rows: pa.Table, folder: Path) -> Callable[[int], bool]:
    """Whether the converted copy of a row lies in a prepared folder."""

    def is_there(row: int) -> bool:
        return (folder / str(rows["converted"][row].as_py())).is_file()

    return is_there


def rows_of(kept: Path, source: Source, columns: Iterable[str] = ()) -> pa.Table | None:
    """Rows of a kept manifest, if it is about exactly these files, by path, class, size and time.

    One that is damaged, or a converted copy that is gone, has to be made again.

    Args:
        kept: its folder.
        source: as listed now.
        columns: that are wanted besides `COLUMNS`.
    """
    try:
        read_description(kept)
        rows = read_manifest(kept, list(dict.fromkeys([*COLUMNS, *columns])))
    except DataError:
        return None
    if len(rows) != source.count:
        return None
    known = still_valid(rows, source, copy_is_there(rows, kept))
    return rows if (known != UNKNOWN).all() else None
