"""Pictures of a report: small ones of images classified wrongly, and the contact sheet."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.record.run_folder import CONTACT_SHEET
from harness.report.build import NO_PICTURES
from harness.report.rendering.content import Picture

PICTURE_PIXELS = 160
Pictures = dict[str, tuple[str, bytes]]
"""Media type and bytes by image id."""
SHEET_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


@dataclass(frozen=True)
class PictureSources:
    """Where the pictures of a report come from.

    Attributes:
        data: The runs' data folder; None leaves out the images classified wrongly.
        contact_sheet: A PNG or JPEG of augmented training images; None takes the
            one that the first run kept.
        thumbnails: Folder with `<image id>.jpg` ready to be shown, instead of `data`.
    """

    data: Path | None = None
    contact_sheet: Path | None = None
    thumbnails: Path | None = None

    def of_images(self, image_ids: Iterable[str]) -> tuple[Pictures, str]:
        """Pictures of these images, and why there are none."""
        if self.data is not None:
            pictures = pictures_of(self.data, image_ids)
        elif self.thumbnails is not None:
            pictures = kept_pictures(self.thumbnails, image_ids)
        else:
            return {}, NO_PICTURES
        missing = "The data folder holds none of these images, so no pictures are shown."
        return pictures, "" if pictures else missing

    def sheet_of(self, run: Path) -> Picture | None:
        """The contact sheet that was named, else the one that a run made of its first batch.

        Raises:
            UsageError: the named one is no PNG or JPEG file.
        """
        kept = run / CONTACT_SHEET
        path = self.contact_sheet or (kept if kept.is_file() else None)
        if path is None:
            return None
        media_type = SHEET_TYPES.get(path.suffix.lower())
        if media_type is None or not path.is_file():
            raise UsageError(
                "the contact sheet is no PNG or JPEG file",
                where=str(path),
                expected=", ".join(SHEET_TYPES),
                remedy="leave it out, or name another file",
            )
        words = "Training images as the network sees them, after augmentation."
        title = "contact sheet of augmented training images"
        return Picture(words, title, media_type, path.read_bytes())


NO_SOURCES = PictureSources()


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
