"""The picture of augmented images: normalisation undone, batches passed on untouched."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from harness.data.input_pipeline.contact_sheet import contact_sheet, with_contact_sheet
from harness.recipes.protocol import APM5_NORMALISATION
from tests.small_images import GREY


def _normalised(rgb: np.ndarray) -> np.ndarray:
    bgr = rgb[..., ::-1].astype(np.float32)
    return (bgr - np.float32(APM5_NORMALISATION.mean)) / np.float32(APM5_NORMALISATION.std)


def test_pixels_come_back_in_their_places() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)
    sheet = np.asarray(contact_sheet(_normalised(rgb), APM5_NORMALISATION))
    assert sheet.shape == (32, 128, 3)
    np.testing.assert_array_equal(sheet[:16, :16], rgb[0])
    np.testing.assert_array_equal(sheet[:16, 112:], rgb[7])
    np.testing.assert_array_equal(sheet[16:, :16], rgb[8])


def test_one_channel_stays_one_channel() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 1), np.uint8)
    normalised = (levels.astype(np.float32) / 255 - np.float32(0.1307)) / np.float32(0.3081)
    sheet = np.asarray(contact_sheet(normalised, GREY))
    assert sheet.shape == (32, 128)
    np.testing.assert_array_equal(sheet[:16, 112:], levels[7, ..., 0])
    np.testing.assert_array_equal(sheet[16:, :16], levels[8, ..., 0])


def test_batches_are_passed_on_and_the_picture_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    batches = [{"image": tf.fill((2, 8, 8, 3), float(i))} for i in range(3)]
    passed = list(with_contact_sheet(iter(batches), path, APM5_NORMALISATION))
    assert [float(b["image"][0, 0, 0, 0]) for b in passed] == [0.0, 1.0, 2.0]
    with Image.open(path) as picture:
        assert picture.size == (64, 8)
    before = path.read_bytes()
    list(with_contact_sheet(iter(batches[1:]), path, APM5_NORMALISATION))
    assert path.read_bytes() == before


def test_no_batches_make_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    assert not list(with_contact_sheet(iter([]), path, APM5_NORMALISATION))
    assert not path.exists()
