"""From a listed source to a manifest: inspect every file once, in parallel, resumably."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.data.inspection import Inspection, inspect
from harness.data.manifest import SCHEMA
from harness.data.sources import Source, SourceImage
from harness.errors import DataError

PART_ROWS = 5_000


@dataclass(frozen=True)
class Progress:
    """How far a preparation is."""

    images: int
    images_total: int
    bytes: int
    bytes_total: int


OnProgress = Callable[[Progress], None]


def inspect_source(source: Source, out: Path, *, workers: int, on_progress: OnProgress) -> pa.Table:
    """Inspect every image of a source.

    Args:
        source: the listed images.
        out: folder for converted copies.
        workers: threads; reading and hashing release the interpreter's lock.
        on_progress: called from the calling thread after each part.

    Returns:
        The manifest's rows, sorted by id.
    """
    labels = {name: label for label, name in enumerate(source.classes)}
    total = sum(image.size_bytes for image in source.images)
    parts: list[pa.Table] = []
    done = done_bytes = 0
    with ThreadPoolExecutor(workers) as pool:
        for chunk in _chunks(source.images, PART_ROWS):
            rows = list(pool.map(lambda i: _row(i, labels[i.class_name], source.root, out), chunk))
            parts.append(pa.Table.from_pylist(rows, SCHEMA))
            done += len(chunk)
            done_bytes += sum(image.size_bytes for image in chunk)
            on_progress(Progress(done, len(source.images), done_bytes, total))
    return pa.concat_tables(parts).sort_by("id").combine_chunks()


def _row(image: SourceImage, label: int, root: Path, out: Path) -> dict[str, Any]:
    path = root / image.path
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read an image of the class {image.class_name}: {error.strerror}",
            where=str(path),
            expected="a readable file",
            remedy="check the file's permissions and the disk",
        ) from error
    facts = inspect(raw)
    return {
        "id": image.id,
        "split": image.split,
        "class": image.class_name,
        "label": label,
        "path": image.path,
        "bytes": facts.size_bytes,
        "mtime_ns": image.mtime_ns,
        "converted": _keep_converted(image, facts, out),
        **{name: getattr(facts, name) for name in _FACTS},
    }


_FACTS = ("sha256", "encoding", "colour_model", "width", "height", "orientation",
          "source_orientation", "decision", "reason", "farmhash64")  # fmt: skip


def _keep_converted(image: SourceImage, facts: Inspection, out: Path) -> str | None:
    if facts.converted is None:
        return None
    relative = f"converted/{image.id}.png"
    path = out / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(facts.converted)
    temporary.replace(path)
    return relative


def _chunks(images: Iterable[SourceImage], size: int) -> Iterator[list[SourceImage]]:
    iterator = iter(images)
    while chunk := list(islice(iterator, size)):
        yield chunk
