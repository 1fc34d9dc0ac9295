"""Lossless conversion of odd image files into RGB PNG, with OpenCV's pixels.

The reference reads with `cv2.imread`: 8-bit colour, EXIF orientation applied,
alpha dropped. A converted copy holds exactly those pixels, so it can be read by
the same decoder as everything else. Originals are never touched.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from harness.sources.pixels.png import MAX_PIXELS

MOST_IN_16_BITS = (1 << 16) - 1
_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError,
    struct.error, zlib.error, MemoryError, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's readers raise at damaged files: their parsers trust what a header says."""


class UnreadableImageError(ValueError):
    """The bytes are no image, a damaged one, or one that has no single picture."""


@dataclass(frozen=True)
class ConvertedImage:
    """A converted picture: PNG bytes, what it was, (width, height) and how it was converted."""

    png: bytes
    encoding: str
    colour_model: str
    size: tuple[int, int]
    how: str


def to_png(raw: bytes) -> ConvertedImage:
    """Decode with Pillow and encode as RGB PNG.

    Raises:
        UnreadableImageError: no image, empty, damaged, animated, or above 400 million pixels.
    """
    if not raw:
        raise UnreadableImageError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(raw)) as image:
                _refuse_unusual(image)
                encoding, mode = str(image.format).lower(), image.mode
                pixels, how = _rgb_pixels(image)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("the file is no image that can be read") from error
    except _DAMAGE as error:
        raise UnreadableImageError(f"the image is damaged: {error}") from error
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    height, width = pixels.shape[:2]
    return ConvertedImage(buffer.getvalue(), encoding, mode.lower(), (width, height), how)


def _refuse_unusual(image: Image.Image) -> None:
    if getattr(image, "n_frames", 1) > 1:
        raise UnreadableImageError("the image has more than one frame")
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(f"the image has {image.width} x {image.height} pixels")


def _rgb_pixels(image: Image.Image) -> tuple[np.ndarray, str]:
    """uint8 [height, width, 3] in RGB, and one phrase on how they were made."""
    image.load()
    if image.mode == "CMYK":
        pixels, how = cmyk_to_rgb(np.asarray(image)), "CMYK to RGB as OpenCV does"
    elif image.mode.startswith("I") or image.mode == "F":
        high = _sixteen_bits(image) >> 8
        pixels, how = np.repeat(high[:, :, np.newaxis], 3, axis=2).astype(np.uint8), "16 to 8 bits"
    else:
        pixels, how = np.asarray(image.convert("RGB")), "RGB without alpha"
    orientation = image.getexif().get(0x0112, 1)
    return upright(pixels, int(orientation)), how


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    """The values of a grey image of 16 bits; Pillow has those of PGM as 32 bits."""
    values = np.asarray(image)
    if image.mode == "I":
        fits = image.format != "TIFF" and values.min() >= 0 and values.max() <= MOST_IN_16_BITS
    else:
        fits = image.mode != "F"
    if not fits:
        raise UnreadableImageError(
            "the image has values of 32 bits, and which of them is white is not known"
        )
    return values


def cmyk_to_rgb(cmyk: np.ndarray) -> np.ndarray:
    """OpenCV's integer conversion.

    Args:
        cmyk: uint8 [height, width, 4], 255 is full ink.

    Returns:
        uint8 [height, width, 3].
    """
    light = 255 - cmyk.astype(np.int32)
    black = light[:, :, 3:]
    return (black - ((255 - light[:, :, :3]) * black >> 8)).astype(np.uint8)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation (1 to 8) to an array [height, width, channels]."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
