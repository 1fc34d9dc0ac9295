"""Per-image predictions in Parquet: what makes an accuracy checkable and comparable.

Columns: `image_id` (string), `label` (int32), `top5_class` (5 x int32, most
probable first), `top5_probability` (5 x float32). With fewer than five classes
the surplus places hold class -1 and probability 0.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import RecordError
from harness.files import replaced

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("label", pa.int32()),
        ("top5_class", pa.list_(pa.int32(), 5)),
        ("top5_probability", pa.list_(pa.float32(), 5)),
    ]
)


def predictions_table(
    image_ids: list[str],
    labels: np.ndarray,
    top5_class: np.ndarray,
    top5_probability: np.ndarray,
    metadata: dict[str, str],
) -> pa.Table:
    """Build the table.

    Args:
        image_ids: n names, each once.
        labels: int32 [n].
        top5_class: int32 [n, 5].
        top5_probability: float32 [n, 5].
        metadata: text kept in the file's footer (protocol, data root, weights).

    Raises:
        RecordError: an image occurs twice or the lengths differ.
    """
    if len(set(image_ids)) != len(image_ids) or len(image_ids) != len(labels):
        raise RecordError(
            f"{len(image_ids)} predictions for {len(set(image_ids))} images",
            expected="each image exactly once",
            remedy="this is a defect of the evaluation; keep the run's folder and report it",
        )
    columns = [
        pa.array(image_ids, pa.string()),
        pa.array(labels.astype(np.int32)),
        pa.FixedSizeListArray.from_arrays(pa.array(top5_class.astype(np.int32).ravel()), 5),
        pa.FixedSizeListArray.from_arrays(pa.array(top5_probability.astype(np.float32).ravel()), 5),
    ]
    table = pa.Table.from_arrays(columns, schema=SCHEMA)
    return table.replace_schema_metadata(metadata)


def write_predictions(table: pa.Table, path: Path) -> str:
    """Write atomically; returns the file's hex sha256."""
    with replaced(path) as temporary:
        # An absolute path is never read as an address, whatever its folders are called.
        pq.write_table(table, temporary.absolute(), compression="zstd")
        with temporary.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_predictions(path: Path) -> pa.Table:
    """Read and check a prediction file.

    Raises:
        RecordError: unreadable, another schema, or an image that occurs twice.
    """
    try:
        table = pq.read_table(path.absolute())
    except (OSError, pa.ArrowInvalid) as error:
        raise RecordError(
            f"cannot read predictions: {error}",
            where=str(path),
            expected="a Parquet file written by `harness run` or `harness evaluate`",
            remedy="evaluate again, or restore the file from a copy",
        ) from error
    if table.schema.remove_metadata() != SCHEMA:
        raise RecordError(
            f"the file has the columns {', '.join(table.schema.names)}",
            where=str(path),
            expected=", ".join(SCHEMA.names),
            remedy="name a prediction file of this harness",
        )
    ids = table.column("image_id").to_pylist()
    if len(set(ids)) != len(ids):
        doubled = sorted({i for i in ids if ids.count(i) > 1})[:3] if len(ids) < 10_000 else []
        raise RecordError(
            f"images occur more than once {doubled or ''}".strip(),
            where=str(path),
            expected="each image exactly once",
            remedy="evaluate again; predictions are never concatenated",
        )
    return table
