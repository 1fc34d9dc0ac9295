"""Real handwritten digits as JPEG files in ImageNet's folder layout: the embedded data set.

scikit-learn's digits are 1,797 images of 8x8 pixels (UCI "Optical Recognition
of Handwritten Digits", test part). Each is enlarged four times (bilinear,
half-pixel centers), set in the middle of a black 40x40 square, so that a crop
does not cut the digit, and written as a grey JPEG file of quality 95.

The split is fixed: of each digit's images, in scikit-learn's order, every
fifth (numbers 4, 9, 14, ... counting from 0) is for validation. That gives
1,442 training and 355 validation images.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.files import write_file

SIZE = 40
ENLARGED = 32
VAL_EVERY = 5
JPEG_QUALITY = 95

ROOT_DIGEST = "84d565bbcf7b48709b4e7debc4af10993b832fffbbfe08a8d82668e546bc3120"
"""Root digest of the written data set; the encoder is TensorFlow's, whose version is pinned."""


def write_digits(folder: Path) -> None:
    """Write the digits below `folder`; files that are there and right are left alone.

    The bytes are a pure function of scikit-learn's data and of the JPEG encoder
    in the pinned TensorFlow.

    Raises:
        MachineError: the disk is full or the folder cannot be written.
    """
    for relative, jpeg in digit_files():
        path = folder / relative
        if path.exists() and path.read_bytes() == jpeg:
            continue
        write_file(path, jpeg)


def digit_files() -> Iterator[tuple[str, bytes]]:
    """Yield relative path and JPEG bytes of each digit in scikit-learn's order."""
    import tensorflow as tf
    from sklearn.datasets import load_digits

    digits = load_digits()
    seen = np.zeros(10, np.int64)
    for number, (strokes, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = "val" if seen[digit] % VAL_EVERY == VAL_EVERY - 1 else "train"
        seen[digit] += 1
        pixels = tf.constant(enlarge(strokes)[:, :, np.newaxis])
        jpeg = tf.io.encode_jpeg(pixels, format="grayscale", quality=JPEG_QUALITY)
        yield f"{split}/{digit}/digit_{number:04d}.jpg", bytes(jpeg.numpy())


def enlarge(strokes: np.ndarray) -> np.ndarray:
    """Ink from 0 to 16 on an 8x8 grid as uint8 [40, 40], 255 where there is most ink."""
    positions = (np.arange(ENLARGED) + 0.5) * len(strokes) / ENLARGED - 0.5
    lower = np.clip(np.floor(positions).astype(int), 0, len(strokes) - 1)
    upper = np.minimum(lower + 1, len(strokes) - 1)
    weight = np.clip(positions - lower, 0, 1)
    rows = strokes[lower] * (1 - weight)[:, None] + strokes[upper] * weight[:, None]
    both = rows[:, lower] * (1 - weight) + rows[:, upper] * weight
    margin = (SIZE - ENLARGED) // 2
    return np.pad(np.rint(both * (255 / 16)).astype(np.uint8), margin)
