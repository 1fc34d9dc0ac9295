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


class NamedStream:
    """Bytes of a file, to be read once from the beginning; its errors name the file."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.stream = stream
        self.path = path

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            DataError: the file cannot be read, ends early, or is damaged.
        """
        with _named_errors(self.path):
            return self.stream.read(size)


@contextmanager
def unpacked(path: Path) -> Iterator[NamedStream]:
    """The content of a file, gunzipped where its first bytes say that it is gzipped.

    Raises:
        DataError: the file cannot be read.
    """
    with _named_errors(path):
        file = path.open("rb")
    with file:
        packed = NamedStream(file, path).read(len(GZIP)) == GZIP
        file.seek(0)
        if not packed:
            yield NamedStream(file, path)
            return
        with gzip.open(file) as stream:
            yield NamedStream(cast("IO[bytes]", stream), path)


def first_bytes(path: Path, size: int) -> bytes:
    """The first unpacked bytes, fewer where there are no more; none where they cannot be read."""
    try:
        with unpacked(path) as stream:
            return stream.read(size)
    except DataError:
        return b""


def blocks(stream: NamedStream, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The rest of a stream in blocks of `size` bytes; only the last one may be shorter."""
    while block := filled(stream, size):
        yield block


def filled(stream: NamedStream, size: int) -> bytes:
    """`size` bytes, fewer at the stream's end only: one read may give less."""
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def members(path: Path) -> Iterator[tuple[str, NamedStream]]:
    """Plain files of a tar archive, packed or not, in its order: name without folders, content.

    A content can be read only until the next one is asked for. Links, folders
    and devices are passed over, and no name is used as a path.

    Raises:
        DataError: the archive cannot be read to its end.
    """
    with unpacked(path) as stream, _named_errors(path):
        packed = cast("IO[bytes]", stream)  # all that tarfile asks of a stream is `read`
        with tarfile.open(fileobj=packed, mode="r|", bufsize=BLOCK_BYTES) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    yield PurePosixPath(member.name).name, NamedStream(content, path)
        # gzip's own check sum stands behind the end of the archive.
        for _ in blocks(stream):
            pass


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
