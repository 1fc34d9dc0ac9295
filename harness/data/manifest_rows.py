"""From a source to a manifest's rows: inspect every file once, in parallel, resumably."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.data.image_files.inspection import Inspection, farmhash64, inspect_all
from harness.data.known_rows import UNKNOWN, still_valid
from harness.data.manifest import MANIFEST, SCHEMA
from harness.errors import DataError
from harness.files import check_disk_space, write_durably, write_file
from harness.progress import SILENT, Progress
from harness.sources.source import ImageSource, Item, Source, SourceImage

PART_ROWS = 2_000
PARTS = ".parts"
BATCH_IMAGES = 16
"""Images of one task: handing over each by itself cost a third of the rate."""

BATCH_BYTES = 4 << 20
"""Ends a task early, so that large images do not fill the memory."""

PENDING_PER_WORKER = 3


class Preparation:
    """Rows of a source, those of an earlier, interrupted preparation included.

    Args:
        source: the images.
        out: folder for parts and converted copies.
        workers: threads; reading and hashing release the interpreter's lock.
        rehash: inspect everything anew, whatever is known.
        decode: decode every image, not only its header; inspects everything anew.
        progress: where it is shown how far it is.
    """

    def __init__(
        self,
        source: ImageSource,
        out: Path,
        *,
        workers: int,
        rehash: bool = False,
        decode: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        self.source = source
        self.out = out
        self.workers = workers
        self.decode = decode
        self.progress = progress
        self.labels = {name: label for label, name in enumerate(source.classes)}
        self.earlier = SCHEMA.empty_table() if rehash or decode else earlier_rows(out)
        self.kept: list[int] = []
        self.images = 0
        self.weight = self.weight_total = 0
        self.images_total = source.count

    def rows(self) -> pa.Table:
        """Inspect what is not known yet; rows sorted by id.

        Raises:
            DataError: a file cannot be read.
            MachineError: the disk is full or the folder cannot be written.
        """
        parts = [SCHEMA.empty_table()]
        fresh: list[dict[str, Any]] = []
        with self.progress.work("inspecting images", unit="images") as self.shown:
            for row in self._inspected(self._unknown()):
                fresh.append(row)
                if len(fresh) == PART_ROWS:
                    parts.append(write_part(fresh, self.out))
                    fresh = []
        parts.append(pa.Table.from_pylist(fresh, SCHEMA))
        with self.progress.work("sorting the manifest's rows"):
            return self._sorted(parts)

    def _sorted(self, parts: list[pa.Table]) -> pa.Table:
        nothing_new = not any(len(part) for part in parts) and not (self.out / PARTS).exists()
        if nothing_new and len(self.kept) == len(self.earlier):
            return self.earlier  # a finished manifest's rows are sorted
        kept = self.earlier.take(pa.array(self.kept, pa.int64()))
        return pa.concat_tables([*parts, kept]).sort_by("id").combine_chunks()

    def _inspected(self, items: Iterator[Item]) -> Iterator[dict[str, Any]]:
        pool = ThreadPoolExecutor(self.workers)
        pending: deque[Future[list[dict[str, Any]]]] = deque()
        try:
            for batch in in_tasks(items):
                pending.append(pool.submit(self._inspect, batch))
                if len(pending) >= PENDING_PER_WORKER * self.workers:
                    yield from self._finished(pending.popleft())
            while pending:
                yield from self._finished(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _unknown(self) -> Iterator[Item]:
        """Items that no earlier row describes; the others' rows are kept."""
        return self._listed() if isinstance(self.source, Source) else self._packed(self.source)

    def _listed(self) -> Iterator[Item]:
        """Files that have to be read, all of them known before the first is."""
        source = self.source
        assert isinstance(source, Source)  # noqa: S101 - for the type checker; `_unknown` has asked
        known = still_valid(self.earlier, source, self._copy_is_whole)
        unknown = np.flatnonzero(known == UNKNOWN)
        self.kept = known[known != UNKNOWN].tolist()
        self.images = len(self.kept)
        self.weight_total = int(source.listing.size_bytes[unknown].sum())
        self._show()
        return ((image, None) for image in source.chosen(unknown))

    def _packed(self, source: ImageSource) -> Iterator[Item]:
        """Images of an archive: it has to be read whole, whatever is known of it."""
        known = _row_of(self.earlier)
        more = None if source.count is None else max(0, source.count - len(self.earlier))
        check_disk_space(self.out, source.size_bytes - _bytes_of(self.earlier), more)
        self.weight_total = source.size_bytes
        self._show()
        unpacked: set[str] = set()
        for image, raw in source.items(self._read):
            if raw is None:
                continue  # no archive gives images without their bytes
            _refuse_second(image, unpacked, source.origin)
            place = known.get(image.path)
            if place is not None and self._unchanged(image, raw, place):
                self.kept.append(place)
                self._count(1, image.size_bytes)
            else:
                yield image, raw

    def _unchanged(self, image: SourceImage, raw: bytes, place: int) -> bool:
        row = {name: self.earlier[name][place].as_py() for name in _IDENTITY}
        if (row["id"], row["bytes"], row["label"]) != (
            image.id,
            image.size_bytes,
            self.labels[image.class_name],
        ):
            return False
        # Small images of one size have files of one size: only the content tells them apart.
        if hashlib.sha256(raw).hexdigest() != row["sha256"]:
            return False
        # The row agrees with the source; what was unpacked may have been lost since.
        state = _state(self.source.root / image.path)
        if state != (row["bytes"], row["mtime_ns"]):
            return False
        return row["converted"] is None or self._copy_is_whole(place)

    def _copy_is_whole(self, place: int) -> bool:
        try:
            content = (self.out / self.earlier["converted"][place].as_py()).read_bytes()
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
        self._count(len(rows), sum(row["bytes"] for row in rows))
        return rows

    def _count(self, images: int, size_bytes: int) -> None:
        self.images += images
        if self._counts_images:
            self.weight += size_bytes
        self._show()

    def _read(self, size: int) -> None:
        self.weight += size

    @property
    def _counts_images(self) -> bool:
        """Whether the images' bytes are counted, and not those of the archive around them."""
        return self.images_total is not None

    def _show(self) -> None:
        self.shown.update(
            self.images, self.images_total, weight=self.weight, weight_total=self.weight_total
        )


_FACTS = ("sha256", "encoding", "colour_model", "width", "height", "orientation",
          "source_orientation", "decision", "reason", "farmhash64")  # fmt: skip
_IDENTITY = ("id", "bytes", "label", "mtime_ns", "sha256", "converted")


def earlier_rows(out: Path) -> pa.Table:
    """Rows of parts that an interrupted preparation left, newest first, and of a manifest."""
    files = [*sorted((out / PARTS).glob("part-*.parquet"), reverse=True), out / MANIFEST]
    tables = [SCHEMA.empty_table()]
    for file in files:
        try:
            with pq.ParquetFile(file.absolute()) as stored:
                table = stored.read()
        except (OSError, pa.ArrowInvalid):
            continue  # none, or a damaged one: its images are inspected again
        if table.schema.remove_metadata() == SCHEMA:
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
    write_durably(path, lambda temporary: pq.write_table(table, temporary.absolute()))
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
    """Place of each path's first row."""
    found: dict[str, int] = {}
    for place, path in enumerate(rows["path"].to_pylist()):
        found.setdefault(path, place)
    return found


def _bytes_of(rows: pa.Table) -> int:
    """Bytes of the images that rows describe."""
    return int(pc.sum(rows["bytes"]).as_py() or 0)


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
