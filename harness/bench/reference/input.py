"""The reference's own way to make its input: OpenCV on one image at a time.

Written from the description of `Apm5/ImageNet_Tensorflow2.0`, not copied. It is
the oracle of the parity tests and the opponent in `harness bench input
--against reference`; nothing that trains or evaluates uses it. OpenCV is a
development dependency.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.recipes.protocol import Normalisation, Protocol

PCA_VALUES = (55.46, 4.794, 1.148)
PCA_COLUMNS = (
    (-0.5836, -0.6948, 0.4203),
    (-0.5808, -0.0045, -0.8140),
    (-0.5675, 0.7192, 0.4009),
)
"""The reference's own table, written here again: an oracle that shares numbers proves none."""


def opencv() -> ModuleType:
    """Import OpenCV.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UsageError(
            "OpenCV is not installed",
            expected="the development dependencies, for the comparison with the reference's way",
            remedy="pip install opencv-python-headless, or leave the comparison out",
        ) from error
    module: ModuleType = cv2
    return module


def read(path: str) -> np.ndarray:
    """Float32 [height, width, 3] BGR in [0, 255], EXIF orientation applied."""
    return np.asarray(opencv().imread(path), np.float32)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, half-pixel centers, no antialiasing."""
    return np.asarray(opencv().resize(image, (width, height)))


def stretch(image: np.ndarray, aspect: float) -> np.ndarray:
    """Scale the longer side, the height of a square image; the size is truncated."""
    height, width = image.shape[:2]
    if height < width:
        return resize(image, height, int(width * aspect))
    return resize(image, int(height * aspect), width)


def scale(image: np.ndarray, short_side: float) -> np.ndarray:
    """Scale so that the short side becomes `short_side`; both sizes are truncated."""
    height, width = image.shape[:2]
    ratio = short_side / min(height, width)
    return resize(image, int(height * ratio), int(width * ratio))


def crop_and_mirror(image: np.ndarray, x: float, y: float, mirrored: bool, size: int) -> np.ndarray:
    """Crop at the offsets that the uniforms x and y stand for, then mirror or not."""
    height, width = image.shape[:2]
    top, left = int(y * (height - size)), int(x * (width - size))
    crop = image[top : top + size, left : left + size]
    return crop[:, ::-1] if mirrored else crop


def shift_hsv(image: np.ndarray, hue: float, saturation: float, value: float) -> np.ndarray:
    """Hue in degrees with wrap, saturation clipped to 1, value clipped to 255."""
    cv2 = opencv()
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + np.float32(hue)) % 360
    hsv[..., 1] = np.minimum(hsv[..., 1] * np.float32(saturation), 1)
    hsv[..., 2] = np.minimum(hsv[..., 2] * np.float32(value), 255)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


def add_lighting(image: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """PCA lighting with M's rows applied to BGR, then clipped to [0, 255]."""
    offset = np.dot(np.array(PCA_COLUMNS), normals * np.array(PCA_VALUES))
    lit = image + offset.astype(np.float32)
    return np.asarray(np.clip(lit, 0, 255, out=lit))


def normalise(image: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """`(pixel / scale - mean) / std` of a BGR image, in the order `channels`."""
    if normalisation.channels == "rgb":
        image = image[..., ::-1]
    mean = np.array(normalisation.mean, np.float32) * np.float32(normalisation.scale)
    std = np.array(normalisation.std, np.float32) * np.float32(normalisation.scale)
    return np.asarray((image - mean) / std, np.float32)


def training_image(
    path: str, geometry: np.ndarray, colours: np.ndarray, size: int, normalisation: Normalisation
) -> np.ndarray:
    """The whole chain under given draws.

    Args:
        path: of the image.
        geometry: the five of `draws.geometry_draws`.
        colours: the six of `draws.colour_draws`.
        size: side S of the crop.
        normalisation: means and deviations.

    Returns:
        float32 [S, S, 3].
    """
    aspect, short_side, x, y, mirrored = (float(number) for number in geometry)
    image = scale(stretch(read(path), aspect), short_side)
    image = crop_and_mirror(image, x, y, mirrored > 0, size)
    image = shift_hsv(image, *(float(number) for number in colours[:3]))
    return normalise(add_lighting(image, colours[3:]), normalisation)


def evaluation_image(path: str, protocol: Protocol) -> np.ndarray:
    """The protocol's crops: center, or corners and center and their mirror images.

    Returns:
        float32 [crops, S, S, 3].
    """
    size = protocol.crop_size or 0
    image = scale(read(path), protocol.short_sides[0])
    height, width = image.shape[:2]
    bottom, right = height - size, width - size
    offsets = [(bottom // 2, right // 2)]
    if protocol.crops == "ten":
        offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), *offsets]
    images = [image, image[:, ::-1]] if protocol.mirror else [image]
    crops = [i[top : top + size, left : left + size] for i in images for top, left in offsets]
    return normalise(np.stack(crops), protocol.normalisation)


def in_a_python_op(function: Callable[..., np.ndarray], shape: list[int | None]) -> Any:
    """Wrap a function of (path, draws...) for `tf.data`, as the reference does."""
    import tensorflow as tf

    from harness.data.transforms.xla import as_traced

    def call(path: Any, *draws: Any) -> Any:
        def work(path: Any, *draws: Any) -> np.ndarray:
            return function(path.numpy().decode(), *(draw.numpy() for draw in draws))

        return tf.ensure_shape(tf.py_function(work, [path, *draws], tf.float32), shape)

    return as_traced(call)
