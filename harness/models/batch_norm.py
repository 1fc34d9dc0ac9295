"""Batch normalisation with TensorFlow's fused kernel.

The kernel returns the batch variance with the factor N / (N - 1), and so the
moving variance has it too, as in the legacy Keras layer that trained the
published networks; the layer of Keras 3 leaves it out (3 % at N = 32).
"""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="harness")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # untyped
    """Normalises over batch, height and width of float [B, H, W, C].

    In training the moving statistics become `momentum * moving + (1 - momentum)
    * batch`. Arithmetic on means and variances is float32 under every
    precision. With `synchronized`, the statistics are those of all replicas of
    a `tf.distribute` strategy together.

    Source: Ioffe and Szegedy 2015 (arXiv:1502.03167); TensorFlow's
    FusedBatchNormV3.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise by batch statistics in training, else by the moving ones."""
        del mask
        if not (training and self.trainable):
            return self._inference(inputs)
        replicas = tf.distribute.get_replica_context()
        if self.synchronized and replicas is not None and replicas.num_replicas_in_sync > 1:
            outputs, mean, variance = self._across_replicas(inputs, replicas)
        else:
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs,
                scale=self.gamma.value,
                offset=self.beta.value,
                epsilon=self.epsilon,
                is_training=True,
            )
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance)
        return outputs

    def _inference(self, inputs: Any) -> Any:
        outputs, _, _ = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=self.moving_mean.value,
            variance=self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=False,
        )
        return outputs

    def _across_replicas(self, inputs: Any, replicas: Any) -> tuple[Any, Any, Any]:
        """Two sums over all replicas: the mean first, then squares about it, which is exact."""
        values = tf.cast(inputs, tf.float32)
        total = tf.reduce_sum(values, [0, 1, 2])
        count = tf.cast(tf.size(values) / tf.shape(values)[-1], tf.float32)
        total, count = replicas.all_reduce(tf.distribute.ReduceOp.SUM, [total, count])
        mean = total / count
        squares = tf.reduce_sum(tf.square(values - mean), [0, 1, 2])
        squares = replicas.all_reduce(tf.distribute.ReduceOp.SUM, squares)
        outputs = tf.nn.batch_normalization(
            values, mean, squares / count, self.beta.value, self.gamma.value, self.epsilon
        )
        return tf.cast(outputs, inputs.dtype), mean, squares / tf.maximum(count - 1.0, 1.0)

    def _move(self, moving: Any, batch: Any) -> None:
        moving.assign(moving.value * self.momentum + batch * (1.0 - self.momentum))
