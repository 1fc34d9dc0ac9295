"""`bench evaluate` on a network that turns the clock itself, over real files."""

from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from harness.bench.evaluation import (
    EvaluationBenchmark,
    EvaluationMeasurement,
    EvaluationRound,
    bench_evaluate,
    images_needed,
    write_photographs,
)
from harness.data.opening import open_dataset
from harness.errors import DataError, MachineError
from harness.models.build import build_model
from harness.recipes.protocol import Protocol, center_crop, ten_crop
from harness.recipes.recipe import Model

SIZE = 16
CENTER = center_crop(20, SIZE)
TEN = ten_crop(20, SIZE)


class Clock:
    """Stands still but for the work that is counted."""

    def __init__(self, seconds_a_crop: float, seconds_a_call: float) -> None:
        self.at_s = 0.0
        self.crop_s, self.call_s = seconds_a_crop, seconds_a_call

    def __call__(self) -> float:
        return self.at_s

    def work(self, crops: Any) -> Any:
        self.at_s += self.call_s + self.crop_s * int(crops.shape[0])
        return crops


def network(clock: Clock, classes: int = 2) -> keras.Model:
    """Uniform answers; every call moves the clock."""

    class Work(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
        def call(self, crops: Any) -> Any:
            worked = tf.py_function(clock.work, [crops], tf.float32)
            worked.set_shape(crops.shape)
            return worked

    inputs = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(Work()(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes, kernel_initializer="zeros")(pooled))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder, 20)
    return folder


def measurement(clock: Clock, folder: Path, protocol: Protocol, crops: int, to: Path) -> Any:
    split = open_dataset(folder, manifests=to).val
    return EvaluationMeasurement(network(clock), split, protocol, crops, clock)


@pytest.mark.parametrize(
    ("protocol", "crops", "images"),
    [(CENTER, 5, 20), (CENTER, 1, 4), (TEN, 50, 20), (TEN, 3, 4), (TEN, 29, 8)],
)
def test_every_batch_is_full_and_the_rate_is_crops_over_time(
    photographs: Path, tmp_path: Path, protocol: Protocol, crops: int, images: int
) -> None:
    assert images_needed(protocol, crops) == images
    clock = Clock(seconds_a_crop=0.25, seconds_a_call=0.0)
    assert measurement(clock, photographs, protocol, crops, tmp_path).whole_rate() == 4.0


def test_what_every_batch_costs_is_in_the_rate(photographs: Path, tmp_path: Path) -> None:
    clock = Clock(seconds_a_crop=0.25, seconds_a_call=1.25)
    found = measurement(clock, photographs, CENTER, 5, tmp_path)
    assert found.whole_rate() == pytest.approx(5 / 2.5)
    assert found._rate(found._bare) == pytest.approx(5 / 2.5)


def test_a_longer_evaluation_in_no_more_time_is_refused(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"20 crops took 0\.000 s"):
        measurement(Clock(0, 0), photographs, CENTER, 5, tmp_path).whole_rate()


@pytest.mark.parametrize(("protocol", "crops"), [(CENTER, 6), (TEN, 60)])
def test_too_few_images_are_refused(photographs: Path, protocol: Protocol, crops: int) -> None:
    with pytest.raises(DataError, match="needs 24 validation images and there are 20"):
        bench_evaluate(
            model="apm5-resnet18-v2", protocol=protocol, data=photographs, crops_per_batch=crops
        )


def test_folding_has_a_gain_of_its_own(photographs: Path, tmp_path: Path) -> None:
    model = build_model(Model(name="apm5-resnet18-v2", image_size=SIZE), classes=2, seed=0)
    folded = CENTER.model_copy(update={"fold_batch_norm": True})
    split = open_dataset(photographs, manifests=tmp_path).val
    measure = EvaluationMeasurement(model, split, folded, 5, Clock(0, 0))
    crops = tf.ones((5, SIZE, SIZE, 3))
    difference = measure._bare(crops) - measure._unfolded(crops)
    assert 0 < float(tf.reduce_max(tf.abs(difference))) < 1e-3


def test_ratios_carry_intervals_and_rates_their_spread() -> None:
    rounds = tuple(
        EvaluationRound(crops_per_s=0.9 * bare * wobble, bare_crops_per_s=bare,
                        gemm_flops_per_s=100.0, unfolded_crops_per_s=bare / 1.25)
        for bare, wobble in ((10.0, 1.01), (20.0, 0.99), (15.0, 1.0))
    )  # fmt: skip
    found = EvaluationBenchmark("m", "ten_crop", 60, 2.0, rounds)
    document = found.document()
    share = document["share_of_bare_network"]
    assert share["median"] == pytest.approx(0.9, rel=1e-3)
    assert share["low"] < share["median"] < share["high"]
    assert document["gain_of_folding"]["median"] == pytest.approx(1.25)
    assert document["bare_crops_per_s"] == {"median": 15.0, "low": 10.0, "high": 20.0}
    assert "folded over unfolded" in found.text()


def test_one_round_has_no_interval() -> None:
    found = EvaluationBenchmark("m", "ten_crop", 60, 2.0, (EvaluationRound(9.0, 10.0, 100.0),))
    assert found.document()["share_of_bare_network"] == {"median": 0.9, "low": None, "high": None}
    assert found.document()["gain_of_folding"] is None
