"""Lines of label and list files as people have them: any encoding of Unicode, CSV or plain.

Excel writes a byte order mark, quotes, semicolons and, as "Unicode text",
UTF-16. Line numbers are those of the file, blank lines counted.
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.sources.folders.names import EXTENSIONS

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 comes first: its mark begins with that of UTF-16."""

_NO_TEXT = (
    ("a spreadsheet or another archive", b"PK\x03\x04"),
    ("an old spreadsheet", b"\xd0\xcf\x11\xe0"),
    ("packed with gzip", b"\x1f\x8b"),
    ("a Parquet file", b"PAR1"),
)
COMMENT = "# "
DELIMITERS = ("\t", ";", ",", "|")
LOOK_LINES = 50
LARGEST_FIELD = 1 << 20
_SUFFIXES = "|".join(sorted(end[1:] for end in EXTENSIONS))
_QUOTES = re.compile(r"(')(.*)\1")
"""Single ones around a field; the csv module takes away double ones."""

_QUOTED = re.compile(r"""\s*(["'])(?P<name>.+?)\1\s+(?P<rest>.+)""")
_NAMED = re.compile(rf"\s*(?P<name>.*\.(?:{_SUFFIXES}))\s+(?P<rest>\S.*)", re.IGNORECASE)


@dataclass(frozen=True)
class TextRow:
    """A line that is not blank: its number in the file and its fields, without blanks around."""

    line: int
    fields: tuple[str, ...]


def read_rows(path: Path) -> list[TextRow]:
    """Rows of a label or list file; at least one.

    Raises:
        DataError: unreadable, no text, or empty.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _unreadable(str(path), error.strerror or str(error)) from error
    return rows_of(raw, str(path))


def rows_of(raw: bytes, path: str) -> list[TextRow]:
    """Rows of a file's content; at least one.

    Raises:
        DataError: no text, or empty.
    """
    try:
        rows = parsed(decoded(raw))
    except UnicodeError as error:
        raise _unreadable(path, str(error)) from error
    if not rows:
        raise bad_line(path, 1, "nothing", "one line per image")
    return rows


def _unreadable(path: str, found: str) -> DataError:
    return DataError(
        f"cannot read the list: {found}",
        where=path,
        expected="a text file in UTF-8 or UTF-16 with one line per image",
        remedy="check the path and its permissions, or save it again as UTF-8 (in Excel: "
        '"CSV UTF-8")',
    )


def decoded(raw: bytes) -> str:
    """Text of a file: UTF-8, or UTF-16 and UTF-32 as their marks or their zero bytes tell.

    Marks within it, where files were joined, and an end mark of DOS are left out.

    Raises:
        UnicodeError: it is none of these.
    """
    for what, mark in _NO_TEXT:
        if raw.startswith(mark):
            raise UnicodeError(f"the file is {what} and no text")
    return _decoded(raw.rstrip(b"\x1a")).replace("\ufeff", "")


def _decoded(raw: bytes) -> str:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding)
    head = raw[:256]
    if b"\0" in head and len(head) > 1:
        # Letters of lists are mostly Latin, whose other byte in UTF-16 is zero.
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if even != odd:
            return raw.decode("utf-16-be" if even > odd else "utf-16-le")
    text = raw.decode("utf-8")
    if "\0" in text:
        raise UnicodeError("the file holds zero bytes and is no text")
    return text


def parsed(text: str) -> list[TextRow]:
    """Rows of a text: by the delimiter that every line has, else a name, blanks and a label.

    Comments, lines that begin with a hash sign and a blank, are left out.
    """
    lines = re.split(r"\r\n|\n|\r", text)
    lines = ["" if line.startswith(COMMENT) else line for line in lines]
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    told = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", lines[first])
    if told:  # Excel's own way of naming the delimiter
        lines[first] = ""
    delimiter = told.group(1) if told else _delimiter(lines)
    if delimiter is None:
        return [TextRow(n, _plain(line)) for n, line in enumerate(lines, 1) if line.strip()]
    return _delimited(lines, delimiter)


def _delimiter(lines: Sequence[str]) -> str | None:
    look = [line for line in lines if line.strip()][:LOOK_LINES]
    return next((d for d in DELIMITERS if look and all(d in line for line in look)), None)


def _delimited(lines: Sequence[str], delimiter: str) -> list[TextRow]:
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.reader(io.StringIO("\n".join(lines), newline="\n"), delimiter=delimiter)
    rows, line = [], 1
    try:
        for fields in reader:
            stripped = tuple(_QUOTES.sub(r"\2", field.strip()) for field in fields)
            if any(stripped):
                rows.append(TextRow(line, stripped))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UnicodeError(f"line {line}: {error}") from error
    return rows


def _plain(line: str) -> tuple[str, ...]:
    """A bare label, or a name that may hold blanks, and a label with whatever follows it."""
    match = _QUOTED.fullmatch(line) or _NAMED.fullmatch(line)
    if match:
        return match["name"], *(part.strip("\"'") for part in match["rest"].split())
    return tuple(part.strip("\"'") for part in line.strip().rsplit(maxsplit=1))


def bad_line(path: str, line: int, found: str, expected: str) -> DataError:
    """The error about one line of a list."""
    return DataError(
        f"line {line} has {found}",
        where=path,
        expected=expected,
        remedy="correct the line or name the right file",
    )
