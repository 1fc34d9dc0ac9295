"""The manifest: one row per image in `manifest.parquet`, and `dataset.json` beside it.

Two copies of a data set are equal exactly when their root digests are: the
root is the SHA-256 over the rows `id<TAB>class<TAB>sha256<NEWLINE>` sorted by
id, where sha256 covers the original file's bytes. Where the files lie and how
they were packed does not matter.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from harness.data.string_column import text_buffer
from harness.errors import DataError
from harness.files import write_durably
from harness.frozen import Frozen
from harness.record.schema import DataIdentity
from harness.sources.source import Truth

MANIFEST = "manifest.parquet"
DESCRIPTION = "dataset.json"
EARLIER = "earlier"
EARLIER_KEPT = 3
DIGEST_ROWS = 100_000
ROWS_PER_GROUP = 65_536
DIGEST_COLUMNS = ["id", "class", "sha256"]

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # train/n01440764/n01440764_10026.JPEG, whatever the layout on disk
        ("split", pa.string()),  # train or val
        ("class", pa.string()),
        ("label", pa.int32()),
        ("path", pa.string()),  # of the original, relative to the images' root
        ("bytes", pa.int64()),  # of the original
        ("mtime_ns", pa.int64()),  # of the original
        ("sha256", pa.string()),  # of the original
        ("encoding", pa.string()),
        ("colour_model", pa.string()),
        ("width", pa.int32()),  # of the file that is read, before EXIF orientation
        ("height", pa.int32()),
        ("orientation", pa.uint8()),  # of the file that is read, EXIF 1 to 8
        ("source_orientation", pa.uint8()),
        ("decision", pa.string()),  # as_is, converted, refused
        ("reason", pa.string()),
        ("converted", pa.string()),  # relative to the manifest's folder; null when as_is
        ("farmhash64", pa.uint64()),  # of the file that is read
    ]
)


class Description(Frozen):
    """`dataset.json`: what the manifest is about."""

    version: Literal[1] = 1
    identity: DataIdentity
    source: str = Field(
        description="folder, flat, flat_val, kaggle, lists, tars, tfds, idx, cifar_binary"
    )
    images_root: str = Field(
        description="folder that `path` is relative to; relative to this file's own where it lies "
        "below it, else absolute"
    )
    as_is: int = Field(ge=0)
    converted: int = Field(ge=0)
    refused: int = Field(ge=0)
    turned: int = Field(ge=0, description="images that EXIF orientation turns or mirrors")
    truths: tuple[Truth, ...]


def root_digest(rows: pa.Table) -> str:
    """Hex sha256 over id, class and content of every row; rows must be sorted by id."""
    digest = hashlib.sha256()
    for batch in rows.select(DIGEST_COLUMNS).to_batches(max_chunksize=DIGEST_ROWS):
        lines = pc.binary_join_element_wise(*batch.columns, "\t")
        lines = pc.binary_join_element_wise(lines, "\n", "")
        digest.update(text_buffer(lines)[1])
    return digest.hexdigest()


def write_manifest(rows: pa.Table, description: Description, folder: Path) -> None:
    """Write both files atomically; `dataset.json` last, so that it vouches for the manifest.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    keep_earlier(folder, description.identity.root_digest)

    def write_rows(path: Path) -> None:
        pq.write_table(rows, path.absolute(), compression="zstd", row_group_size=ROWS_PER_GROUP)

    text = description.model_dump_json(indent=2) + "\n"
    write_durably(folder / MANIFEST, write_rows)
    write_durably(folder / DESCRIPTION, lambda path: path.write_text(text, encoding="utf-8"))


def earlier_manifest(folder: Path, root: str) -> Path:
    """Where the manifest of an earlier state of a data set is kept, by its root digest."""
    return folder / EARLIER / f"manifest-{root}.parquet"


def keep_earlier(folder: Path, new_root: str) -> None:
    """Keep the manifest of another state of the data, which is about to be written over.

    A run that began with that state can then tell which images changed. The
    newest few are kept.

    Raises:
        MachineError: the folder cannot be written.
    """
    try:
        root = read_description(folder).identity.root_digest
    except DataError:
        return  # there is none, or nothing vouches for it
    if root == new_root or not (folder / MANIFEST).exists():
        return
    write_durably(
        earlier_manifest(folder, root), lambda path: shutil.copyfile(folder / MANIFEST, path)
    )
    kept = sorted((folder / EARLIER).glob("manifest-*.parquet"), key=lambda p: p.stat().st_mtime_ns)
    for file in kept[:-EARLIER_KEPT]:
        file.unlink()


def read_description(folder: Path) -> Description:
    """Read `dataset.json`.

    Raises:
        DataError: missing, unreadable or from another version.
    """
    path = folder / DESCRIPTION
    try:
        return Description.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # no UTF-8, or no description
        raise DataError(
            f"cannot read the data set's description: {error}",
            where=str(path),
            expected="a file written by `harness prepare`",
            remedy="prepare the data set again",
        ) from error


def read_manifest(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """Read the rows, all columns or some.

    Raises:
        DataError: missing, unreadable or with other columns.
    """
    return read_rows(folder / MANIFEST, columns)


def read_rows(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The same of a file.

    Raises:
        DataError: missing, unreadable or with other columns.
    """
    try:
        with pq.ParquetFile(path.absolute()) as file:  # half the time of `read_table`
            names = file.schema_arrow.names
            if names == SCHEMA.names:
                return file.read(columns=columns, use_threads=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, str(error)) from error
    raise _unreadable(path, f"its columns are {', '.join(names)}")


def _unreadable(path: Path, found: str) -> DataError:
    return DataError(
        f"cannot read the manifest: {found}",
        where=str(path),
        expected=f"a Parquet file with the columns {', '.join(SCHEMA.names)}",
        remedy="prepare the data set again",
    )
