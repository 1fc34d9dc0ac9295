"""Batches for training and evaluation: TensorFlow ops only, no state, deterministic order."""

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from harness.data.compatibility import check_channels, check_training
from harness.data.dataset import Split
from harness.data.input_pipeline.mapping import PREFETCHED_BATCHES, parallel
from harness.data.input_pipeline.order import ROUNDS, Positions, image_index, order_seeds
from harness.data.input_pipeline.resident import fits_in_memory, resident_images
from harness.data.input_pipeline.split_tensors import SplitTensors
from harness.data.transforms.colour import colour_step, normalise_image
from harness.data.transforms.draws import (
    augmentation_key,
    batch_uniforms,
    colour_draws,
    geometry_draws,
    uniforms,
)
from harness.data.transforms.padding import padded_step
from harness.data.transforms.random_crop_pixels import crop_planes
from harness.data.transforms.resizing import resize_short_side
from harness.data.transforms.xla import as_traced
from harness.recipes.protocol import Normalisation, Protocol
from harness.recipes.recipe import Augmentation


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
    in_memory: bool = True,
    order_rounds: int = ROUNDS,
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
        in_memory: keep images that are neither stretched nor scaled in memory,
            where they fit; the batches are the same.
        order_rounds: of the order of images; runs of earlier versions have fewer.

    Returns:
        Elements `{"image": float32 [b/n, S, S, C], "label": int32 [b/n],
        "index": int64 [b/n]}`; index is the position in the split.

    Raises:
        UsageError: the batch cannot be shared equally.
        RecipeError: the images have other channels, or a crop would not fit.
        DataError: an image has not the size that padding needs, or one that is
            kept in memory is missing, changed or does not decode.
    """
    check_training(split, augmentation, normalisation, image_size)
    positions = Positions(len(split), batch, first_step, last_step, *shard, rounds=order_rounds)
    channels = normalisation.channel_count
    if in_memory and keeps_training_images(split, augmentation, channels):
        made = _resident_examples(split, positions, augmentation, channels, seed)
    else:
        load = training_example(split, positions, augmentation, image_size, seed, channels)
        examples = parallel(tf.data.Dataset.range(positions.count), load)
        made = examples.batch(positions.per_worker, drop_remainder=True)
    finish = _finishing(augmentation, normalisation, image_size)
    return made.map(as_traced(finish)).prefetch(PREFETCHED_BATCHES)


def keeps_training_images(split: Split, augmentation: Augmentation, channels: int) -> bool:
    """Whether training takes its images from memory: read once, neither stretched nor scaled."""
    return augmentation.padding is not None and fits_in_memory(split, channels)


def training_example(
    split: Split,
    positions: Positions,
    augmentation: Augmentation,
    image_size: int,
    seed: int,
    channels: int = 3,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function from this worker's nth example to its image, label, index and draws.

    The image is the crop before the colour step, float32 [S, C, S] (x, channel,
    y); where padding is asked for, the stored image, uint8 [H, W, C]. The draws
    are the example's float64 [11].
    """
    tensors = SplitTensors.of(split)
    identify = _identities(positions, seed)
    key = augmentation_key(seed)
    crop = crop_function(augmentation, image_size, channels)

    def load(nth: tf.Tensor) -> dict[str, tf.Tensor]:
        pass_number, index = identify(nth)
        u = uniforms(key, pass_number, index)
        if augmentation.padding is None:
            size_stored = (tf.gather(tensors.heights, index), tf.gather(tensors.widths, index))
            turn = tf.gather(tensors.orientations, index)
            image = crop(tensors.read(index), size_stored, turn, geometry_draws(u, augmentation))
        else:
            image = tensors.decode(index, augmentation.decoder, channels)
            side = augmentation.short_side[0]
            image = tf.ensure_shape(image, [side, side, channels])
        label = tf.gather(tensors.labels, index)
        return {"image": image, "label": label, "index": index, "draws": u}

    return load


def _identities(
    positions: Positions, seed: int
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function from this worker's nth example, or several, to pass and index of its image."""
    keys = tf.constant(order_seeds(seed, positions.passes, positions.rounds))
    first_pass, _ = positions.passes

    def identify(nth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number = positions.global_number(nth)
        pass_number, place = number // positions.images, number % positions.images
        key = tf.gather(keys, pass_number - first_pass)
        return pass_number, image_index(place, key, positions.images, positions.rounds)

    return identify


def _resident_examples(
    split: Split, positions: Positions, augmentation: Augmentation, channels: int, seed: int
) -> tf.data.Dataset:
    """What `training_example` gives, a whole batch by each operation, from images in memory."""
    images = resident_images(split, augmentation.decoder, channels)
    labels = tf.constant(split.labels, tf.int32)
    identify = _identities(positions, seed)
    key = augmentation_key(seed)

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        places = tf.range(positions.per_worker, dtype=tf.int64)
        pass_number, index = identify(number * positions.per_worker + places)
        return {
            "image": tf.gather(images, index),
            "label": tf.gather(labels, index),
            "index": index,
            "draws": batch_uniforms(key, pass_number, index),
        }

    return parallel(tf.data.Dataset.range(positions.steps), load, calls=1)


def _finishing(
    augmentation: Augmentation, normalisation: Normalisation, image_size: int
) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """From a batch's images and draws to the network's input."""
    if augmentation.padding is not None:
        padded = padded_step(augmentation, normalisation, image_size)

        def cut(element: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {**element, "image": padded(element["image"], element.pop("draws"))}

        return cut
    colours = colour_step(augmentation, normalisation)

    def colour(element: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        draws = colour_draws(element.pop("draws"), augmentation)
        return {**element, "image": colours(element["image"], draws)}

    return colour


def crop_function(
    augmentation: Augmentation, size: int, channels: int = 3
) -> Callable[..., tf.Tensor]:
    """How a crop is made: (bytes, stored size, orientation, draws) to planes [x, C, y]."""
    once = augmentation.geometry == "one_resize" or augmentation.aspect is None
    return partial(
        crop_planes,
        size=size,
        long_taps=2 if once else 4,
        decoder=augmentation.decoder,
        channels=channels,
    )


def evaluation_batches(
    split: Split,
    protocol: Protocol,
    *,
    images_per_batch: int,
    shard: tuple[int, int] = (0, 1),
    in_memory: bool = True,
) -> tf.data.Dataset:
    """Every image once, in order; the last batch is padded and masked.

    Args:
        split: the validation images.
        protocol: which crops.
        images_per_batch: images b of each batch, over all workers.
        shard: worker i of n gets images [i*b/n, (i+1)*b/n) of each batch.
        in_memory: keep images that need no resizing in memory, where all are
            evaluated and fit; the batches are the same.

    Returns:
        Elements `{"image": float32 [b/n, crops, S, S, C], "label": int32
        [b/n], "index": int64 [b/n], "mask": bool [b/n]}`.

    Raises:
        RecipeError: the images have other channels.
        DataError: an image that is kept in memory is missing, changed or does not decode.
    """
    check_channels(split, protocol.normalisation)
    images = len(split)
    batches = -(-images // images_per_batch)
    positions = Positions(images, images_per_batch, 0, batches, *shard)
    if in_memory and keeps_evaluation_images(split, protocol):
        return _resident_evaluation(split, protocol, positions)
    tensors = SplitTensors.of(split)
    channels = protocol.normalisation.channel_count

    def load(nth: tf.Tensor) -> dict[str, tf.Tensor]:
        number = positions.global_number(nth)
        index = tf.minimum(number, images - 1)
        image = tensors.decode(index, protocol.decoder, channels)
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


def keeps_evaluation_images(split: Split, protocol: Protocol) -> bool:
    """Whether an evaluation takes its images from memory: resizing leaves them as they are."""
    return (
        fits_in_memory(split, protocol.normalisation.channel_count)
        and protocol.short_sides[0] == min(split.heights[0], split.widths[0])
        and protocol.short_sides[0] >= (protocol.crop_size or 0)
    )


def _resident_evaluation(split: Split, protocol: Protocol, positions: Positions) -> tf.data.Dataset:
    """`evaluation_batches`, a whole batch by each operation, from images in memory."""
    images = resident_images(split, protocol.decoder, protocol.normalisation.channel_count)
    labels = tf.constant(split.labels, tf.int32)

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        places = tf.range(positions.per_worker, dtype=tf.int64)
        place = positions.global_number(number * positions.per_worker + places)
        index = tf.minimum(place, positions.images - 1)
        levels = tf.cast(tf.gather(images, index), tf.float32)
        return {
            "image": cut_crops(normalise_image(levels, protocol.normalisation), protocol),
            "label": tf.gather(labels, index),
            "index": index,
            "mask": place < positions.images,
        }

    batches = tf.data.Dataset.range(positions.steps)
    return parallel(batches, load, calls=1).prefetch(PREFETCHED_BATCHES)


def cut_crops(image: tf.Tensor, protocol: Protocol) -> tf.Tensor:
    """Cut the protocol's crops out of a resized image, or of several.

    Center, or the corners and the center; then the same of the mirrored image.

    Args:
        image: [..., height, width, C].
        protocol: which crops.

    Returns:
        [..., crops, size, size, C].
    """
    size = protocol.crop_size or 0
    *lead, _, _, channels = image.shape
    height, width = tf.shape(image)[-3], tf.shape(image)[-2]
    center = ((height - size) // 2, (width - size) // 2)
    if protocol.crops == "center":
        offsets = [center]
    else:
        bottom, right = height - size, width - size
        offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), center]
    images = [image, tf.reverse(image, [-2])] if protocol.mirror else [image]
    crops = [
        tf.slice(picture, [*(0 for _ in lead), top, left, 0], [*lead, size, size, channels])
        for picture in images
        for top, left in offsets
    ]
    return tf.stack(crops, axis=-4)
