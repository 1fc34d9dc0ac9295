"""The reference's training step, written anew from its description.

What it does and ours does not: the network ends in a softmax whose output the
loss takes logarithms of, weight decay is a part of the loss and goes through
the gradient tape, the optimizer is a Keras object, and loss and accuracy are
read back to the host after every step. The network, its fused batch
normalisation included, is the same.

Source: Apm5/ImageNet_Tensorflow2.0, commit 5c1a582, train.py.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 1e-4
MOMENTUM = 0.9
PROBABILITY_FLOOR = 1e-7
"""Keras clips probabilities before it takes their logarithm."""

ReferenceStep = Callable[[tf.Tensor, tf.Tensor], tuple[float, float]]
"""(image float32 [B, S, S, 3], label int32 [B]) -> loss and accuracy, read back."""


def build_reference_step(model: keras.Model, classes: int, rate: float) -> ReferenceStep:
    """The reference's step on `model`, a network to logits.

    Args:
        model: Its variables are trained.
        classes: Number of classes.
        rate: Learning rate.
    """
    optimizer = keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True)
    optimizer.build(model.trainable_variables)
    kernels = [v for v in model.trainable_variables if "kernel" in v.path]

    def train(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            probabilities = tf.nn.softmax(model(image, training=True))
            loss = _cross_entropy(probabilities, label, classes)
            decay = WEIGHT_DECAY * tf.add_n([tf.nn.l2_loss(k.value) for k in kernels])
            total = loss + decay
        variables = model.trainable_variables
        gradients = tape.gradient(total, [v.value for v in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        hit = tf.equal(tf.argmax(probabilities, -1, output_type=tf.int32), label)
        return loss, tf.reduce_mean(tf.cast(hit, tf.float32))

    compiled = tf.function(train)

    def step(image: tf.Tensor, label: tf.Tensor) -> tuple[float, float]:
        loss, accuracy = compiled(image, label)
        return float(loss.numpy()), float(accuracy.numpy())

    return step


def _cross_entropy(probabilities: Any, label: tf.Tensor, classes: int) -> tf.Tensor:
    target = tf.one_hot(label, classes) * (1.0 - LABEL_SMOOTHING) + LABEL_SMOOTHING / classes
    clipped = tf.clip_by_value(probabilities, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return tf.reduce_mean(-tf.reduce_sum(target * tf.math.log(clipped), axis=-1))
