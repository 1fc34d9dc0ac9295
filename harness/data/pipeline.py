"""Batches for training and evaluation: TensorFlow ops only, no state, deterministic order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from harness.data.colour import colour_step, normalise_image
from harness.data.dataset import Split
from harness.data.draws import augmentation_key, colour_draws, geometry_draws, uniforms
from harness.data.order import Positions, image_index, order_seeds
from harness.data.reading import decode_upright, read_checked
from harness.data.rendering import crop_planes
from harness.data.resizing import resize_short_side
from harness.data.text_tensor import TextTensor
from harness.data.xla import as_traced
from harness.errors import RecipeError
from harness.measure.machine import usable_cores
from harness.recipes.protocol import Normalisation, Protocol
from harness.recipes.recipe import Augmentation

PREFETCHED_BATCHES = 1
"""Ready ahead of the consumer; one more is being coloured and one more filled meanwhile."""
CALLS_PER_CORE = 2


@dataclass(frozen=True)
class SplitTensors:
    """A split's columns as tensors that the graph gathers from."""

    ids: TextTensor
    paths: TextTensor
    labels: tf.Tensor
    farmhash64: tf.Tensor
    heights: tf.Tensor
    widths: tf.Tensor
    orientations: tf.Tensor

    @classmethod
    def of(cls, split: Split) -> "SplitTensors":
        """Copy a split into tensors."""
        with tf.device("CPU:0"):
            ids = TextTensor.of(split.ids)
            return cls(
                ids,
                TextTensor.of(split.paths, (split.ids, ids)),
                tf.constant(split.labels, tf.int32),
                tf.constant(split.farmhash64, tf.uint64),
                tf.constant(split.heights, tf.int32),
                tf.constant(split.widths, tf.int32),
                tf.constant(split.orientations, tf.int32),
            )

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Checked bytes of an image."""
        return read_checked(self.paths[index], self.ids[index], tf.gather(self.farmhash64, index))


def training_batches(
    split: Split,
    *,
    augmentation: Augmentation,
    normalisation: Normalisation,
    image_size: int,
    seed: int,
    batch: int,
    first_step: int,
    last_step: int,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Augmented batches of the steps [first_step, last_step).

    Args:
        split: the training images.
        augmentation: the recipe's random steps.
        normalisation: the recipe's channel order, means and deviations.
        image_size: side S of the square crop.
        seed: of the run.
        batch: global batch b.
        first_step: first step, counting from 0.
        last_step: the step after the last.
        shard: worker i of n gets images [i*b/n, (i+1)*b/n) of each batch.

    Returns:
        Elements `{"image": float32 [b/n, S, S, 3], "label": int32 [b/n],
        "index": int64 [b/n]}`; index is the position in the split.

    Raises:
        UsageError: the batch cannot be shared equally.
        RecipeError: the crop does not fit into the smallest scaled image.
    """
    positions = Positions(len(split), batch, first_step, last_step, *shard)
    load = training_example(split, positions, augmentation, image_size, seed)
    colours = colour_step(augmentation, normalisation)

    def finish(element: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image = colours(element["image"], colour_draws(element.pop("draws"), augmentation))
        return {**element, "image": image}

    dataset = parallel(tf.data.Dataset.range(positions.count), load)
    return (
        dataset.batch(positions.per_worker, drop_remainder=True)
        .map(as_traced(finish))
        .prefetch(PREFETCHED_BATCHES)
    )


def training_example(
    split: Split, positions: Positions, augmentation: Augmentation, image_size: int, seed: int
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function from this worker's nth example to its crop, label, index and draws.

    The image is float32 [S, 3, S] (x, channel, y) before the colour step; the
    draws are the example's float64 [11].
    """
    tensors = SplitTensors.of(split)
    keys = tf.constant(order_seeds(seed, positions.passes))
    first_pass, _ = positions.passes
    key = augmentation_key(seed)
    crop = crop_function(augmentation, image_size)

    def load(nth: tf.Tensor) -> dict[str, tf.Tensor]:
        number = positions.global_number(nth)
        pass_number, place = number // positions.images, number % positions.images
        index = image_index(place, tf.gather(keys, pass_number - first_pass), positions.images)
        u = uniforms(key, pass_number, index)
        size_stored = (tf.gather(tensors.heights, index), tf.gather(tensors.widths, index))
        turn = tf.gather(tensors.orientations, index)
        planes = crop(tensors.read(index), size_stored, turn, geometry_draws(u, augmentation))
        label = tf.gather(tensors.labels, index)
        return {"image": planes, "label": label, "index": index, "draws": u}

    return load


def crop_function(augmentation: Augmentation, size: int) -> Callable[..., tf.Tensor]:
    """How a training crop is made: (bytes, stored size, orientation, draws) to planes [x, 3, y].

    Raises:
        RecipeError: a crop would not fit into the smallest scaled image.
    """
    smallest = augmentation.short_side[0]
    if smallest < size:
        raise RecipeError(
            f"the short side can be {smallest}, less than the crop's {size}",
            where="augmentation.short_side",
            expected=f"a range that begins at {size} or above",
            remedy="raise short_side or lower the model's image_size",
        )
    once = augmentation.geometry == "one_resize" or augmentation.aspect is None
    long_taps = 2 if once else 4
    return partial(crop_planes, size=size, long_taps=long_taps, decoder=augmentation.decoder)


def evaluation_batches(
    split: Split,
    protocol: Protocol,
    *,
    images_per_batch: int,
    limit: int | None = None,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Every image once, in order; the last batch is padded and masked.

    Args:
        split: the validation images.
        protocol: which crops.
        images_per_batch: images b of each batch, over all workers.
        limit: only the first so many images.
        shard: worker i of n gets images [i*b/n, (i+1)*b/n) of each batch.

    Returns:
        Elements `{"image": float32 [b/n, crops, S, S, 3], "label": int32
        [b/n], "index": int64 [b/n], "mask": bool [b/n]}`.
    """
    images = min(len(split), limit) if limit is not None else len(split)
    batches = -(-images // images_per_batch)
    positions = Positions(images, images_per_batch, 0, batches, *shard)
    tensors = SplitTensors.of(split)

    def load(nth: tf.Tensor) -> dict[str, tf.Tensor]:
        number = positions.global_number(nth)
        index = tf.minimum(number, images - 1)
        image = decode_upright(tensors.read(index), tensors.orientations[index], protocol.decoder)
        size = protocol.crop_size or 0
        image = resize_short_side(image, protocol.short_sides[0], protocol, at_least=size)
        # Normalised before it is cut: ten crops hold six times the image's pixels.
        return {
            "image": cut_crops(normalise_image(image, protocol.normalisation), protocol),
            "label": tensors.labels[index],
            "index": index,
            "mask": number < images,
        }

    dataset = parallel(tf.data.Dataset.range(positions.count), load)
    return dataset.batch(positions.per_worker, drop_remainder=True).prefetch(PREFETCHED_BATCHES)


def evaluation_crops(image: tf.Tensor, protocol: Protocol) -> tf.Tensor:
    """The protocol's crops of a whole image, float32 [crops, size, size, 3] RGB."""
    size = protocol.crop_size or 0
    image = resize_short_side(image, protocol.short_sides[0], protocol, at_least=size)
    return cut_crops(image, protocol)


def cut_crops(image: tf.Tensor, protocol: Protocol) -> tf.Tensor:
    """Cut the protocol's crops out of a resized image.

    Center, or the corners and the center; then the same of the mirrored image.

    Args:
        image: [height, width, 3].
        protocol: which crops.

    Returns:
        [crops, size, size, 3].
    """
    size = protocol.crop_size or 0
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    center = ((height - size) // 2, (width - size) // 2)
    if protocol.crops == "center":
        offsets = [center]
    else:
        bottom, right = height - size, width - size
        offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), center]
    images = [image, tf.reverse(image, [1])] if protocol.mirror else [image]
    crops = [
        tf.slice(picture, [top, left, 0], [size, size, 3])
        for picture in images
        for top, left in offsets
    ]
    return tf.stack(crops)


def parallel(
    dataset: tf.data.Dataset,
    load: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    calls: int | None = None,
) -> tf.data.Dataset:
    """Map in order with a pinned number of calls at once: nothing is tuned while it runs.

    Args:
        dataset: what is mapped.
        load: the function.
        calls: how many at once; None takes `parallel_calls`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    # Each crop is written to its place in the batch at once, not kept until all are there.
    options.experimental_optimization.map_and_batch_fusion = True
    calls = calls or parallel_calls()
    made = dataset.map(as_traced(load), num_parallel_calls=calls, deterministic=True)
    return made.with_options(options)


def input_settings() -> dict[str, int | bool]:
    """What decides the pipeline's speed and changes no bit, as effective here; for the record."""
    return {
        "parallel_calls": parallel_calls(),
        "parallel_calls_whole_images": whole_image_calls(),
        "prefetched_batches": PREFETCHED_BATCHES,
        "autotune": False,
        "deterministic_order": True,
    }


def whole_image_calls() -> int:
    """Batches of whole images being made at once: one per core, as each holds a batch's pixels."""
    return usable_cores()


def parallel_calls() -> int:
    """Examples being made at once: two per usable core, so that one can wait for the disk."""
    return CALLS_PER_CORE * usable_cores()
