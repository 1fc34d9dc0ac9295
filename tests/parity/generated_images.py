"""Generated photographs of every awkward shape and kind, as files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {
    "small": (30, 40),
    "square224": (224, 224),
    "square256": (256, 256),
    "one_more": (256, 257),
    "side225": (225, 300),
    "wide": (100, 1500),
    "tall": (1501, 99),
    "huge": (1600, 2401),
}


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    """Smooth colour gradients with some noise, so that chroma and edges matter."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + 5 * k) * np.cos(7 * y - 3 * k) for k in range(3)]
    pixels = 127 + 100 * np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg_bytes(image: Image.Image, *, orientation: int | None = None, **options: object) -> bytes:
    """Encode as JPEG, with an EXIF orientation where one is given."""
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **{"quality": 92, **options})
    return buffer.getvalue()


def write_awkward_images(folder: Path) -> list[Path]:
    """One JPEG file per size, orientation, subsampling, coding and colour model."""
    files = {name: jpeg_bytes(picture(*size)) for name, size in SIZES.items()}
    for orientation in range(1, 9):
        files[f"exif{orientation}"] = jpeg_bytes(picture(310, 420), orientation=orientation)
    files["progressive420"] = jpeg_bytes(picture(333, 500), progressive=True, subsampling=2)
    files["sub444"] = jpeg_bytes(picture(333, 500), subsampling=0)
    files["sub422"] = jpeg_bytes(picture(333, 500), subsampling=1)
    files["grey"] = jpeg_bytes(picture(400, 300).convert("L"))
    paths = []
    for name, raw in files.items():
        path = folder / f"{name}.jpg"
        path.write_bytes(raw)
        paths.append(path)
    return paths
