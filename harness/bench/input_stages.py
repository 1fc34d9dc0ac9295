"""The input pipeline, its stages and the reference's way, each as an endless data set."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from harness.bench.reference import input as reference
from harness.data.dataset import Split
from harness.data.image_files.reading import DCT, read_checked
from harness.data.input_pipeline.mapping import PREFETCHED_BATCHES, parallel, parallel_calls
from harness.data.input_pipeline.order import Positions
from harness.data.input_pipeline.pipeline import (
    evaluation_batches,
    training_batches,
    training_example,
)
from harness.data.input_pipeline.undecodable import ImagesOf, images_in_order, training_images
from harness.data.transforms.draws import COUNT, colour_draws, geometry_draws
from harness.errors import UsageError
from harness.recipes.protocol import APM5_NORMALISATION, Normalisation, Protocol
from harness.recipes.recipe import Augmentation

ENDLESS_STEPS = 1_000_000
TEN_CROPS = "evaluation, ten crops"
ONE_RESIZE, FROM_FILES = "one_resize", "from files, not from memory"


@dataclass(frozen=True)
class InputLoad:
    """What is measured: files, augmentation, normalisation, protocol and sizes."""

    split: Split
    augmentation: Augmentation
    normalisation: Normalisation
    protocol: Protocol
    image_size: int
    batch: int


def own_ways(work: InputLoad) -> dict[str, tf.data.Dataset]:
    """The pipeline and its stages, each as an endless data set of batches."""
    positions = Positions(len(work.split), work.batch, 0, ENDLESS_STEPS)
    example = partial(training_example, work.split, positions)

    def crop_only(nth: tf.Tensor) -> tf.Tensor:
        # One pixel of the finished crop: all of it is computed, nothing is copied into a batch.
        return load_crop(nth)["image"][0, 0, 0]

    channels = work.normalisation.channel_count
    load_crop = example(work.augmentation, work.image_size, 0, channels)
    training = partial(
        training_batches,
        work.split,
        normalisation=work.normalisation,
        image_size=work.image_size,
        seed=0,
        batch=work.batch,
        first_step=0,
        last_step=ENDLESS_STEPS,
    )
    ways = {
        "read and check": _files(work, _check_only),
        "bare decode": _files(work, _decode_only),
        "up to the crop": _batched(
            parallel(tf.data.Dataset.range(positions.count), crop_only), work
        ),
        "pipeline": training(augmentation=work.augmentation),
        _evaluation(work.protocol): evaluation_batches(
            work.split, work.protocol, images_per_batch=_evaluated(work)
        ).repeat(),
    }
    if work.augmentation.padding is None:
        fast = work.augmentation.model_copy(update={"geometry": "one_resize"})
        ways[ONE_RESIZE] = training(augmentation=fast)
    else:
        ways[FROM_FILES] = training(augmentation=work.augmentation, in_memory=False)
    return ways


def reference_ways(work: InputLoad) -> dict[str, tf.data.Dataset]:
    """The same work done the reference's way: OpenCV on one image at a time, in Python."""
    if work.augmentation.padding is not None:
        raise UsageError(
            "the reference's way pads no images",
            where="--against reference",
            expected="a recipe without augmentation.padding",
            remedy="leave --against out",
        )
    reference.opencv()
    uniforms = tf.constant(np.random.default_rng(0).random((len(work.split), COUNT)))
    draws = geometry_draws(uniforms, work.augmentation), colour_draws(uniforms, work.augmentation)
    size = work.image_size
    training = reference.in_a_python_op(
        lambda path, geometry, colours: reference.training_image(
            path, geometry, colours, size, APM5_NORMALISATION
        ),
        [size, size, 3],
    )
    evaluation = reference.in_a_python_op(
        lambda path: reference.evaluation_image(path, work.protocol), [10, size, size, 3]
    )
    paths = list(work.split.paths)
    return {
        "reference": _tuned((paths, *draws), training, work.batch),
        f"reference {TEN_CROPS}": _tuned((paths,), evaluation, _evaluated(work)),
    }


def _files(work: InputLoad, use: Callable[..., tf.Tensor]) -> tf.data.Dataset:
    """One scalar per file from a function of its path and fingerprint."""
    columns = (list(work.split.paths), work.split.farmhash64)
    files = tf.data.Dataset.from_tensor_slices(columns).repeat()
    return _batched(files.map(use, num_parallel_calls=parallel_calls(), deterministic=True), work)


def _check_only(path: tf.Tensor, farmhash64: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(read_checked(path, farmhash64))


def _decode_only(path: tf.Tensor, _farmhash64: tf.Tensor) -> tf.Tensor:
    raw = tf.io.read_file(path)
    image = tf.io.decode_jpeg(raw, channels=3, dct_method=DCT["jpeg_integer_accurate"])
    return image[0, 0, 0]


def _batched(dataset: tf.data.Dataset, work: InputLoad) -> tf.data.Dataset:
    return dataset.batch(work.batch, drop_remainder=True).prefetch(PREFETCHED_BATCHES)


def _tuned(columns: tuple[Any, ...], function: Any, batch: int) -> tf.data.Dataset:
    """As the reference has it: parallel calls left to TensorFlow."""
    dataset = tf.data.Dataset.from_tensor_slices(columns).repeat()
    made = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return made.batch(batch, drop_remainder=True).prefetch(PREFETCHED_BATCHES)


def _evaluation(protocol: Protocol) -> str:
    """A way's name, which tells whether its batches hold fewer images."""
    return TEN_CROPS if protocol.crops == "ten" else "evaluation, center crop"


def _evaluated(work: InputLoad) -> int:
    return batch_size(_evaluation(work.protocol), work.batch)


def batch_size(name: str, batch: int) -> int:
    """Images a batch of a way; each image of an evaluation is many crops."""
    return max(batch // 8, 1) if TEN_CROPS in name else batch


def images_of(name: str, work: InputLoad) -> ImagesOf:
    """Which images a batch of a way holds."""
    if name in {"up to the crop", "pipeline", ONE_RESIZE, FROM_FILES}:
        return training_images(work.split, 0, work.batch, 0)
    images, batch = len(work.split), batch_size(name, work.batch)
    if name == _evaluation(work.protocol):
        return images_in_order(images, batch)
    return lambda number: [n % images for n in range(number * batch, (number + 1) * batch)]
