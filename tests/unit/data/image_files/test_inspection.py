"""What a header says, against Pillow; damaged headers are refused, never crash."""

import io
import random
import struct

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data.image_files.inspection import inspect, inspect_all
from harness.data.image_files.jpeg_header import BadHeaderError, read_jpeg_header
from tests.parity.generated_images import jpeg_bytes, picture

IMAGE = picture(23, 37)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read(orientation: int) -> None:
    assert read_jpeg_header(jpeg_bytes(IMAGE, orientation=orientation)).orientation == orientation


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_orientation_in_both_byte_orders(byte_order: str) -> None:
    exif = Image.Exif()
    exif.endian = byte_order
    exif[0x0112] = 8
    assert read_jpeg_header(jpeg_bytes(IMAGE, exif=exif.tobytes())).orientation == 8


@pytest.mark.parametrize(
    ("mode", "options", "model", "process"),
    [
        ("RGB", {}, "ycbcr", 0),
        ("RGB", {"progressive": True}, "ycbcr", 2),
        ("RGB", {"keep_rgb": True}, "rgb", 0),
        ("L", {}, "grey", 0),
        ("CMYK", {}, "cmyk", 0),
    ],
)
def test_facts_of_each_kind(mode: str, options: dict[str, bool], model: str, process: int) -> None:
    header = read_jpeg_header(jpeg_bytes(IMAGE.convert(mode), **options))
    assert (header.width, header.height, header.precision) == (37, 23, 8)
    assert (header.colour_model, header.process) == (model, process)


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, 700), flips=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255))))
def test_damaged_headers_raise_one_error_only(cut: int, flips: list[tuple[int, int]]) -> None:
    raw = bytearray(jpeg_bytes(IMAGE, orientation=6))
    for at, value in flips:
        if at < len(raw):
            raw[at] = value
    damaged = bytes(raw[: max(len(raw) - cut, 0)])
    try:
        header = read_jpeg_header(damaged)
    except BadHeaderError:
        return
    assert 1 <= header.orientation <= 8


def with_size(height: int, width: int) -> bytes:
    """A JPEG whose header says another size."""
    raw = jpeg_bytes(IMAGE)
    frame = raw.index(b"\xff\xc0") + 5
    return raw[:frame] + struct.pack(">HH", height, width) + raw[frame + 4 :]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (with_size(0, 37), "size 37 x 0"),
        (with_size(23, 0), "size 0 x 23"),
        (b"\xff\xd8", "cut short"),
        (jpeg_bytes(IMAGE)[:-40], "cut short"),
        (b"GIF89a nonsense", "no image"),
        (b"\x89PNG\r\n\x1a\n rest", "damaged|no image"),
    ],
)
def test_unusable_bytes_are_refused_with_a_reason(raw: bytes, reason: str) -> None:
    import re

    facts = inspect(raw)
    assert facts.decision == "refused"
    assert re.search(reason, facts.reason)


KINDS = {
    "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}, "GIF": {}, "PPM": {},
    "JPEG": {},
}  # fmt: skip


def mutations(raw: bytes, count: int) -> list[bytes]:
    """Copies with one to four bytes changed, most of them near the beginning; some cut short."""
    rng = random.Random(1)
    made = []
    for _ in range(count):
        copy = bytearray(raw)
        for _ in range(rng.randint(1, 4)):
            reach = min(len(copy), rng.choice([60, 200, len(copy)]))
            copy[rng.randrange(reach)] = rng.randrange(256)
        made.append(bytes(copy[: rng.randrange(len(copy))] if rng.random() < 0.3 else copy))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_of_every_kind_get_a_decision(kind: str) -> None:
    """Pillow's readers raise many errors at damaged headers; none of them ends a preparation."""
    image = picture(24, 31)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = KINDS[kind] | ({"exif": exif} if kind in {"PNG", "WEBP", "JPEG"} else {})
    (image.convert("CMYK") if kind == "JPEG" else image).save(buffer, kind, **options)
    found = inspect_all(mutations(buffer.getvalue(), 400))
    assert {one.decision for one in found} == {"converted", "refused"}


def test_animations_are_refused() -> None:
    buffer = io.BytesIO()
    frames = [picture(9, 9, n) for n in range(2)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert inspect(buffer.getvalue()).reason == "the image has more than one frame"


def test_several_files_are_inspected_as_each_by_itself() -> None:
    raws = [
        jpeg_bytes(IMAGE),
        jpeg_bytes(IMAGE) + b"\0" * 3,
        jpeg_bytes(IMAGE.convert("CMYK")),
        b"",
        b"\0\0",
    ]
    together = inspect_all(raws)
    assert together == [inspect(raw) for raw in raws]
    assert len({facts.farmhash64 for facts in together}) == len(raws)
    assert inspect_all([]) == []


def test_trailing_zeros_do_not_make_a_file_truncated() -> None:
    assert inspect(jpeg_bytes(IMAGE) + b"\0" * 20).decision == "as_is"
    assert inspect(jpeg_bytes(IMAGE) + b"\0" * 500).decision == "as_is"


def test_data_that_ends_early_behind_an_end_mark_is_grey_as_in_opencv() -> None:
    random = np.random.RandomState(2)
    pixels = random.randint(0, 256, (64, 64, 3), np.uint8)
    raw = cv2.imencode(".jpg", pixels)[1].tobytes()
    early = raw[: len(raw) // 2] + b"\xff\xd9"
    (found,) = inspect_all([early], decode=True)
    assert found.decision == "as_is"
    ours = tf.io.decode_jpeg(early, dct_method="INTEGER_ACCURATE").numpy()
    theirs = cv2.imdecode(np.frombuffer(early, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(ours, theirs)
    assert np.ptp(ours[-8:]) == 0
