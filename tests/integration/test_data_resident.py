"""Images kept in memory: the batches are those of the way that reads every image anew."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from harness.data.compatibility import check_input
from harness.data.dataset import Split
from harness.data.image_files.inspection import farmhash64
from harness.data.input_pipeline import resident
from harness.data.input_pipeline.pipeline import (
    evaluation_batches,
    keeps_evaluation_images,
    keeps_training_images,
    training_batches,
)
from harness.data.input_pipeline.resident import fits_in_memory, resident_images
from harness.errors import DataError, RecipeError
from harness.evaluation.evaluate import evaluate
from harness.recipes.protocol import Protocol, center_crop, multi_scale, ten_crop
from harness.recipes.recipe import Augmentation, Recipe
from harness.recipes.smoke import SMOKE
from harness.training.batches import read_ahead
from tests.small_images import COLOUR, GREY, padded, pixels, stored_split, whole

SIDE = 12
IMAGES = 23
NORMALISATION = {1: GREY, 3: COLOUR}


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def split(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("small")
    return stored_split(folder, pixels(IMAGES, SIDE, request.param))


def batches(split: Split, **changes: Any) -> list[dict[str, np.ndarray]]:
    settings: dict[str, Any] = {
        "augmentation": padded(SIDE),
        "normalisation": NORMALISATION.get(split.channels),
        "image_size": SIDE,
        "seed": 7,
        "batch": 8,
        "first_step": 0,
        "last_step": 9,
        **changes,
    }
    return list(training_batches(split, **settings).as_numpy_iterator())


def assert_equal(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]]) -> None:
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        assert left.keys() == right.keys()
        for key in left:
            np.testing.assert_array_equal(left[key], right[key], err_msg=key, strict=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"first_step": 5},
        {"shard": (1, 4)},
        {"image_size": SIDE + 3},
        {"batch": 50, "last_step": 3},  # more than a pass
        {"augmentation": padded(SIDE, 0, flip=False), "image_size": SIDE - 5},
    ],
    ids=["plain", "later", "shard", "larger crop", "long batch", "no padding"],
)
def test_training_is_equal_bit_for_bit(split: Split, changes: dict[str, Any]) -> None:
    kept, apart = batches(split, **changes), batches(split, **changes, in_memory=False)
    assert_equal(kept, apart)
    size = changes.get("image_size", SIDE)
    assert kept[0]["image"].shape[1:] == (size, size, split.channels)
    assert np.array_equal(kept[0]["label"], split.labels[kept[0]["index"]])


def test_any_step_is_reached_without_the_steps_before(split: Split) -> None:
    assert_equal(batches(split, first_step=4), batches(split)[4:])


def test_colours_change_a_padded_image_too(tmp_path: Path) -> None:
    colourful = stored_split(tmp_path, pixels(IMAGES, SIDE, 3))
    changes = {"augmentation": padded(SIDE, hue_degrees=36.0, pca_std=0.1)}
    kept, apart = batches(colourful, **changes), batches(colourful, **changes, in_memory=False)
    assert_equal(kept, apart)
    assert not np.allclose(kept[0]["image"], batches(colourful)[0]["image"])


def protocols() -> list[Protocol]:
    changes = ({}, {"interpolation": "bicubic"}, {"antialias": True}, {"resize_rule": "round"})
    crops = [center_crop(SIDE, SIDE), center_crop(SIDE, SIDE - 3), ten_crop(SIDE, SIDE - 5)]
    return [crops[0].model_copy(update=change) for change in changes] + crops[1:]


@pytest.mark.parametrize("protocol", protocols(), ids=lambda p: f"{p.crops}-{p.crop_size}")
@pytest.mark.parametrize(("per_batch", "shard"), [(1, (0, 1)), (10, (0, 1)), (10, (1, 2))])
def test_evaluation_is_equal_bit_for_bit(
    split: Split, protocol: Protocol, per_batch: int, shard: tuple[int, int]
) -> None:
    protocol = protocol.model_copy(update={"normalisation": NORMALISATION[split.channels]})
    assert keeps_evaluation_images(split, protocol)

    def made(in_memory: bool) -> list[dict[str, np.ndarray]]:
        found = evaluation_batches(
            split, protocol, images_per_batch=per_batch, shard=shard, in_memory=in_memory
        )
        return list(found.as_numpy_iterator())

    kept = made(in_memory=True)
    assert_equal(kept, made(in_memory=False))
    size = protocol.crop_size
    assert kept[0]["image"].shape[2:] == (size, size, split.channels)


def test_a_whole_image_is_shown_as_it_is_stored(tmp_path: Path) -> None:
    images = pixels(5, SIDE, 1)
    grey = stored_split(tmp_path, images)
    (batch,) = evaluation_batches(grey, whole(SIDE, GREY), images_per_batch=5).as_numpy_iterator()
    expected = (images / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(batch["image"][:, 0], expected, atol=2e-6)


def network(channels: int) -> keras.Model:
    image = keras.Input((None, None, channels))
    logits = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(image))
    return keras.Model(image, logits)


@pytest.mark.parametrize(
    "protocol", [whole(SIDE, GREY), ten_crop(SIDE, 8, GREY), multi_scale((10, 12, 16), GREY)]
)
def test_one_channel_reaches_the_network_under_every_protocol(
    tmp_path: Path, protocol: Protocol
) -> None:
    grey = stored_split(tmp_path, pixels(IMAGES, SIDE, 1))
    assert evaluate(network(1), grey, protocol, crops_per_batch=60).images == IMAGES


def test_stretched_and_scaled_grey_images_are_a_colour_image_s_channel(tmp_path: Path) -> None:
    """The ordinary way of one channel beside the same file read as three equal ones."""
    grey = stored_split(tmp_path, pixels(IMAGES, 40, 1))
    levels = {"mean": (100.0,), "std": (50.0,), "scale": 1.0}
    three = {name: value * 3 if name != "scale" else value for name, value in levels.items()}
    augmentation = SMOKE.augmentation.model_copy(
        update={"hue_degrees": None, "saturation": None, "value": None, "pca_std": None}
    )
    settings = {"augmentation": augmentation, "image_size": 32, "last_step": 2}
    one = batches(grey, **settings, normalisation=GREY.model_copy(update=levels))
    all_ = batches(grey, **settings, normalisation=COLOUR.model_copy(update=three))
    for a, b in zip(one, all_, strict=True):
        assert a["image"].shape == (8, 32, 32, 1)
        np.testing.assert_allclose(a["image"], b["image"][..., :1], atol=1e-5)


# What is kept, and what is read


@pytest.fixture
def fresh(tmp_path: Path) -> Split:
    return stored_split(tmp_path / "data", pixels(IMAGES, SIDE, 1))


def test_files_are_read_once_for_training_and_evaluation(fresh: Split) -> None:
    first = batches(fresh)
    evaluated = evaluation_batches(fresh, whole(SIDE, GREY), images_per_batch=8)
    for path in fresh.paths:
        Path(path).unlink()
    assert_equal(batches(fresh), first)
    assert len(list(evaluated)) == len(list(evaluated)) == 3


def test_kept_pixels_go_with_their_split(fresh: Split) -> None:
    copy = replace(fresh)
    kept = weakref.ref(resident_images(copy, "jpeg_integer_accurate", 1))
    assert kept() is resident_images(copy, "jpeg_integer_accurate", 1)
    del copy
    gc.collect()
    assert kept() is None


def test_a_limited_evaluation_reads_only_its_images(fresh: Split) -> None:
    for path in fresh.paths[5:]:
        Path(path).unlink()
    made = evaluation_batches(fresh.taken(np.arange(5)), whole(SIDE, GREY), images_per_batch=5)
    assert len(list(made)) == 1


@pytest.mark.parametrize("blocks", [500, 4])
@pytest.mark.parametrize("fault", ["gone", "another", "damaged"])
@pytest.mark.parametrize("way", ["training", "evaluation"])
def test_a_bad_image_is_named_when_the_run_begins(
    fresh: Split, way: str, fault: str, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "IMAGES_AT_ONCE", blocks)
    bad = Path(fresh.paths[14])
    match fault:
        case "gone":
            bad.unlink()
        case "another":
            bad.write_bytes(Path(fresh.paths[0]).read_bytes())
        case "damaged":
            raw = bad.read_bytes()
            bad.write_bytes(raw[:60] + bytes(40) + raw[100:])
            fresh.farmhash64[14] = farmhash64([bad.read_bytes()])[0]
    read: dict[str, Callable[[], Any]] = {
        "training": lambda: batches(fresh),
        "evaluation": lambda: evaluation_batches(fresh, whole(SIDE, GREY), images_per_batch=8),
    }
    with pytest.raises(DataError) as caught:
        read[way]()
    assert caught.value.where in {fresh.ids[14], fresh.paths[14]}
    told = {"gone": "cannot be read", "another": "not those", "damaged": "does not decode"}
    assert told[fault] in caught.value.found


def test_what_fits_in_memory(fresh: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, turned = fresh.heights.copy(), fresh.orientations.copy()
    sizes[3], turned[4] = 13, 6
    assert fits_in_memory(fresh, 1)
    assert not fits_in_memory(replace(fresh, heights=sizes), 1)
    assert not fits_in_memory(replace(fresh, widths=sizes), 1)
    assert not fits_in_memory(replace(fresh, orientations=turned), 1)
    monkeypatch.setattr(resident, "MOST_BYTES", IMAGES * SIDE * SIDE - 1)
    assert not fits_in_memory(fresh, 1)


def test_images_that_are_resized_stay_on_disk(fresh: Split) -> None:
    assert not keeps_evaluation_images(fresh, center_crop(SIDE + 1, SIDE, GREY))
    assert not keeps_evaluation_images(fresh, center_crop(SIDE, SIDE + 1, GREY))
    assert not keeps_training_images(fresh, SMOKE.augmentation, 1)
    assert keeps_training_images(fresh, padded(SIDE), 1)


def test_whoever_waits_is_told_how_far_reading_is(
    fresh: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "IMAGES_AT_ONCE", 5)
    recipe = SMOKE.model_copy(update={"augmentation": padded(SIDE), "normalisation": GREY})
    ticks = iter(range(100))
    told: list[str] = []
    read_ahead(recipe, fresh, told.append, now=lambda: float(next(ticks)))
    begin = "reading the training images into memory:"
    assert told[0] == f"{begin} 10 of 23"
    assert told == sorted(told)
    read_ahead(recipe, fresh, told.append, now=lambda: 1e9)
    read_ahead(SMOKE, fresh, told.append, now=lambda: 1e9)
    assert all(line.startswith(begin) for line in told)


# What does not fit together


@pytest.mark.parametrize("stored", [3, "mixed"])
@pytest.mark.parametrize("way", ["training", "stretched", "evaluation", "whole images"])
def test_one_channel_is_not_made_of_colour_images(fresh: Split, stored: Any, way: str) -> None:
    colour = replace(fresh, channels=stored)
    plain = padded(SIDE).model_copy(update={"padding": None})
    makers: dict[str, Callable[[], Any]] = {
        "training": lambda: batches(colour, normalisation=GREY),
        "stretched": lambda: batches(colour, normalisation=GREY, augmentation=plain),
        "evaluation": lambda: evaluation_batches(colour, whole(SIDE, GREY), images_per_batch=2),
        "whole images": lambda: evaluate(network(1), colour, multi_scale((12,), GREY)),
    }
    with pytest.raises(RecipeError, match="the recipe takes images of one channel") as caught:
        makers[way]()
    assert fresh.paths[0] in str(caught.value.where)
    assert caught.value.remedy


def test_three_channels_are_not_made_of_grey_images_as_they_are_stored(fresh: Split) -> None:
    with pytest.raises(RecipeError, match=r"three channels .* stored with one channel"):
        batches(fresh, normalisation=COLOUR)


def test_a_grey_image_is_read_as_three_equal_channels_where_images_are_scaled(
    fresh: Split,
) -> None:
    """As every decoder does, and as the smoke's digits always were."""
    plain = padded(SIDE).model_copy(update={"padding": None})
    levels = COLOUR.model_copy(update={"mean": (0.5,) * 3, "std": (0.25,) * 3})
    (batch, *_) = batches(fresh, normalisation=levels, augmentation=plain)
    assert batch["image"].shape == (8, SIDE, SIDE, 3)
    assert np.array_equal(batch["image"][..., 0], batch["image"][..., 2])


@pytest.mark.parametrize("height", [True, False])
def test_an_image_of_another_size_is_refused_by_name(fresh: Split, height: bool) -> None:
    sizes = fresh.heights.copy()
    sizes[6:] = 13
    other = replace(fresh, heights=sizes) if height else replace(fresh, widths=sizes)
    with pytest.raises(DataError, match=r"17 of 23 training images are not 12 x 12") as caught:
        batches(other)
    assert fresh.ids[6] in caught.value.found
    assert caught.value.where == fresh.paths[6]


def test_a_crop_larger_than_the_padded_image_is_refused(fresh: Split) -> None:
    with pytest.raises(RecipeError, match="larger than the padded image: 12 pixels and 4 zeros"):
        batches(fresh, image_size=SIDE + 9)


def test_a_grey_image_has_no_colours(fresh: Split) -> None:
    with pytest.raises(RecipeError, match="hue_degrees, pca_std"):
        batches(fresh, augmentation=padded(SIDE, hue_degrees=36.0, pca_std=0.1))


@pytest.mark.parametrize("wrong", [{"aspect": (0.8, 1.25)}, {"short_side": (SIDE, SIDE + 2)}])
def test_padding_beside_scaling_is_no_recipe(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="nothing is stretched or scaled"):
        padded(SIDE, **wrong)


def test_a_recipe_is_refused_before_anything_is_written(fresh: Split) -> None:
    recipe = grey_recipe()
    check_input(recipe, fresh, fresh)
    for train, val in ((3, 1), (1, 3)):
        with pytest.raises(RecipeError, match="one channel"):
            check_input(recipe, replace(fresh, channels=train), replace(fresh, channels=val))
    check_input(SMOKE, fresh, fresh)


def grey_recipe(augmentation: Augmentation | None = None) -> Recipe:
    return SMOKE.model_copy(
        update={
            "augmentation": augmentation or padded(SIDE),
            "normalisation": GREY,
            "model": SMOKE.model.model_copy(update={"image_size": SIDE}),
            "epoch_protocol": whole(SIDE, GREY),
            "final_protocols": (whole(SIDE, GREY),),
        }
    )
