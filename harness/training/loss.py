"""The reference's loss: mean cross-entropy of smoothed labels, and weight decay."""

from collections.abc import Sequence

import tensorflow as tf


def smoothed_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Cross-entropy of each image with labels `(1 - s) * onehot + s / classes`.

    The smoothing of `keras.losses.CategoricalCrossentropy(label_smoothing=s)`.

    Args:
        logits: float32 [B, classes].
        labels: int32 [B].
        smoothing: s in [0, 1).

    Returns:
        float32 [B].
    """
    classes = logits.shape[-1]
    off = smoothing / classes
    target = tf.one_hot(labels, classes, on_value=1.0 - smoothing + off, off_value=off)
    return tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=logits)


def decayed_mask(paths: Sequence[str], decayed: str) -> tuple[bool, ...]:
    """Which variables carry weight decay.

    Args:
        paths: `keras.Variable.path` of each trainable variable.
        decayed: "kernels": those named kernel (convolutions and the dense
            layer), as the reference selects them; "all": every one.
    """
    return tuple(decayed == "all" or "kernel" in path.rsplit("/", 1)[-1] for path in paths)
