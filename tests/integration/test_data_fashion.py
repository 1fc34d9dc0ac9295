"""Fashion-MNIST as Debian packs it: every one of its 70,000 images, pixel by pixel."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from harness.data.opening import open_dataset
from harness.data.prepare import Prepared, prepare, render
from harness.sources.pixels.known_sets import FASHION_MNIST

FASHION = Path("/usr/share/datasets/fashion-mnist")
ROOT_DIGEST = "dcb186f5f8a110119e9ff0837970e9d66e3a65fc7224249a35e3cc2fb9377360"
"""On every machine: PNG bytes follow from the pixels alone."""

cv2 = pytest.importorskip("cv2", reason="OpenCV is the oracle of PNG pixels")
pytestmark = pytest.mark.skipif(
    not FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(FASHION, tmp_path_factory.mktemp("fashion") / "out")


def values(name: str, header_bytes: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress((FASHION / name).read_bytes()), np.uint8)[header_bytes:]


def test_the_package_holds_the_files_that_are_known() -> None:
    """How they are read is shown on made files in `test_data_small_sets.py`."""
    sums = {
        name: hashlib.sha256(gzip.decompress((FASHION / f"{name}.gz").read_bytes())).hexdigest()
        for name in FASHION_MNIST.files
    }
    assert sums == FASHION_MNIST.files


@pytest.mark.slow
def test_it_is_known_by_the_content_of_its_files(prepared: Prepared) -> None:
    identity = prepared.description.identity
    assert (identity.kind, identity.name) == ("fashion_mnist", "Fashion-MNIST")
    assert (identity.train_images, identity.val_images) == (60_000, 10_000)
    assert identity.classes == tuple("0123456789")
    assert identity.root_digest == ROOT_DIGEST
    assert prepared.description.as_is == 70_000
    assert render(prepared).count(": holds") == 4


@pytest.mark.slow
def test_every_pixel_and_every_label_is_the_source_s(prepared: Prepared, tmp_path: Path) -> None:
    data = open_dataset(prepared.out, manifests=tmp_path)
    assert data.channels == 1
    for split, name in ((data.train, "train"), (data.val, "t10k")):
        images = values(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        labels = values(f"{name}-labels-idx1-ubyte.gz", 8)
        stored = np.stack([cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in split.paths])
        numbers = np.array([int(Path(path).stem) for path in split.paths])
        assert np.array_equal(np.sort(numbers), np.arange(len(images)))
        np.testing.assert_array_equal(stored, images[numbers])
        np.testing.assert_array_equal(split.labels, labels[numbers])
        if name == "train":  # as published with the data set
            assert stored.mean() / 255 == pytest.approx(0.28604, abs=5e-6)
            assert stored.std() / 255 == pytest.approx(0.35302, abs=5e-6)
