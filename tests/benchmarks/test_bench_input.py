"""The input pipeline's speed, its bench, and its behaviour at ImageNet's size."""

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from harness.bench.input import alternate, bench_input, render
from harness.data.image_files.inspection import inspect
from harness.data.input_pipeline.order import Positions
from harness.data.input_pipeline.pipeline import training_batches, training_example
from harness.data.loose_files import loose_split
from harness.data.manifest import SCHEMA, Description, root_digest, write_manifest
from harness.data.opening import open_dataset
from harness.data.transforms.colour import colour_step
from harness.data.transforms.draws import COUNT, colour_draws
from harness.measure.memory import give_back
from harness.recipes.imagenet import TRAIN_IMAGES, VAL_IMAGES
from harness.recipes.published.apm5 import APM5_RESNET50, AUGMENTATION
from harness.record.schema import DataIdentity
from harness.sources.class_order import class_orders
from tests.parity.generated_images import jpeg_bytes, picture

BATCH = 16
MOST_MB = 1500
"""Resident, the whole process with TensorFlow, at ImageNet's size and batch 128."""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for n in range(8):
        (folder / f"{n}.JPEG").write_bytes(jpeg_bytes(picture(375, 500, n)))
    return folder


def training(split: Any, **changes: Any) -> Any:
    settings: dict[str, Any] = {"batch": BATCH, "first_step": 0, "last_step": 10_000, **changes}
    return training_batches(
        split,
        augmentation=AUGMENTATION,
        normalisation=APM5_RESNET50.normalisation,
        image_size=224,
        seed=0,
        **settings,
    )


@pytest.fixture(autouse=True)
def _as_bench_input_runs() -> Iterator[None]:
    """Without op determinism, under which the reference's Python calls run one by one."""
    before = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    yield
    if before:
        tf.config.experimental.enable_op_determinism()


def test_decode_and_crop_of_one_image(photographs: Path, benchmark: Any) -> None:
    """One core's work: read, decode the crop's window, resize; no batch, no colour."""
    split = loose_split(photographs)
    positions = Positions(len(split), BATCH, 0, 10_000)
    load = tf.function(training_example(split, positions, AUGMENTATION, 224, 0))
    numbers = itertools.cycle(tf.range(len(split), dtype=tf.int64))
    for _ in range(2 * len(split)):
        load(next(numbers))  # renderers are compiled for each window size

    def one() -> np.ndarray:
        image: np.ndarray = load(next(numbers))["image"].numpy()
        return image

    example = benchmark(one)
    assert example.shape == (224, 3, 224)
    benchmark.extra_info["images"] = 1


def test_colour_of_a_batch(benchmark: Any) -> None:
    colour = colour_step(AUGMENTATION, APM5_RESNET50.normalisation)
    crops = tf.random.stateless_uniform((BATCH, 224, 3, 224), (0, 0), 0, 255)
    uniforms = tf.random.stateless_uniform((BATCH, COUNT), (0, 1), dtype=tf.float64)
    draws = colour_draws(uniforms, AUGMENTATION)
    colour(crops, draws)
    image = benchmark(lambda: colour(crops, draws).numpy())
    assert image.shape == (BATCH, 224, 224, 3)
    benchmark.extra_info["images"] = BATCH


def test_the_whole_pipeline(photographs: Path, benchmark: Any) -> None:
    iterator = iter(training(loose_split(photographs)))
    for _ in range(8):
        next(iterator)
    batch = benchmark(next, iterator)
    assert batch["image"].shape == (BATCH, 224, 224, 3)


def test_bench_input_reports_every_way(photographs: Path) -> None:
    pytest.importorskip("cv2", reason="the reference's way needs OpenCV")
    bench = bench_input(
        photographs,
        augmentation=AUGMENTATION,
        against_reference=True,
        rounds=2,
        images_per_round=16,
        batch=8,
        warm_up_images=16,
    )
    found = bench.as_json()
    ratios = (
        "share_of_bare_decode",
        "ratio_vs_reference",
        "evaluation_ratio_vs_reference",
        "one_resize_ratio_vs_reference",
        "images_per_s",
        "bare_decode_images_per_s",
    )
    for name in ratios:
        assert 0 < found[name]["low"] <= found[name]["median"] <= found[name]["high"], name
    assert found["images_per_s_per_core"] * bench.cores == pytest.approx(bench.images_per_s.median)
    assert all(name in render(bench) for name in bench.ways)


def test_ways_take_turns_and_rates_are_images_over_time() -> None:
    turns: list[str] = []
    clock = {"now": 0.0}
    seconds = {"fast": 1.0, "slow": 4.0}

    def ticking(name: str) -> Any:
        while True:
            turns.append(name)
            clock["now"] += seconds[name]
            yield name

    iterators = {name: ticking(name) for name in seconds}
    measured = alternate(iterators, 3, 5, 10, lambda: clock["now"])
    assert measured == {"fast": [10.0] * 3, "slow": [2.5] * 3}
    firsts = [n for n, before in zip(turns, ["", *turns], strict=False) if n != before]
    assert firsts == ["fast", "slow"] * 3


def synthetic_manifest(folder: Path, image: Path, train: int, val: int) -> Path:
    """A manifest of many rows that all read one image file."""
    facts = inspect(image.read_bytes())
    wnids = class_orders().wnids
    ids = [
        f"{split}/{wnids[n % 1000]}/{wnids[n % 1000]}_{n:07d}.JPEG"
        for split, count in (("train", train), ("val", val))
        for n in range(count)
    ]
    classes = [name.split("/")[1] for name in ids]
    index = {wnid: label for label, wnid in enumerate(wnids)}
    same = {
        name: [getattr(facts, name)] * len(ids)
        for name in (
            "sha256",
            "encoding",
            "colour_model",
            "width",
            "height",
            "orientation",
            "source_orientation",
            "decision",
            "reason",
            "farmhash64",
        )
    }
    columns = {
        "id": ids,
        "split": ["train"] * train + ["val"] * val,
        "class": classes,
        "label": [index[name] for name in classes],
        "path": [image.name] * len(ids),
        "bytes": [facts.size_bytes] * len(ids),
        "mtime_ns": [0] * len(ids),
        "converted": [None] * len(ids),
        **same,
    }
    rows = pa.table(columns, SCHEMA).sort_by("id").combine_chunks()
    identity = DataIdentity(
        name="synthetic",
        kind="imagenet_subset",
        root_digest=root_digest(rows),
        train_images=train,
        val_images=val,
        classes=wnids,
        class_order="wordnet",
    )
    description = Description(
        identity=identity,
        source="folder",
        images_root=str(image.parent),
        as_is=len(rows),
        converted=0,
        refused=0,
        turned=0,
        truths=(),
    )
    write_manifest(rows, description, folder)
    return folder


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure_at_size(folder: Path) -> None:
    """Open, reach step 500,000 and iterate; prints what it took as JSON."""
    start_s = time.perf_counter()
    data = open_dataset(folder, manifests=folder)
    assert len(data.train) == TRAIN_IMAGES
    iterator = iter(training(data.train, batch=128, first_step=500_000, last_step=600_000))
    first = next(iterator)
    reached_s = time.perf_counter() - start_s
    assert np.unique(first["index"].numpy()).size > 120
    for _ in range(30):
        next(iterator)
    give_back()  # as a run does after its first window
    early_mb = resident_mb()
    for _ in range(170):
        next(iterator)
    found = {"reached_s": reached_s, "early_mb": early_mb, "late_mb": resident_mb()}
    sys.stdout.write(json.dumps(found) + "\n")


@pytest.fixture(scope="module")
def at_size(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> dict[str, float]:
    """Measured in a process of its own, whose memory is the pipeline's and TensorFlow's alone."""
    folder = tmp_path_factory.mktemp("size") / "d"
    synthetic_manifest(folder, photographs / "0.JPEG", TRAIN_IMAGES, VAL_IMAGES)
    # TensorFlow is imported first and as a run does, not by the way of this module's imports.
    work = (
        "from harness.numerics.tensorflow_import import import_tensorflow; import_tensorflow(); "
        f"from {__name__} import *; measure_at_size(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", work, str(folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_imagenet_size_is_opened_and_reached_fast_in_flat_memory(
    at_size: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{at_size}\n")
    assert at_size["late_mb"] < 1.02 * at_size["early_mb"]
    assert at_size["reached_s"] < 5


@pytest.mark.slow
def test_imagenet_size_stays_under_the_aim(at_size: dict[str, float]) -> None:
    assert at_size["late_mb"] < MOST_MB


@pytest.mark.slow
def test_ten_thousand_steps_in_flat_memory(tmp_path: Path, photographs: Path) -> None:
    """Small batches, so that so many steps take minutes: growth would be by step, not by image."""
    folder = synthetic_manifest(tmp_path / "d", photographs / "0.JPEG", 10_000, 100)
    data = open_dataset(folder, manifests=tmp_path)
    iterator = iter(training(data.train, batch=4, last_step=10_000))
    for _ in range(500):
        next(iterator)
    early_mb = resident_mb()
    for _ in range(9_500):
        next(iterator)
    assert resident_mb() < 1.02 * early_mb
