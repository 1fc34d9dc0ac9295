"""Grey images of more than 8 bits: what is converted, and what is refused with the reason."""

import io

import numpy as np
import pytest
from PIL import Image

from harness.data.image_files.conversion import UnreadableImageError, to_png

DEEP = np.array([[0, 300, 1_000], [40_000, 65_280, 65_535]], np.uint16)


def written(values: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


def pgm(values: np.ndarray, most: int = 65_535) -> bytes:
    height, width = values.shape
    return f"P5 {width} {height} {most}\n".encode() + values.astype(">u2").tobytes()


@pytest.mark.parametrize(
    "raw",
    [
        written(DEEP, "PNG"),
        written(DEEP, "TIFF"),
        written(DEEP.astype(">u2"), "TIFF"),
        pgm(DEEP),
        written(DEEP.astype(np.int32), "PPM"),
    ],
    ids=["PNG", "TIFF", "TIFF, large end first", "PGM", "PGM as Pillow writes it"],
)
def test_sixteen_bits_keep_their_upper_half(raw: bytes) -> None:
    made = to_png(raw)
    assert made.how == "16 to 8 bits"
    with Image.open(io.BytesIO(made.png)) as image:
        pixels = np.asarray(image)
    assert (pixels == (DEEP >> 8)[:, :, np.newaxis]).all()


@pytest.mark.parametrize(
    "raw",
    [
        written((DEEP / 65_535).astype(np.float32), "TIFF"),
        written(DEEP.astype(np.float32), "PPM"),
        written(DEEP.astype(np.int32), "TIFF"),
        written(DEEP.astype(np.int32) * 3, "TIFF"),
        written(DEEP.astype(np.int32) - 1, "TIFF"),
    ],
    ids=["float", "PFM", "32 bits", "above 16 bits", "below 0"],
)
def test_values_whose_range_is_not_known_are_refused(raw: bytes) -> None:
    """They became black, or wrapped, as if they had 16 bits."""
    with pytest.raises(UnreadableImageError, match="which of them is white is not known"):
        to_png(raw)
