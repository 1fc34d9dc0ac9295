"""Small one-size data sets as PNG files, for tests of what is neither stretched nor scaled."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.dataset import Split
from harness.data.image_files.inspection import farmhash64
from harness.recipes.protocol import Normalisation, Protocol, center_crop
from harness.recipes.recipe import Augmentation

GREY = Normalisation(channels="grey", mean=(0.1307,), std=(0.3081,), scale=255.0)
COLOUR = Normalisation(channels="rgb", mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26), scale=255.0)


def padded(side: int, padding: int = 4, **changes: object) -> Augmentation:
    """Zeros on each side, a random crop, mirrored or not."""
    return Augmentation.model_validate(
        {
            "aspect": None,
            "short_side": (side, side + 1),
            "flip": True,
            "padding": padding,
            **changes,
        }
    )


def whole(side: int, normalisation: Normalisation) -> Protocol:
    """The stored image as it is."""
    return center_crop(side, side, normalisation)


def pixels(count: int, side: int, channels: int, seed: int = 0) -> np.ndarray:
    """uint8 [count, side, side, channels]."""
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def png(image: np.ndarray) -> bytes:
    """One or three channels."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def stored_split(folder: Path, images: np.ndarray, classes: int = 10) -> Split:
    """Write images and describe them as a prepared data set would."""
    files = [png(image) for image in images]
    names = tuple(f"train/{n % classes}/{n:05d}.png" for n in range(len(images)))
    for name, raw in zip(names, files, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    count, height, width, channels = images.shape
    return Split(
        ids=names,
        paths=tuple(str(folder / name) for name in names),
        labels=np.arange(count, dtype=np.int32) % classes,
        farmhash64=np.array(farmhash64(files), np.uint64),
        heights=np.full(count, height, np.int32),
        widths=np.full(count, width, np.int32),
        orientations=np.ones(count, np.uint8),
        channels=channels,
    )
