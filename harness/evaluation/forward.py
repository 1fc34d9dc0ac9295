"""From crops to the five most probable classes, as one traced function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from harness.evaluation.result import TOP
from harness.recipes.protocol import Protocol

Average = Literal["probabilities", "logits"]


@dataclass(frozen=True)
class View:
    """Which crops of a batch belong to one protocol, and how they are averaged.

    Attributes:
        crops: Positions of the crops, or None for all.
        average: What is averaged over them.
    """

    crops: tuple[int, ...] | None
    average: Average


Forward = Callable[[Any], tuple[tuple[Any, Any, Any], ...]]


def forward_function(model: keras.Model, views: tuple[View, ...]) -> Forward:
    """Make the function that answers for a batch of images.

    It maps float32 [b, crops, S, S, C] to, for each view, top-5 classes (int32
    [b, 5]), their probabilities (float32 [b, 5]) and the sum of all
    probabilities (float32 [b]), which is 1 unless the network's answers are
    not finite. All crops of all images go through the network as one batch.
    """

    def forward(crops: Any) -> tuple[tuple[Any, Any, Any], ...]:
        shape = tf.shape(crops)
        flat = tf.reshape(crops, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
        flat.set_shape(_flat_shape(crops.shape))
        logits = tf.cast(model(flat, training=False), tf.float32)
        logits = tf.reshape(logits, [shape[0], shape[1], logits.shape[-1]])
        return tuple(answer(_of_view(logits, view), view.average) for view in views)

    traced: Forward = tf.function(forward, autograph=False)
    return traced


def whole_image_function(model: keras.Model, protocol: Protocol) -> Forward:
    """Make the function that answers for whole images at several scales.

    It maps one float32 [b, H, W, C] for each scale to what `forward_function`
    gives. The network averages its features over the whole image and scores
    them; the scores of every scale, and of its mirror image where the protocol
    says so, are averaged with equal weight.
    """

    def forward(scales: tuple[Any, ...]) -> tuple[tuple[Any, Any, Any], ...]:
        views = [
            view
            for images in scales
            for view in ([images, tf.reverse(images, [2])] if protocol.mirror else [images])
        ]
        logits = [tf.cast(model(view, training=False), tf.float32) for view in views]
        return (answer(tf.stack(logits, 1), protocol.average),)

    # Sizes differ from batch to batch; one trace serves all of them.
    channels = protocol.normalisation.channel_count
    scale = tf.TensorSpec([None, None, None, channels], tf.float32)
    traced: Forward = tf.function(
        forward, input_signature=[tuple(scale for _ in protocol.short_sides)], autograph=False
    )
    return traced


def answer(logits: Any, average: Average) -> tuple[Any, Any, Any]:
    """Average over crops and rank.

    Args:
        logits: float32 [b, crops, classes].
        average: Probabilities (the reference) or logits.

    Returns:
        Classes, probabilities and the sum of probabilities, as in `forward_function`.
    """
    if average == "probabilities":
        probabilities = tf.reduce_mean(tf.nn.softmax(logits), 1)
    else:
        probabilities = tf.nn.softmax(tf.reduce_mean(logits, 1))
    return (*top_classes(probabilities), tf.reduce_sum(probabilities, -1))


def top_classes(probabilities: Any) -> tuple[Any, Any]:
    """The five most probable classes; of equal ones the lower comes first.

    Args:
        probabilities: float32 [b, classes].

    Returns:
        int32 [b, 5] filled with -1, and float32 [b, 5] filled with 0, where
        there are fewer than five classes.
    """
    places = min(TOP, probabilities.shape[-1])
    values, classes = tf.math.top_k(probabilities, places)
    surplus = [[0, 0], [0, TOP - places]]
    return tf.pad(classes, surplus, constant_values=-1), tf.pad(values, surplus)


def _of_view(logits: Any, view: View) -> Any:
    return logits if view.crops is None else tf.gather(logits, view.crops, axis=1)


def _flat_shape(shape: Any) -> list[int | None]:
    batch, crops, *rest = shape.as_list()
    return [batch * crops if batch and crops else None, *rest]
