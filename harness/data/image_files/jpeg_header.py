"""What the header of a JPEG file says, read without decoding.

Only the facts that decide how a decoder will treat the pixels: size,
components, coding process, colour transform and EXIF orientation.
"""

import struct
from dataclasses import dataclass

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN, APP1, APP14 = 0xDA, 0xE1, 0xEE
ORIENTATION_TAG = 0x0112


class BadHeaderError(ValueError):
    """The bytes are not a JPEG file with a readable header."""


@dataclass(frozen=True)
class JpegHeader:
    """The header's facts.

    Attributes:
        width: pixels as stored, before EXIF orientation.
        height: pixels as stored.
        components: 1 grey, 3 colour, 4 CMYK or YCCK.
        process: number n of the frame marker SOFn: 0 baseline, 1 extended, 2 progressive.
        precision: bits a sample.
        adobe_transform: 0 RGB or CMYK, 1 YCbCr, 2 YCCK; None without an Adobe marker.
        orientation: EXIF orientation, 1 to 8.
    """

    width: int
    height: int
    components: int
    process: int
    precision: int
    adobe_transform: int | None
    orientation: int

    @property
    def colour_model(self) -> str:
        """`grey`, `ycbcr`, `rgb`, `cmyk` or `ycck`."""
        if self.components == 4:
            return "ycck" if self.adobe_transform == 2 else "cmyk"
        if self.components == 3:
            return "rgb" if self.adobe_transform == 0 else "ycbcr"
        return "grey"


def read_jpeg_header(raw: bytes) -> JpegHeader:
    """Read the segments up to the first scan.

    Raises:
        BadHeaderError: no JPEG, cut short before its first scan, or without a frame
            that has a size.
    """
    if raw[:2] != SOI:
        raise BadHeaderError("does not begin as a JPEG file does")
    frame: tuple[int, int, int, int, int] | None = None
    adobe: int | None = None
    orientation = 1
    at = 2
    while True:
        marker, at = _next_marker(raw, at)
        if marker in STANDALONE:
            continue
        (length,) = _unpack(">H", raw, at)
        body = raw[at + 2 : at + length]
        at += length
        if marker in FRAMES and frame is None:
            precision, height, width, components = _unpack(">BHHB", body, 0)
            frame = (marker - 0xC0, precision, height, width, components)
        elif marker == APP1 and body[:6] == b"Exif\0\0" and orientation == 1:
            orientation = exif_orientation(body[6:])
        elif marker == APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif marker == SCAN:
            break
    if frame is None:
        raise BadHeaderError("has no frame before its first scan")
    process, precision, height, width, components = frame
    if not width or not height:
        # A height may stand behind the first scan by the standard; no decoder here reads it.
        raise BadHeaderError(f"has the size {width} x {height}")
    return JpegHeader(width, height, components, process, precision, adobe, orientation)


def exif_orientation(tiff: bytes) -> int:
    """Orientation from the first directory of an EXIF block; 1 where it says nothing usable."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(entries):
        at = directory + 2 + 12 * entry
        if at + 12 > len(tiff):
            return 1
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, at)
        if tag == ORIENTATION_TAG:
            return int(value) if 1 <= value <= 8 else 1
    return 1


def _next_marker(raw: bytes, at: int) -> tuple[int, int]:
    """Code of the next marker at or after `at`, and the place after it."""
    at = raw.find(b"\xff", at)
    while 0 <= at < len(raw) - 1:
        code = raw[at + 1]
        if code not in {0x00, 0xFF}:
            return code, at + 2
        at = raw.find(b"\xff", at + 1)
    raise BadHeaderError("is cut short before its first scan")


def _unpack(layout: str, raw: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, raw, at)
    except struct.error as error:
        raise BadHeaderError("is cut short before its first scan") from error
