"""An image whose header is sound and whose content does not decode stops the work with its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.bench.input import bench_input
from harness.data.dataset import DataSet, Split
from harness.data.input_pipeline.pipeline import training_batches
from harness.data.input_pipeline.undecodable import naming_batches, training_images
from harness.data.opening import open_dataset
from harness.distributed.asked import ONE_DEVICE
from harness.distributed.devices import open_devices
from harness.errors import DataError
from harness.evaluation.evaluate import evaluate
from harness.recipes.protocol import Protocol, center_crop, multi_scale, ten_crop
from harness.recipes.smoke import SMOKE
from harness.training.batches import recipe_batches
from tests.generated_sources import damaged_behind_its_header
from tests.parity.generated_images import jpeg_bytes, picture

IMAGES = 11
DAMAGED = 7


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Two splits of photographs; image 7 of each is damaged behind its header."""
    base = tmp_path_factory.mktemp("damaged")
    for split in ("train", "val"):
        for n in range(IMAGES):
            path = base / "data" / split / "thing" / f"{n:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = damaged_behind_its_header() if n == DAMAGED else jpeg_bytes(picture(60, 80, n))
            path.write_bytes(raw)
    return open_dataset(base / "data", manifests=base / "manifests")


@contextmanager
def named(split: Split) -> Iterator[None]:
    with pytest.raises(DataError, match="does not decode") as caught:
        yield
    assert caught.value.where == split.paths[DAMAGED]


@pytest.mark.parametrize(("batch", "first"), [(1, 0), (4, 0), (4, 9), (30, 2)])
def test_the_images_of_a_training_batch_are_known_without_making_it(
    data: DataSet, batch: int, first: int
) -> None:
    sound = [n for n in range(IMAGES) if n != DAMAGED]
    columns = ("labels", "farmhash64", "heights", "widths", "orientations")
    split = Split(
        ids=tuple(data.train.ids[n] for n in sound),
        paths=tuple(data.train.paths[n] for n in sound),
        **{name: getattr(data.train, name)[sound] for name in columns},
        channels=data.train.channels,
    )
    made = training_batches(
        split,
        augmentation=SMOKE.augmentation,
        normalisation=SMOKE.normalisation,
        image_size=32,
        seed=5,
        batch=batch,
        first_step=first,
        last_step=first + 4,
    )
    images_of = training_images(split, 5, batch, first)
    for number, element in enumerate(made.as_numpy_iterator()):
        assert images_of(number) == element["index"].tolist()


@pytest.mark.parametrize(("batch", "first"), [(1, 0), (4, 3), (16, 0)])
def test_training(data: DataSet, batch: int, first: int) -> None:
    recipe = SMOKE.model_copy(update={"batch": batch})
    devices = open_devices(ONE_DEVICE, None)
    batches = recipe_batches(recipe, data.train, devices, seed=1, first=first, end=first + 40)
    with named(data.train):
        list(batches)


def network() -> keras.Model:
    """Mean colours to two classes, for images of any size."""
    image = keras.Input((None, None, 3))
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(image))
    return keras.Model(image, logits)


@pytest.mark.parametrize(
    "protocol", [center_crop(36, 32), ten_crop(36, 32), multi_scale((32, 40))],
    ids=["center", "ten", "whole"],
)  # fmt: skip
@pytest.mark.parametrize("crops_per_batch", [1, 50])
def test_evaluation(data: DataSet, protocol: Protocol, crops_per_batch: int) -> None:
    with named(data.val):
        evaluate(network(), data.val, protocol, crops_per_batch=crops_per_batch)


@pytest.mark.parametrize("prepared", [True, False])
def test_bench(data: DataSet, prepared: bool) -> None:
    folder = data.root if prepared else Path(data.train.paths[0]).parents[1]
    with named(data.train):
        bench_input(
            folder, augmentation=SMOKE.augmentation, rounds=1, images_per_round=4, image_size=32,
            batch=4, warm_up_images=40,
        )  # fmt: skip


def test_other_errors_stay_as_they_are(data: DataSet) -> None:
    def batches(error: tf.errors.OpError) -> Iterator[int]:
        yield 0
        raise error

    for error in (
        tf.errors.InvalidArgumentError(None, None, "something else"),
        tf.errors.NotFoundError(None, None, "/data/a.jpg; No such file"),
    ):
        found = naming_batches(
            batches(error), data.train, lambda _: [0, 1], "jpeg_integer_accurate"
        )
        assert next(found) == 0
        with pytest.raises(tf.errors.OpError) as caught:
            next(found)
        assert caught.value is error


def test_a_file_that_changed_is_called_changed_even_when_it_does_not_decode(
    data: DataSet, tmp_path: Path
) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(Path(data.train.paths[0]).read_bytes()[:200])
    one = Split(
        ids=("train/thing/cut.jpg",), paths=(str(path),), labels=np.zeros(1, np.int32),
        farmhash64=data.train.farmhash64[:1], heights=data.train.heights[:1],
        widths=data.train.widths[:1], orientations=data.train.orientations[:1],
        channels=data.train.channels,
    )  # fmt: skip
    recipe = SMOKE.model_copy(update={"batch": 1})
    devices = open_devices(ONE_DEVICE, None)
    with pytest.raises(DataError, match="not those that were prepared") as caught:
        list(recipe_batches(recipe, one, devices, seed=1, first=0, end=1))
    assert caught.value.where == str(path)
