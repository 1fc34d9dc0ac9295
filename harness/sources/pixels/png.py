"""PNG files that are read as they are, and a writer whose bytes follow from the pixels alone.

Source: the PNG specification (ISO/IEC 15948), RFC 1950 (zlib) and RFC 1951 (deflate).
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3}
"""Of the colour types grey and RGB; the others have a palette or alpha."""

SILENT_CHUNKS = frozenset(
    {b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"sRGB", b"gAMA", b"cHRM", b"bKGD"}
)
"""Chunks that change no pixel, neither in TensorFlow's decoder nor in OpenCV's."""

MAX_SIDE = 1_000_000
"""Larger images are refused by libpng, unless it is set otherwise."""

MAX_PIXELS = 400_000_000
LAST_FILTER = 4
ZLIB_HEADER = b"\x78\x01"
BLOCK_BYTES = 65_535
"""The longest stored block of deflate."""


@dataclass(frozen=True)
class PlainPng:
    """A sound PNG of 8 bits a sample, not interlaced: width, height, and channels (1 or 3)."""

    width: int
    height: int
    channels: int


def plain_png(raw: bytes) -> PlainPng | None:
    """What a file is that can be read as it is; None for every other one.

    Everything that a decoder could stumble over is checked: check sums of all
    chunks, the length of the pixels and their filters. Files with a palette,
    alpha, 16 bits, interlacing, an orientation or a colour profile are not plain.
    """
    chunks = _chunks(raw)
    names = [name for name, _ in chunks]
    pixels = [content for name, content in chunks if name == b"IDAT"]
    if not pixels or names[0] != b"IHDR" or names[-1] != b"IEND":
        return None
    first = names.index(b"IDAT")
    together = names[first : first + len(pixels)] == [b"IDAT"] * len(pixels)
    others = names[1:first] + names[first + len(pixels) : -1]
    header = _plain_header(chunks[0][1])
    if header is None or not together or not SILENT_CHUNKS.issuperset(others):
        return None
    return header if _is_whole(b"".join(pixels), header) else None


def write_png(pixels: np.ndarray) -> bytes:
    """A PNG file whose bytes depend on nothing but the pixels.

    Lines have no filter and the data is stored, not compressed, so that no
    version of any library decides a byte. Images of up to 32 x 32 pixels fit
    into one block of a file system either way.

    Args:
        pixels: uint8 [height, width] (grey) or [height, width, 3] (RGB).
    """
    height, width = pixels.shape[:2]
    colour_type = 0 if pixels.ndim == 2 else 2
    lines = np.zeros((height, 1 + pixels[0].size), np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    content = _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored(lines.tobytes()))
    return PNG_SIGNATURE + content + _chunk(b"IEND", b"")


def _chunks(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Name and content of each chunk; none at all where one is damaged, or where more follows."""
    at, found = len(PNG_SIGNATURE), []
    while raw.startswith(PNG_SIGNATURE) and at + 12 <= len(raw):
        (size,) = struct.unpack_from(">I", raw, at)
        end = at + 8 + size
        if raw[end : end + 4] != zlib.crc32(raw[at + 4 : end]).to_bytes(4, "big"):
            return []
        found.append((raw[at + 4 : at + 8], raw[at + 8 : end]))
        at = end + 4
    return found if at == len(raw) else []


def _plain_header(content: bytes) -> PlainPng | None:
    if len(content) != 13:
        return None
    width, height, depth, colour_type, *methods = struct.unpack(">IIBBBBB", content)
    usual = depth == 8 and colour_type in CHANNELS and methods == [0, 0, 0]
    sized = 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS
    return PlainPng(width, height, CHANNELS[colour_type]) if usual and sized else None


def _is_whole(packed: bytes, header: PlainPng) -> bool:
    """Whether the data unpacks to exactly the image's lines, each with a known filter."""
    line = 1 + header.width * header.channels
    unpacking = zlib.decompressobj()
    try:
        lines = unpacking.decompress(packed, header.height * line + 1)
    except zlib.error:
        return False
    if not unpacking.eof or unpacking.unused_data or len(lines) != header.height * line:
        return False
    return max(lines[::line]) <= LAST_FILTER


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + zlib.crc32(body).to_bytes(4, "big")


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks."""
    parts = [ZLIB_HEADER]
    for at in range(0, len(data), BLOCK_BYTES):
        block = data[at : at + BLOCK_BYTES]
        last = at + BLOCK_BYTES >= len(data)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join(parts) + zlib.adler32(data).to_bytes(4, "big")
