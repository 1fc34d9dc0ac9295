"""Files that may be gzipped, and tar archives, as streams: nothing is written to a disk."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.errors import DataError

GZIP = b"\x1f\x8b"
BLOCK_BYTES = 1 << 20
AGAIN = "download it again"


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file, gunzipped where its first bytes say that it is gzipped.

    Raises:
        DataError: the file cannot be read, ends early, or is damaged.
    """
    with _named_errors(path), path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.open(file) as stream:
            yield cast("IO[bytes]", stream)


def first_bytes(path: Path, size: int) -> bytes:
    """The first unpacked bytes, fewer where there are no more; none where they cannot be read."""
    try:
        with unpacked(path) as stream:
            return stream.read(size)
    except DataError:
        return b""


def blocks(stream: IO[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The rest of a stream in blocks of `size` bytes; only the last one may be shorter."""
    while block := filled(stream, size):
        yield block


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Plain files of a tar archive, packed or not, in its order: name without folders, content.

    A content can be read only until the next one is asked for. Links, folders
    and devices are passed over, and no name is used as a path.

    Raises:
        DataError: the archive cannot be read to its end.
    """
    with unpacked(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK_BYTES) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield PurePosixPath(member.name).name, content
        # gzip's own check sum stands behind the end of the archive.
        for _ in blocks(stream):
            pass


def filled(stream: IO[bytes], size: int) -> bytes:
    """`size` bytes, fewer at the stream's end only: one read may give less."""
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into errors that name it."""
    try:
        yield
    except EOFError as error:
        raise _damaged(path, "the gzip file ends early") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"the gzip file is damaged: {error}") from error
    except tarfile.TarError as error:
        raise _damaged(path, f"the archive cannot be read to its end: {error}") from error
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror or error}",
            where=str(path),
            expected="a readable file",
            remedy="check the file's permissions and the disk",
        ) from error


def _damaged(path: Path, found: str) -> DataError:
    return DataError(found, where=str(path), expected="a whole file", remedy=AGAIN)
