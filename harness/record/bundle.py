"""One file that holds all of a result's raw parts and in which no byte can change unseen.

A bundle is a tar archive (USTAR, not compressed) whose first member,
`bundle.json`, lists every other member with its size and sha256, and holds a
digest of itself. Headers, padding and end are written in one way only and
compared on reading, so that the digests together with the layout cover every
byte. Who alters a bundle on purpose can renew its digests; that is found by
computing the reported numbers again.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn

from pydantic import Field, ValidationError

from harness.errors import RecordError, UsageError
from harness.files import replaced
from harness.frozen import Frozen
from harness.record.schema import Hex64

INDEX = "bundle.json"
BUNDLE_VERSION = 2
"""2: the index holds its own digest."""
BLOCK = tarfile.BLOCKSIZE
RECORD = tarfile.RECORDSIZE
_CHUNK = 1 << 20
UNSEALED = "0" * 64


class Member(Frozen):
    """One file of a bundle."""

    name: str = Field(min_length=1, max_length=250)
    bytes: int = Field(ge=0)
    sha256: Hex64


class Index(Frozen):
    """What a bundle holds, and what was computed from it when it was made.

    `index_sha256` is the digest of this index's own text with 64 zeros in its place.
    """

    bundle_version: int
    index_sha256: Hex64 = UNSEALED
    harness_version: str
    members: tuple[Member, ...]
    reported: dict[str, Any]


@dataclass(frozen=True)
class BundleMember:
    """A member's content: a file or bytes."""

    file: Path | None = None
    data: bytes = b""

    def open(self) -> BinaryIO:
        """A stream of the content."""
        return self.file.open("rb") if self.file is not None else io.BytesIO(self.data)


def write_bundle(
    path: Path,
    members: Mapping[str, BundleMember],
    *,
    reported: dict[str, Any],
    harness_version: str,
) -> str:
    """Write a bundle atomically; the same members give the same bytes.

    Args:
        path: The file to write.
        members: Content by name, a relative path with forward slashes.
        reported: JSON-like: what was computed from the members.
        harness_version: Of the harness that computed it.

    Returns:
        Hex sha256 of the whole file.

    Raises:
        RecordError: a name that is not allowed, or a file that cannot be read.
        UsageError: the file cannot be written.
    """
    for name in members:
        check_name(name, "the list of members")
    listed = tuple(_member(name, source) for name, source in sorted(members.items()))
    index = Index(
        bundle_version=BUNDLE_VERSION,
        harness_version=harness_version,
        members=listed,
        reported=reported,
    )
    raw = _canonical(_sealed(index))
    try:
        with replaced(path) as temporary, temporary.open("wb+") as file:
            _append(file, INDEX, len(raw), io.BytesIO(raw))
            for member in listed:
                with members[member.name].open() as content:
                    _append(file, member.name, member.bytes, content)
            file.write(bytes(2 * BLOCK))
            file.write(bytes(-file.tell() % RECORD))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the bundle cannot be written ({error.strerror})",
            where=str(path),
            expected="a folder that this user may write, with space for it",
            remedy="name another file with --out",
        ) from error
    return digest


def check_name(name: str, where: str) -> None:
    """Raise `RecordError` for a member name that could lead out of a folder."""
    parts = PurePosixPath(name).parts
    plain = bool(parts) and name == "/".join(parts) and not name.startswith("/")
    plain = plain and "\\" not in name
    if not plain or ".." in parts or ":" in name or not name.isprintable() or not name.isascii():
        raise RecordError(
            f"the member name {name!r} is not allowed",
            where=where,
            expected="a relative path of plain names, without `..`",
            remedy="do not unpack this file: it was not made by `harness bundle`",
        )


def extract_bundle(path: Path, folder: Path) -> Index:
    """Check every byte of a bundle and write its members below an empty folder.

    Raises:
        RecordError: a byte differs from what was written, a member is missing,
            surplus or not allowed; it is named.
    """
    try:
        with path.open("rb") as file:
            return _Reader(path, file).extract(folder)
    except OSError as error:
        raise RecordError(
            f"the bundle cannot be read ({error.strerror})",
            where=str(path),
            expected="a file made by `harness bundle`",
            remedy="check the path",
        ) from error


class _Reader:
    """Reads a bundle from its beginning, comparing each byte with its only possible value."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def extract(self, folder: Path) -> Index:
        name, size = self._header(INDEX)
        if name != INDEX:
            self._refuse(f"the first member is {name!r}", INDEX)
        index = self._index(self._content(INDEX, size))
        seen = set()
        for expected in index.members:
            name, size = self._header(expected.name)
            if name != expected.name:
                self._refuse(f"the member {name!r} is in the place of another", expected.name)
            if size != expected.bytes:
                self._refuse(f"{name} has {size} bytes", f"{expected.bytes} bytes")
            if name in seen:
                self._refuse(f"{name} occurs twice", "each member once")
            seen.add(name)
            self._write(expected, folder)
        self._end()
        return index

    def _header(self, expected: str) -> tuple[str, int]:
        block = self._file.read(BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError):
            self._refuse(f"the header before {expected} is damaged", "a header of a bundle")
        check_name(info.name, str(self._path))
        if block != _header_bytes(info.name, info.size):
            self._refuse(f"the header of {info.name} was altered", "a plain file's header")
        return info.name, info.size

    def _index(self, raw: bytes) -> Index:
        try:
            version = json.loads(raw).get("bundle_version")
            if isinstance(version, int) and version != BUNDLE_VERSION:
                self._refuse(
                    f"the bundle has version {version}",
                    f"version {BUNDLE_VERSION}, which this harness makes",
                )
            index = Index.model_validate_json(raw)
        except (ValidationError, ValueError, AttributeError, RecursionError):
            self._refuse(f"{INDEX} was altered: it is not valid", "the index of a bundle")
        if _canonical(index) != raw:
            self._refuse(f"{INDEX} was altered: its text is not canonical", "canonical JSON")
        if _sealed(index) != index:
            self._refuse(f"{INDEX} was altered: its digest differs", _sealed(index).index_sha256)
        for member in index.members:
            check_name(member.name, f"{self._path}, {INDEX}")
        return index

    def _content(self, name: str, size: int) -> bytes:
        if size > 1 << 28:
            self._refuse(f"{name} claims {size} bytes", "a small index")
        data = self._file.read(size)
        if len(data) < size:
            self._refuse(f"the file ends within {name}", f"{size} bytes")
        self._padding(name, size)
        return data

    def _write(self, member: Member, folder: Path) -> None:
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), member.bytes
        with target.open("xb") as out:
            while left:
                chunk = self._file.read(min(left, _CHUNK))
                if not chunk:
                    self._refuse(f"the file ends within {member.name}", f"{member.bytes} bytes")
                digest.update(chunk)
                out.write(chunk)
                left -= len(chunk)
        if digest.hexdigest() != member.sha256:
            self._refuse(
                f"{member.name} was altered, or {INDEX} was: sha256 {digest.hexdigest()}",
                member.sha256,
            )
        self._padding(member.name, member.bytes)

    def _padding(self, name: str, size: int) -> None:
        padding = self._file.read(-size % BLOCK)
        if padding != bytes(-size % BLOCK):
            self._refuse(f"the padding after {name} was altered", "zeros")

    def _end(self) -> None:
        begin = self._file.tell()
        rest = self._file.read(RECORD + 2 * BLOCK)
        expected = bytes(2 * BLOCK + -(begin + 2 * BLOCK) % RECORD)
        if rest != expected:
            self._refuse("the end of the archive was altered", f"{len(expected)} zeros")

    def _refuse(self, found: str, expected: str) -> NoReturn:
        raise RecordError(
            found,
            where=f"{self._path}, byte {self._file.tell():,}",
            expected=expected,
            remedy="get the bundle again from its source; this copy cannot be trusted",
        )


def _member(name: str, source: BundleMember) -> Member:
    try:
        with source.open() as content:
            size = content.seek(0, os.SEEK_END)
            content.seek(0)
            digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise RecordError(
            f"a file of the result cannot be read ({error.strerror})",
            where=str(source.file),
            expected="the files that the journal names",
            remedy="restore it from a copy",
        ) from error
    return Member(name=name, bytes=size, sha256=digest)


def _canonical(index: Index) -> bytes:
    return index.model_dump_json(indent=1).encode() + b"\n"


def _sealed(index: Index) -> Index:
    """The index with the digest of its own text."""
    text = _canonical(index.model_copy(update={"index_sha256": UNSEALED}))
    return index.model_copy(update={"index_sha256": hashlib.sha256(text).hexdigest()})


def _append(file: BinaryIO, name: str, size: int, content: BinaryIO) -> None:
    file.write(_header_bytes(name, size))
    left = size
    while left:
        chunk = content.read(min(left, _CHUNK))
        if not chunk:
            raise RecordError(
                "a file became shorter while it was packed",
                where=name,
                expected=f"{size} bytes",
                remedy="pack again when the run has ended",
            )
        file.write(chunk)
        left -= len(chunk)
    file.write(bytes(-size % BLOCK))


def _header_bytes(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
