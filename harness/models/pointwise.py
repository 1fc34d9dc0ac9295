"""Convolutions of one pixel whose kernel gradient is one matrix product.

On a processor oneDNN's gradient of such a kernel runs at 30 to 71 % of the
matrix product's peak, the product of the same numbers at 43 to 87 % (ResNet-50's
shapes at batch 32). Outputs and input gradients gain nothing from it and stay
convolutions.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

_Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@keras.saving.register_keras_serializable(package="harness")
class PointwiseConvolution(keras.layers.Conv2D):  # type: ignore[misc]  # Keras is untyped
    """A 1x1 convolution of stride 1 without bias: float [B, H, W, C] to [B, H, W, filters].

    The same function as the layer of Keras; the gradient of its kernel is
    summed in another order, so it differs from Keras' by rounding.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve; Keras' layer calls this."""
        return _convolve(inputs, tf.convert_to_tensor(kernel))


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow is untyped
def _convolve(inputs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, _Gradient]:
    settings = {"strides": [1, 1, 1, 1], "padding": "VALID"}
    outputs = tf.raw_ops.Conv2D(input=inputs, filter=kernel, **settings)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_inputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream, **settings
        )
        rows, grads = (tf.reshape(t, [-1, t.shape[-1]]) for t in (inputs, upstream))
        of_kernel = tf.linalg.matmul(rows, grads, transpose_a=True)
        return of_inputs, tf.reshape(of_kernel, kernel.shape)

    return outputs, gradient
