"""From a source to a manifest's rows: inspect every file once, in parallel, resumably."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.image_files.inspection import Inspection, farmhash64, inspect_all
from harness.data.manifest import MANIFEST, SCHEMA
from harness.data.sources.source import ImageSource, Item, SourceImage
from harness.errors import DataError
from harness.files import write_durably, write_file

PART_ROWS = 2_000
PARTS = ".parts"
BATCH_IMAGES = 16
"""Images of one task: handing over each by itself cost a third of the rate."""
BATCH_BYTES = 4 << 20
"""Ends a task early, so that large images do not fill the memory."""
PENDING_PER_WORKER = 3


@dataclass(frozen=True)
class Progress:
    """How far a preparation is; `images_total` is None while it cannot be known."""

    images: int
    images_total: int | None
    bytes_done: int
    bytes_total: int


OnProgress = Callable[[Progress], None]


class Preparation:
    """Rows of a source, those of an earlier, interrupted preparation included.

    Args:
        source: the images.
        out: folder for parts and converted copies.
        workers: threads; reading and hashing release the interpreter's lock.
        rehash: inspect everything anew, whatever is known.
        decode: decode every image, not only its header; inspects everything anew.
        on_progress: called from the calling thread.
    """

    def __init__(
        self,
        source: ImageSource,
        out: Path,
        *,
        workers: int,
        rehash: bool = False,
        decode: bool = False,
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        self.source = source
        self.out = out
        self.workers = workers
        self.decode = decode
        self.on_progress = on_progress
        self.labels = {name: label for label, name in enumerate(source.classes)}
        self.images = self.bytes_done = 0
        self.images_total, self.bytes_total = source.count, source.size_bytes
        self.earlier = SCHEMA.empty_table() if rehash or decode else earlier_rows(out)
        self.known = _row_of(self.earlier)
        self.kept: list[int] = []

    def rows(self) -> pa.Table:
        """Inspect what is not known yet; rows sorted by id.

        Raises:
            DataError: a file cannot be read.
            MachineError: the disk is full or the folder cannot be written.
        """
        parts = [SCHEMA.empty_table()]
        fresh: list[dict[str, Any]] = []
        for row in self._inspected():
            fresh.append(row)
            if len(fresh) == PART_ROWS:
                parts.append(write_part(fresh, self.out))
                fresh = []
        parts.append(pa.Table.from_pylist(fresh, SCHEMA))
        parts.append(self.earlier.take(pa.array(self.kept, pa.int64())))
        return pa.concat_tables(parts).sort_by("id").combine_chunks()

    def _inspected(self) -> Iterator[dict[str, Any]]:
        pool = ThreadPoolExecutor(self.workers)
        pending: deque[Future[list[dict[str, Any]]]] = deque()
        try:
            for batch in in_tasks(self._unknown()):
                pending.append(pool.submit(self._inspect, batch))
                if len(pending) >= PENDING_PER_WORKER * self.workers:
                    yield from self._finished(pending.popleft())
            while pending:
                yield from self._finished(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _unknown(self) -> Iterator[Item]:
        """Items that no earlier row describes; the others' rows are kept."""
        unpacked: set[str] = set()
        for image, raw in self.source.items(self._read):
            if raw is not None:
                _refuse_second(image, unpacked, self.source.origin)
            place = self.known.get(image.path)
            if place is not None and self._unchanged(image, raw, place):
                self.kept.append(place)
                self._count(image)
            else:
                yield image, raw

    def _unchanged(self, image: SourceImage, raw: bytes | None, place: int) -> bool:
        row = {name: self.earlier[name][place].as_py() for name in _IDENTITY}
        if (row["id"], row["bytes"], row["label"]) != (
            image.id,
            image.size_bytes,
            self.labels[image.class_name],
        ):
            return False
        # Small images of one size have files of one size: only the content tells them apart.
        if raw is not None and hashlib.sha256(raw).hexdigest() != row["sha256"]:
            return False
        # The row agrees with the source; what was unpacked may have been lost since.
        unpacked = self.source.root / image.path
        state = (image.size_bytes, image.mtime_ns) if raw is None else _state(unpacked)
        return state == (row["bytes"], row["mtime_ns"]) and self._copy_is_whole(row, place)

    def _copy_is_whole(self, row: dict[str, Any], place: int) -> bool:
        if row["converted"] is None:
            return True
        try:
            content = (self.out / row["converted"]).read_bytes()
        except OSError:
            return False
        return farmhash64([content]) == [self.earlier["farmhash64"][place].as_py()]

    def _inspect(self, batch: list[Item]) -> list[dict[str, Any]]:
        contents, mtimes_ns = [], []
        for image, raw in batch:
            path = self.source.root / image.path
            if raw is None:
                contents.append(_read_file(path, image))
                mtimes_ns.append(image.mtime_ns)
            else:
                write_file(path, raw)
                contents.append(raw)
                mtimes_ns.append(path.stat().st_mtime_ns)
        images = (image for image, _ in batch)
        found = zip(images, mtimes_ns, inspect_all(contents, decode=self.decode), strict=True)
        return [self._row(image, mtime_ns, facts) for image, mtime_ns, facts in found]

    def _row(self, image: SourceImage, mtime_ns: int | None, facts: Inspection) -> dict[str, Any]:
        return {
            "id": image.id,
            "split": image.split,
            "class": image.class_name,
            "label": self.labels[image.class_name],
            "path": image.path,
            "bytes": facts.size_bytes,
            "mtime_ns": mtime_ns,
            "converted": self._keep_converted(image, facts),
            **{name: getattr(facts, name) for name in _FACTS},
        }

    def _keep_converted(self, image: SourceImage, facts: Inspection) -> str | None:
        if facts.converted is None:
            return None
        relative = f"converted/{image.id}.png"
        write_file(self.out / relative, facts.converted)
        return relative

    def _finished(self, future: "Future[list[dict[str, Any]]]") -> list[dict[str, Any]]:
        rows = future.result()
        self.images += len(rows)
        if self.images_total is not None:
            self.bytes_done += sum(row["bytes"] for row in rows)
        self._report()
        return rows

    def _count(self, image: SourceImage) -> None:
        self.images += 1
        if self.images_total is not None:
            self.bytes_done += image.size_bytes
        self._report()

    def _read(self, size: int) -> None:
        self.bytes_done += size

    def _report(self) -> None:
        self.on_progress(
            Progress(self.images, self.images_total, self.bytes_done, self.bytes_total)
        )


_FACTS = ("sha256", "encoding", "colour_model", "width", "height", "orientation",
          "source_orientation", "decision", "reason", "farmhash64")  # fmt: skip
_IDENTITY = ("id", "bytes", "label", "mtime_ns", "sha256", "converted")


def earlier_rows(out: Path) -> pa.Table:
    """Rows of a finished manifest and of parts that an interrupted preparation left."""
    files = [out / MANIFEST, *sorted((out / PARTS).glob("part-*.parquet"))]
    tables = [SCHEMA.empty_table()]
    for file in files:
        try:
            table = pq.read_table(file) if file.exists() else None
        except (OSError, pa.ArrowInvalid):
            continue  # a damaged part is worth nothing: its images are inspected again
        if table is not None and table.schema.remove_metadata() == SCHEMA:
            tables.append(table)
    return pa.concat_tables(tables).combine_chunks()


def write_part(rows: list[dict[str, Any]], out: Path) -> pa.Table:
    """Keep finished rows, so that an interrupted preparation goes on behind them.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    folder = out / PARTS
    table = pa.Table.from_pylist(rows, SCHEMA)
    number = len(list(folder.glob("part-*.parquet")))
    path = folder / f"part-{number:05d}.parquet"
    write_durably(path, lambda temporary: pq.write_table(table, temporary))
    return table


def remove_parts(out: Path) -> None:
    """Remove the parts once the manifest is written."""
    for part in chain((out / PARTS).glob("*"), (out / PARTS).glob(".*.tmp")):
        part.unlink(missing_ok=True)
    if (out / PARTS).exists():
        (out / PARTS).rmdir()


def in_tasks(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Cut items into lists of at most `BATCH_IMAGES`, which end early at `BATCH_BYTES`."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item[0].size_bytes
        if len(batch) == BATCH_IMAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _refuse_second(image: SourceImage, unpacked: set[str], origin: Path) -> None:
    """Two threads would write one file, and the second image would replace the first."""
    if image.path in unpacked:
        raise DataError(
            f"two images have the id {image.id}",
            where=str(origin),
            expected="each image once",
            remedy="the archive is not the published one: download it again",
        )
    unpacked.add(image.path)


def _row_of(rows: pa.Table) -> dict[str, int]:
    """Place of each path's last row."""
    return {path: place for place, path in enumerate(rows["path"].to_pylist())}


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of last change; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _read_file(path: Path, image: SourceImage) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read an image of the class {image.class_name}: {error.strerror}",
            where=str(path),
            expected="a readable file",
            remedy="check the file's permissions and the disk",
        ) from error
