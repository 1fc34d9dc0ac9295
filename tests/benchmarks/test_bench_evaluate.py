"""Ten-crop evaluation against the bare network at the same batch, in alternation.

The bare network sees the same batch again and again: no files, no decoding, no
counting. What evaluation adds on top must stay within one twentieth.
"""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from harness.data.dataset import DataSet
from harness.data.opening import open_dataset
from harness.evaluation.evaluate import evaluate
from harness.measure.operations import forward_flops, multiply_adds
from harness.measure.peaks import measure_gemm
from harness.models.build import build_model
from harness.recipes.protocol import ten_crop
from harness.recipes.recipe import Model

IMAGES = 36
CROPS_PER_BATCH = 60
ROUNDS = 3
SLOWEST = 0.95
"""Of the bare network's crops a second."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Photograph-like JPEG files of ImageNet's usual size."""
    root = tmp_path_factory.mktemp("photographs")
    random = np.random.RandomState(1)
    for split, count in (("train", 1), ("val", IMAGES)):
        folder = root / split / "only"
        folder.mkdir(parents=True)
        for i in range(count):
            coarse = Image.fromarray(random.randint(0, 256, (47, 63, 3)).astype(np.uint8))
            smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC))
            noisy = smooth + random.randint(-12, 13, smooth.shape)
            pixels = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            pixels.save(folder / f"{i:03}.JPEG", quality=92)
    return open_dataset(root, manifests=tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build_model(Model(name="apm5-resnet50-v2", image_size=224), classes=1000, seed=0)


def bare_crops_per_s(model: keras.Model) -> float:
    batch = tf.random.stateless_normal([CROPS_PER_BATCH, 224, 224, 3], (0, 1))
    forward = tf.function(lambda images: model(images, training=False))
    forward(batch)
    began = time.perf_counter()
    batches = IMAGES * 10 // CROPS_PER_BATCH
    for _ in range(batches):
        forward(batch).numpy()
    return batches * CROPS_PER_BATCH / (time.perf_counter() - began)


@pytest.mark.slow
def test_ten_crops_keep_the_network_busy(
    benchmark: BenchmarkFixture, model: keras.Model, data: DataSet
) -> None:
    bare: list[float] = []
    whole: list[float] = []

    def one_round() -> None:
        result = evaluate(model, data.val, ten_crop(), crops_per_batch=CROPS_PER_BATCH)
        whole.append(result.crops_per_s)

    def before() -> None:
        bare.append(bare_crops_per_s(model))

    evaluate(model, data.val, ten_crop(), crops_per_batch=CROPS_PER_BATCH, limit=6)
    benchmark.pedantic(one_round, setup=before, rounds=ROUNDS, iterations=1)
    ratio = float(np.median(whole) / np.median(bare))
    flops_per_s = forward_flops(multiply_adds(model, 224), 1) * float(np.median(whole))
    benchmark.extra_info |= {
        "crops_per_s": whole,
        "bare_crops_per_s": bare,
        "share_of_bare_network": ratio,
        "share_of_gemm_peak": flops_per_s / measure_gemm(),
    }
    assert ratio >= SLOWEST
