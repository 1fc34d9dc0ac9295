"""Evaluation over real files, against a slow and separate computation of the same protocols."""

from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import scipy.special

from harness.data.dataset import DataSet, fixed_draw
from harness.data.opening import open_dataset
from harness.errors import DataError, WeightsError
from harness.evaluation.evaluate import evaluate, evaluate_together
from harness.evaluation.whole_images import batches_by_size
from harness.models.build import build_model
from harness.recipes.protocol import (
    APM5_NORMALISATION,
    Protocol,
    center_crop,
    multi_scale,
    ten_crop,
)
from harness.recipes.recipe import Model

SIZES = [(40, 60), (60, 40), (48, 48), (33, 90), (41, 57), (64, 40), (52, 44)]
CENTER, TEN = center_crop(40, 32), ten_crop(40, 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.RandomState(1)
    for split in ("train", "val"):
        for i, (height, width) in enumerate(SIZES):
            folder = root / split / f"class_{i % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = random.randint(0, 256, (6, 6, 3)).astype(np.uint8)
            picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
            cv2.imwrite(str(folder / f"{i}.JPEG"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return open_dataset(root, manifests=tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    made = build_model(Model(name="apm5-resnet18-v2", image_size=32), classes=7, seed=5)
    for variable in made.weights:
        if variable.path == "fully_connected/kernel":
            variable.assign(variable * 20.0)
    return made


def crops_by_opencv(path: str, protocol: Protocol) -> np.ndarray:
    picture = cv2.imread(path).astype(np.float32)
    height, width = picture.shape[:2]
    ratio = protocol.short_sides[0] / min(height, width)
    picture = cv2.resize(picture, (int(width * ratio), int(height * ratio)))
    size = protocol.crop_size
    bottom, right = picture.shape[0] - size, picture.shape[1] - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    offsets = corners if protocol.crops == "ten" else corners[4:]
    pictures = [picture, picture[:, ::-1]] if protocol.crops == "ten" else [picture]
    crops = [p[y : y + size, x : x + size] for p in pictures for y, x in offsets]
    return (np.stack(crops) - APM5_NORMALISATION.mean) / APM5_NORMALISATION.std


@pytest.mark.parametrize("protocol", [CENTER, TEN], ids=lambda p: p.name)
def test_predictions_are_those_of_one_image_at_a_time(
    model: keras.Model, data: DataSet, protocol: Protocol
) -> None:
    done: list[tuple[int, int]] = []
    result = evaluate(
        model, data.val, protocol, crops_per_batch=21, progress=lambda *at: done.append(at)
    )
    assert result.image_ids == data.val.ids
    np.testing.assert_array_equal(result.labels, data.val.labels)
    for i, path in enumerate(data.val.paths):
        logits = np.asarray(model(crops_by_opencv(path, protocol).astype(np.float32)), np.float64)
        expected = scipy.special.softmax(logits, -1).mean(0)
        np.testing.assert_allclose(
            result.top5_probability[i], -np.sort(-expected)[:5], rtol=2e-3, atol=1e-4
        )
    assert result.images == result.images_in_split == len(SIZES)
    assert result.crops == len(SIZES) * (10 if protocol.crops == "ten" else 1)
    assert (done[0], done[-1]) == ((0, len(SIZES)), (len(SIZES), len(SIZES)))
    assert 0 <= result.top1_correct <= result.top5_correct <= len(SIZES)


def test_probabilities_that_are_no_numbers_name_the_weights(
    model: keras.Model, data: DataSet
) -> None:
    broken = keras.models.clone_model(model)
    broken.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(WeightsError, match=r"sum to nan[^$]*where:      broken\.h5"):
        evaluate(broken, data.val, CENTER, limit=1, weights_source="broken.h5")


def test_two_protocols_in_one_pass_answer_as_each_alone(model: keras.Model, data: DataSet) -> None:
    together = evaluate_together(model, data.val, (CENTER, TEN), crops_per_batch=30)
    for result, protocol in zip(together, (CENTER, TEN), strict=True):
        alone = evaluate(model, data.val, protocol)
        assert result.protocol == protocol
        np.testing.assert_array_equal(result.top5_class, alone.top5_class)
        np.testing.assert_allclose(result.top5_probability, alone.top5_probability, rtol=1e-4)


SCALES = multi_scale((32, 45))


def test_whole_images_at_every_scale_and_mirrored_are_averaged(
    model: keras.Model, data: DataSet
) -> None:
    result = evaluate(model, data.val, SCALES, crops_per_batch=8)
    assert result.crops == 4 * len(SIZES)
    for i, path in enumerate(data.val.paths[:3]):
        views = []
        for short_side in SCALES.short_sides:
            picture = cv2.imread(path).astype(np.float32)
            ratio = short_side / min(picture.shape[:2])
            size = (int(picture.shape[1] * ratio), int(picture.shape[0] * ratio))
            picture = cv2.resize(picture, size)
            picture = (picture - APM5_NORMALISATION.mean) / APM5_NORMALISATION.std
            views += [picture, picture[:, ::-1]]
        logits = [np.asarray(model(v[None].astype(np.float32)), np.float64) for v in views]
        expected = scipy.special.softmax(np.concatenate(logits), -1).mean(0)
        np.testing.assert_allclose(
            result.top5_probability[i], -np.sort(-expected)[:5], rtol=2e-3, atol=1e-4
        )


def test_a_batch_holds_upright_images_of_one_size(data: DataSet) -> None:
    turned = replace(
        data.val,
        heights=np.array([40, 60, 40, 60, 40, 60, 40]),
        widths=np.array([60, 40, 60, 40, 60, 40, 60]),
        orientations=np.array([1, 6, 1, 1, 3, 8, 5], np.uint8),
    )
    batches = batches_by_size(turned, 2)
    assert batches == [[0, 1], [2, 4], [5], [3, 6]]
    assert batches_by_size(turned.taken(np.arange(3)), 8) == [[0, 1, 2]]


def test_folding_is_another_protocol_with_the_same_answers(
    model: keras.Model, data: DataSet
) -> None:
    folded = CENTER.model_copy(update={"fold_batch_norm": True})
    assert folded.digest != CENTER.digest
    plain, other = (evaluate(model, data.val, protocol) for protocol in (CENTER, folded))
    np.testing.assert_allclose(plain.top5_probability, other.top5_probability, rtol=1e-3)


def test_a_limit_takes_a_fixed_draw(model: keras.Model, data: DataSet) -> None:
    part, again = (evaluate(model, data.val, CENTER, limit=3) for _ in range(2))
    drawn = fixed_draw(data.val.labels, 3)
    assert part.image_ids == again.image_ids == tuple(data.val.ids[int(i)] for i in drawn)
    assert part.labels.tolist() == data.val.labels[drawn].tolist()
    assert part.images_in_split == len(SIZES)
    whole = evaluate(model, data.val, CENTER)
    np.testing.assert_allclose(part.top5_probability, whole.top5_probability[drawn], rtol=1e-4)


def test_time_is_the_injected_clock_without_tracing(model: keras.Model, data: DataSet) -> None:
    ticks = iter(range(0, 1000, 10))
    result = evaluate(model, data.val, CENTER, now=lambda: float(next(ticks)))
    # Read at the beginning, around tracing and at the end: 0, 10, 20 and 30.
    assert result.duration_s == 20
    assert result.crops_per_s == len(SIZES) / 20


def test_labels_without_a_class_are_refused(data: DataSet) -> None:
    two = build_model(Model(name="apm5-resnet18-v2", image_size=32), classes=2, seed=5)
    with pytest.raises(DataError, match="a label is 2 and the model has 2 classes"):
        evaluate(two, data.val, CENTER)


def test_nothing_to_evaluate_is_an_error(model: keras.Model, data: DataSet) -> None:
    with pytest.raises(DataError, match="no images"):
        evaluate(model, data.val, CENTER, limit=0)


def test_weights_that_are_not_finite_are_an_error(data: DataSet) -> None:
    broken = build_model(Model(name="apm5-resnet18-v2", image_size=32), classes=7, seed=5)
    broken.get_layer("fully_connected").kernel.assign(np.full((512, 7), np.nan))
    with pytest.raises(WeightsError, match="sum to nan"):
        evaluate(broken, data.val, CENTER)


def test_a_file_that_changed_meanwhile_is_named(model: keras.Model, data: DataSet) -> None:
    path = Path(data.val.paths[2])
    before = path.read_bytes()
    path.write_bytes(before[:-200] + bytes(200))
    try:
        with pytest.raises(DataError, match=data.val.ids[2]):
            evaluate(model, data.val, CENTER)
    finally:
        path.write_bytes(before)
