"""Batches: positions, shards, exactness of any starting step, checks on every read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from harness.data.dataset import DataSet, Split
from harness.data.image_files.reading import translate_error
from harness.data.input_pipeline import mapping
from harness.data.input_pipeline.order import image_index, order_seeds
from harness.data.input_pipeline.pipeline import evaluation_batches, training_batches
from harness.data.opening import open_dataset
from harness.errors import RecipeError
from harness.recipes.protocol import center_crop, ten_crop
from harness.recipes.smoke import SMOKE
from harness.sources.digits import write_digits
from tests.parity.generated_images import jpeg_bytes, picture

SEED = 7


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    base = tmp_path_factory.mktemp("digits")
    write_digits(base / "digits")
    return open_dataset(base / "digits", manifests=base / "manifests")


def first_images(split: Split, n: int) -> Split:
    columns = ("ids", "paths", "labels", "farmhash64", "heights", "widths", "orientations")
    return replace(split, **{name: getattr(split, name)[:n] for name in columns})


def batches(split: Split, **changes: Any) -> list[dict[str, np.ndarray]]:
    settings: dict[str, Any] = {
        "augmentation": SMOKE.augmentation,
        "normalisation": SMOKE.normalisation,
        "image_size": 32,
        "seed": SEED,
        "batch": 8,
        "first_step": 0,
        "last_step": 6,
        **changes,
    }
    return list(training_batches(split, **settings).as_numpy_iterator())


def assert_equal(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]]) -> None:
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        assert left.keys() == right.keys() == {"image", "label", "index"}
        for key in left:
            assert np.array_equal(left[key], right[key]), key


def test_shapes_types_and_labels(digits: DataSet) -> None:
    (batch,) = batches(digits.train, last_step=1)
    assert (batch["image"].dtype, batch["image"].shape) == (np.float32, (8, 32, 32, 3))
    assert (batch["label"].dtype, batch["index"].dtype) == (np.int32, np.int64)
    assert np.array_equal(batch["label"], digits.train.labels[batch["index"]])


def test_batches_run_across_the_ends_of_passes(digits: DataSet) -> None:
    split = first_images(digits.train, 20)
    seen = np.concatenate([b["index"] for b in batches(split, last_step=10)])
    keys = order_seeds(SEED, (0, 3))
    for number in range(4):
        order = [
            int(image_index(tf.constant(place, tf.int64), tf.constant(keys[number]), 20))
            for place in range(20)
        ]
        assert seen[20 * number : 20 * (number + 1)].tolist() == order


def test_any_step_is_reached_without_the_steps_before(digits: DataSet) -> None:
    split = first_images(digits.train, 20)
    assert_equal(batches(split, first_step=3), batches(split)[3:])


def test_shards_join_to_the_global_batch(digits: DataSet) -> None:
    whole = batches(digits.train, last_step=3)
    shards = [batches(digits.train, last_step=3, shard=(i, 4)) for i in range(4)]
    joined = [
        {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for parts in zip(*shards, strict=True)
    ]
    assert_equal(joined, whole)


def test_an_image_is_augmented_anew_in_each_pass_and_by_each_seed(digits: DataSet) -> None:
    split = first_images(digits.train, 8)

    def images(batch: dict[str, np.ndarray]) -> np.ndarray:
        return batch["image"][np.argsort(batch["index"])]

    passes = [images(batch) for batch in batches(split, last_step=2)]
    other = images(batches(split, last_step=1, seed=SEED + 1)[0])
    assert not np.isclose(passes[0], passes[1]).all(axis=(1, 2, 3)).any()
    assert not np.isclose(passes[0], other).all(axis=(1, 2, 3)).any()


def test_parallelism_changes_no_bit(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = batches(digits.train)
    monkeypatch.setattr(mapping, "parallel_calls", lambda: 1)
    assert_equal(batches(digits.train), usual)
    monkeypatch.setattr(mapping, "parallel_calls", lambda: 7)
    assert_equal(batches(digits.train), usual)


def test_one_resize_keeps_order_and_changes_pixels(digits: DataSet) -> None:
    fast = SMOKE.augmentation.model_copy(update={"geometry": "one_resize"})
    exact, other = batches(digits.train), batches(digits.train, augmentation=fast)
    assert all(np.array_equal(a["index"], b["index"]) for a, b in zip(exact, other, strict=True))
    assert not np.array_equal(exact[0]["image"], other[0]["image"])


def test_a_crop_that_does_not_fit_is_refused(digits: DataSet) -> None:
    with pytest.raises(RecipeError, match="short side can be 34"):
        batches(digits.train, image_size=35)


@pytest.mark.parametrize("images_per_batch", [1, 7, 10])
@pytest.mark.parametrize("workers", [1, 2])
def test_evaluation_shows_each_image_once(
    digits: DataSet, images_per_batch: int, workers: int
) -> None:
    if images_per_batch % workers:
        images_per_batch += 1
    seen = []
    for worker in range(workers):
        for batch in evaluation_batches(
            digits.val.taken(np.arange(23)),
            center_crop(36, 32),
            images_per_batch=images_per_batch,
            shard=(worker, workers),
        ).as_numpy_iterator():
            assert batch["image"].shape == (images_per_batch // workers, 1, 32, 32, 3)
            assert np.array_equal(batch["label"], digits.val.labels[batch["index"]])
            seen += batch["index"][batch["mask"]].tolist()
    assert sorted(seen) == list(range(23))


def test_the_center_crop_is_the_fifth_of_ten(digits: DataSet) -> None:
    def images(protocol: Any) -> np.ndarray:
        batches = evaluation_batches(digits.val.taken(np.arange(5)), protocol, images_per_batch=5)
        return next(iter(batches.as_numpy_iterator()))["image"]

    center, ten = images(center_crop(36, 32)), images(ten_crop(36, 32))
    assert np.array_equal(center[:, 0], ten[:, 4])
    # The mirrored image's left corners show the image's right ones.
    assert np.array_equal(ten[:, 5:], ten[:, [1, 0, 3, 2, 4], :, ::-1])


@pytest.fixture
def photographs(tmp_path: Path) -> DataSet:
    for split, count in (("train", 4), ("val", 1)):
        for n in range(count):
            path = tmp_path / "data" / split / "thing" / f"{n}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg_bytes(picture(50, 60, n)))
    return open_dataset(tmp_path / "data", manifests=tmp_path / "manifests")


def change(path: Path, fault: str) -> None:
    raw = bytearray(path.read_bytes())
    match fault:
        case "one bit":
            raw[len(raw) // 2] ^= 1
            path.write_bytes(raw)
        case "cut short":
            path.write_bytes(raw[:200])
        case "empty":
            path.write_bytes(b"")
        case "another image":
            path.write_bytes(jpeg_bytes(picture(50, 60, 99)))
        case "gone":
            path.unlink()


@pytest.mark.parametrize("fault", ["one bit", "cut short", "empty", "another image", "gone"])
@pytest.mark.parametrize("evaluating", [False, True])
def test_a_file_that_changed_stops_the_run_with_its_name(
    photographs: DataSet, fault: str, evaluating: bool
) -> None:
    split = photographs.val if evaluating else photographs.train
    change(Path(split.paths[-1]), fault)

    def read_all() -> None:
        if evaluating:
            list(evaluation_batches(split, center_crop(36, 32), images_per_batch=1))
        else:
            batches(split, batch=2, last_step=2)

    with pytest.raises(tf.errors.OpError) as caught:
        read_all()
    error = translate_error(caught.value)
    assert error.where == split.paths[-1]


def test_op_determinism_is_accepted_and_changes_no_bit(digits: DataSet) -> None:
    from tensorflow.python.framework import config

    if config.is_op_determinism_enabled():
        pytest.skip("op determinism is on already")
    usual = batches(digits.train)
    tf.config.experimental.enable_op_determinism()
    try:
        assert_equal(batches(digits.train), usual)
    finally:
        config.disable_op_determinism()


def test_lighting_alone_shifts_each_channel_by_one_offset(digits: DataSet) -> None:
    only_pca = SMOKE.augmentation.model_copy(
        update={
            "aspect": None, "hue_degrees": None, "saturation": None, "value": None, "pca_std": 0.1,
        }
    )  # fmt: skip
    nothing = only_pca.model_copy(update={"pca_std": None})
    lit, plain = (batches(digits.train, augmentation=a)[0]["image"] for a in (only_pca, nothing))
    levels = plain[0] * np.array(SMOKE.normalisation.std) + np.array(SMOKE.normalisation.mean)
    inside = (levels > 60).all(-1) & (levels < 195).all(-1)  # where clipping cannot act
    offsets = (lit[0] - plain[0])[inside]
    assert np.abs(offsets).max() > 0.01
    assert offsets.std(axis=0).max() < 1e-5
