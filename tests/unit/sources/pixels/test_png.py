"""PNG: written bytes follow from the pixels alone; only sound, plain files are read as they are."""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from harness.data.image_files.inspection import inspect
from harness.sources.pixels.png import PNG_SIGNATURE, PlainPng, plain_png, write_png
from tests.generated_sources import encoded
from tests.parity.generated_images import picture

cv2 = pytest.importorskip("cv2", reason="OpenCV is the oracle of PNG pixels")
SHAPES = [(1, 1), (28, 28), (1, 300), (300, 240), (1, 1, 3), (32, 32, 3), (5, 7, 3), (200, 130, 3)]


def pixels_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, np.uint8)


def by_opencv(raw: bytes) -> np.ndarray:
    """As stored: one channel, or red, green and blue."""
    found = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    return found if found.ndim == 2 else found[:, :, ::-1]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_decoder_reads_the_pixels_that_were_written(shape: tuple[int, ...]) -> None:
    pixels = pixels_of(shape)
    raw = write_png(pixels)
    np.testing.assert_array_equal(by_opencv(raw), pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(raw))), pixels)
    by_tensorflow = tf.io.decode_png(raw).numpy()
    np.testing.assert_array_equal(by_tensorflow.reshape(shape), pixels)
    as_colour = tf.io.decode_jpeg(raw, channels=3).numpy()
    np.testing.assert_array_equal(as_colour, np.broadcast_to(by_tensorflow, as_colour.shape))
    channels = 3 if len(shape) == 3 else 1
    assert plain_png(raw) == PlainPng(shape[1], shape[0], channels)


def test_the_written_bytes_never_change() -> None:
    """Root digests of small data sets rest on them."""
    numbers = np.arange(300 * 240) % 251
    files = [
        write_png(numbers[:784].astype(np.uint8).reshape(28, 28)),
        write_png(numbers[:3072].astype(np.uint8).reshape(32, 32, 3)),
        write_png(numbers.astype(np.uint8).reshape(300, 240)),
    ]
    assert [hashlib.sha256(raw).hexdigest()[:16] for raw in files] == [
        "e86b04bd780b8e7b",
        "544c6a42f0679f36",
        "2aee06ed08a13cf8",
    ]
    # One block of deflate each, but for the last: 8 + 25 + 12 + 12 of PNG, 6 + 5 of zlib.
    assert [len(raw) for raw in files] == [68 + 28 * 29, 68 + 32 * 97, 73 + 300 * 241]


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def with_chunks(raw: bytes, *more: bytes) -> bytes:
    """The file with chunks put behind its header."""
    behind = len(PNG_SIGNATURE) + 25
    return raw[:behind] + b"".join(more) + raw[behind:]


SILENT = {
    "gamma of 1": chunk(b"gAMA", struct.pack(">I", 100_000)),
    "gamma of 1/2.2": chunk(b"gAMA", struct.pack(">I", 45_455)),
    "sRGB": chunk(b"sRGB", b"\0"),
    "primaries": chunk(b"cHRM", struct.pack(">8I", *[31_270, 32_900, 64_000, 33_000,
                                                      30_000, 60_000, 15_000, 6_000])),
    "resolution": chunk(b"pHYs", struct.pack(">IIB", 2_835, 2_835, 1)),
    "time": chunk(b"tIME", struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5)),
    "text": chunk(b"tEXt", b"Comment\0made"),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("extra", [None, *SILENT])
def test_plain_files_of_other_writers_are_read_as_they_are(mode: str, extra: str | None) -> None:
    image = picture(30, 41).convert(mode)
    raw = encoded(image, "PNG")
    raw = with_chunks(raw, SILENT[extra]) if extra else raw
    facts = inspect(raw)
    assert (facts.decision, facts.encoding) == ("as_is", "png")
    assert facts.colour_model == ("grey" if mode == "L" else "rgb")
    assert (facts.width, facts.height, facts.orientation) == (41, 30, 1)
    colour = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(tf.io.decode_jpeg(raw, channels=3).numpy(), colour)
    np.testing.assert_array_equal(by_opencv(raw), np.asarray(image))


def with_transparent_grey() -> bytes:
    return encoded(picture(9, 9).convert("L"), "PNG", transparency=7)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture(9, 12), "PNG", exif=exif)


def interlaced() -> bytes:
    """A picture of one pixel is the same with and without interlacing."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1))
    data = chunk(b"IDAT", zlib.compress(b"\0\x63"))
    return PNG_SIGNATURE + header + data + chunk(b"IEND", b"")


ODD = {
    "alpha": encoded(picture(9, 9).convert("RGBA"), "PNG"),
    "grey with alpha": encoded(picture(9, 9).convert("LA"), "PNG"),
    "transparent grey": with_transparent_grey(),
    "palette": encoded(picture(9, 9).convert("P"), "PNG"),
    "one bit": encoded(picture(9, 9).convert("1"), "PNG"),
    "16 bits": encoded(Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "PNG"),
    "turned": turned(),
    "interlaced": interlaced(),
    "bytes behind the end": write_png(pixels_of((9, 9))) + b"\0",
}


@pytest.mark.parametrize("kind", ODD)
def test_other_files_are_still_converted_to_rgb(kind: str) -> None:
    facts = inspect(ODD[kind])
    assert plain_png(ODD[kind]) is None
    assert facts.decision == "converted"
    assert facts.converted is not None
    assert plain_png(facts.converted) == PlainPng(facts.width, facts.height, 3)


@pytest.mark.parametrize("write", [write_png, lambda p: encoded(Image.fromarray(p), "PNG")])
def test_no_changed_byte_and_no_cut_stays_unseen(write: object) -> None:
    raw = write(pixels_of((6, 5)))  # type: ignore[operator]
    assert plain_png(raw)
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        assert plain_png(bytes(changed)) is None, place
        assert plain_png(raw[:place]) is None, place


def holding(data: bytes, *, height: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, height, 8, 0, 0, 0, 0))
    return PNG_SIGNATURE + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "sound"),
    [
        (zlib.compress(b"\0abc\4abc"), True),
        (zlib.compress(b"\0abc\5abc"), False),
        (zlib.compress(b"\0abc\0ab"), False),
        (zlib.compress(b"\0abc\0abcd"), False),
        (zlib.compress(b"\0abc\0abc")[:-1], False),
        (zlib.compress(b"\0abc\0abc") + b"\0", False),
        (b"nonsense", False),
    ],
    ids=["sound", "unknown filter", "too short", "too long", "cut", "more behind", "nonsense"],
)
def test_data_behind_right_check_sums_is_looked_at(data: bytes, sound: bool) -> None:
    assert (plain_png(holding(data)) is not None) == sound


def test_no_pixels_at_all_are_not_plain() -> None:
    assert plain_png(holding(zlib.compress(b""), height=0)) is None
    assert plain_png(PNG_SIGNATURE) is None
    assert plain_png(b"") is None
