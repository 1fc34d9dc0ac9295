"""Files that may be gzipped, and tar archives, without writing anything to a disk."""

import gzip
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.errors import DataError

GZIP = b"\x1f\x8b"
BLOCK_BYTES = 1 << 20
AGAIN = "download it again"


def content(path: Path, most: int = -1) -> bytes:
    """The content of a file, gunzipped where its first bytes say that it is gzipped.

    Args:
        path: of the file.
        most: no more than so many bytes; -1 takes all.

    Raises:
        DataError: the file cannot be read, ends early, or is damaged.
    """
    with named_errors(path), _unpacked(path) as stream:
        return stream.read(most)


def first_bytes(path: Path, size: int) -> bytes:
    """The first unpacked bytes, fewer where there are no more; none where they cannot be read."""
    try:
        return content(path, size)
    except DataError:
        return b""


def members(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Plain files of a tar archive, packed or not, in its order: name without folders, content.

    Only the wanted names are read. Links, folders and devices are passed over, and no
    name is used as a path.

    Raises:
        DataError: the archive cannot be read to its end.
    """
    with named_errors(path), _unpacked(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK_BYTES) as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                file = tar.extractfile(member) if member.isfile() and name in wanted else None
                if file is not None:
                    yield name, file.read()
        # gzip's own check sum stands behind the end of the archive.
        while stream.read(BLOCK_BYTES):
            pass


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.open(file) as stream:
            yield cast("IO[bytes]", stream)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what reading a damaged or unreadable file raises into errors that name it.

    Raises:
        DataError: for these errors.
    """
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
    return DataError(
        found,
        where=str(path),
        expected="a whole file",
        remedy=f"{AGAIN}, and compare its check sum with the published one",
    )
