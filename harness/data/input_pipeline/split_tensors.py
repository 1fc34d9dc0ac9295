"""A split's columns as tensors that a graph gathers from."""

from dataclasses import dataclass

import tensorflow as tf

from harness.data.dataset import Split
from harness.data.image_files.reading import decode_upright, read_checked
from harness.data.input_pipeline.text_tensor import TextTensor


@dataclass(frozen=True)
class SplitTensors:
    """A split's columns as tensors that the graph gathers from."""

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
            return cls(
                TextTensor.of(split.paths),
                tf.constant(split.labels, tf.int32),
                tf.constant(split.farmhash64, tf.uint64),
                tf.constant(split.heights, tf.int32),
                tf.constant(split.widths, tf.int32),
                tf.constant(split.orientations, tf.int32),
            )

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Checked bytes of an image."""
        return read_checked(self.paths[index], tf.gather(self.farmhash64, index))

    def decode(self, index: tf.Tensor, decoder: str, channels: int) -> tf.Tensor:
        """An image's checked, upright pixels: uint8 [height, width, channels]."""
        return decode_upright(self.read(index), self.orientations[index], decoder, channels)
