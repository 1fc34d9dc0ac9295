"""A TFDS directory that tensorflow-datasets itself wrote goes in and comes out byte for byte."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data.building import build
from harness.data.opening import load
from harness.errors import DataError
from harness.sources.detection import find_source

tfds = pytest.importorskip(
    "tensorflow_datasets", reason="the optional extra `tfds` (tensorflow-datasets) is not installed"
)
CLASSES = ("n01440764", "n01443537")


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40 + seed, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def write(folder: Path, classes: tuple[str, ...], splits: tuple[str, ...]) -> Path:
    """A data set of three images a split and class, as `imagenet2012` is laid out."""

    def examples(split: str) -> list[tuple[int, dict[str, Any]]]:
        first = 10 * splits.index(split)
        return [
            (3 * c + i, {
                "image": io.BytesIO(jpeg(first + 5 * c + i)),
                "label": c,
                "file_name": f"{split}_{c}_{i}.JPEG",
            })
            for c in range(len(classes))
            for i in range(3)
        ]  # fmt: skip

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=list(classes)),
            "file_name": tfds.features.Text(),
        }
    )
    info = tfds.dataset_builders.store_as_tfds_dataset(
        name="small", version="1.0.0", features=features, data_dir=folder,
        split_datasets={split: examples(split) for split in splits},
        disable_shuffling=True,
    )  # fmt: skip
    return Path(info.data_path)


def test_a_tfds_directory_is_taken_out_byte_for_byte(tmp_path: Path) -> None:
    folder = write(tmp_path / "tfds", CLASSES, ("train", "validation"))
    build(find_source(folder, out=tmp_path / "out"), tmp_path / "out")
    data = load(tmp_path / "out")
    assert data.classes == CLASSES
    assert data.identity.class_order == "folder"
    assert (len(data.train), len(data.val)) == (6, 6)
    assert list(data.val.ids)[4] == "val/n01443537/validation_1_1.JPEG"
    assert Path(data.val.paths[4]).read_bytes() == jpeg(10 + 5 + 1)
    assert data.val.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_class_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "tfds", ("../../out", "b"), ("train", "validation"))
    with pytest.raises(DataError, match="no plain name"):
        build(find_source(folder, out=tmp_path / "out"), tmp_path / "out")


def test_a_directory_without_validation_images_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "tfds", CLASSES, ("train",))
    with pytest.raises(DataError, match="has the splits train"):
        build(find_source(folder, out=tmp_path / "out"), tmp_path / "out")
