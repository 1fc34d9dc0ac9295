"""A picture of the first training images, after augmentation: it says more than settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.files import replaced
from harness.recipes.protocol import Normalisation

COLUMNS = 8
IMAGES = 32
LARGEST_TILE = 112


def with_contact_sheet(
    batches: Iterator[Any], path: Path, normalisation: Normalisation
) -> Iterator[Any]:
    """The same batches; a picture of the first one is written to `path` if none is there.

    Batches that are spread over replicas are passed on without a picture. The
    first batch is taken when it is asked for: its errors are those of the training.
    """
    if not path.exists():
        first = next(batches, None)
        if first is None:
            return
        if hasattr(first["image"], "numpy"):
            _write(contact_sheet(first["image"][:IMAGES].numpy(), normalisation), path)
        yield first
    yield from batches


def contact_sheet(images: np.ndarray, normalisation: Normalisation) -> Image.Image:
    """Images side by side, normalisation undone.

    Args:
        images: float32 [n, size, size, C], as the network sees them.
        normalisation: How they were made.

    Returns:
        A picture in colour, or a grey one where the images have one channel.
    """
    std, mean = (np.asarray(v, np.float32) for v in (normalisation.std, normalisation.mean))
    pixels = (images * std + mean) * normalisation.scale
    if normalisation.channels == "bgr":
        pixels = pixels[..., ::-1]
    tiles = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    size = min(tiles.shape[1], LARGEST_TILE)
    rows = -(-len(tiles) // COLUMNS)
    grey = normalisation.channel_count == 1
    sheet = Image.new("L" if grey else "RGB", (COLUMNS * size, rows * size), "white")
    for place, tile in enumerate(tiles[..., 0] if grey else tiles):
        small = Image.fromarray(tile).resize((size, size), Image.Resampling.BILINEAR)
        sheet.paste(small, (place % COLUMNS * size, place // COLUMNS * size))
    return sheet


def _write(sheet: Image.Image, path: Path) -> None:
    with replaced(path) as temporary:
        sheet.save(temporary, "PNG")
