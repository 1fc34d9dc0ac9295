"""Small pictures of images that were classified wrongly."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.errors import UsageError

PICTURE_PIXELS = 160
Pictures = dict[str, tuple[str, bytes]]
"""Media type and bytes by image id."""


def pictures_of(data: Path, image_ids: Iterable[str]) -> Pictures:
    """Thumbnails of those images that the data folder holds.

    Raises:
        UsageError: there is no such folder.
    """
    if not data.is_dir():
        raise UsageError(
            "there is no such data folder",
            where=str(data),
            expected="the folder that the runs were trained on",
            remedy="leave --data out, or correct it",
        )
    made = {image_id: _thumbnail(data, image_id) for image_id in dict.fromkeys(image_ids)}
    return _as_jpeg(made)


def kept_pictures(folder: Path, image_ids: Iterable[str]) -> Pictures:
    """Thumbnails that were kept as `<image id>.jpg`, byte for byte."""
    found = {image_id: _inside(folder, f"{image_id}.jpg") for image_id in image_ids}
    return _as_jpeg({image_id: path.read_bytes() for image_id, path in found.items() if path})


def keep_pictures(pictures: Pictures, folder: Path) -> None:
    """Write thumbnails where `kept_pictures` finds them."""
    for image_id, (_, data) in pictures.items():
        path = folder / f"{image_id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _as_jpeg(found: Mapping[str, bytes | None]) -> Pictures:
    return {image_id: ("image/jpeg", data) for image_id, data in found.items() if data}


def _inside(root: Path, name: str) -> Path | None:
    """The file of this name; an id comes from a file and must not lead out of the folder."""
    path = (root / name).resolve()
    return path if path.is_relative_to(root.resolve()) and path.is_file() else None


def _thumbnail(root: Path, image_id: str) -> bytes | None:
    from PIL import Image

    path = _inside(root, image_id)
    if path is None:
        return None
    stream = io.BytesIO()
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
            small.save(stream, "JPEG", quality=85)
    except (OSError, Image.DecompressionBombError):
        return None
    return stream.getvalue()
