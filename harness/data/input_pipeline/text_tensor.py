"""Texts inside the graph: one scalar tensor and offsets in place of a string tensor.

A tensor of 1.28 million strings of 40 characters takes 100 MB; this takes 55.
"""

from dataclasses import dataclass

import tensorflow as tf

from harness.data.string_column import Names, Texts, text_buffer


@dataclass(frozen=True)
class TextTensor:
    """Texts that a graph reads by index.

    Attributes:
        content: string scalar, all texts one after the other.
        offsets: int32 [n + 1], where each begins.
        prefixes: string [p].
        prefix_of: uint8 [n].
    """

    content: tf.Tensor
    offsets: tf.Tensor
    prefixes: tf.Tensor
    prefix_of: tf.Tensor

    @classmethod
    def of(cls, names: Names) -> "TextTensor":
        """Copy texts into tensors; at most 2 GiB of them."""
        texts = Texts.of(names)
        offsets, content = text_buffer(texts.array)
        return cls(
            tf.constant(content),
            tf.constant(offsets),
            tf.constant(texts.prefixes),
            tf.constant(texts.prefix_of),
        )

    def __getitem__(self, index: tf.Tensor) -> tf.Tensor:
        """String scalar at an integer scalar index."""
        begin, end = tf.gather(self.offsets, index), tf.gather(self.offsets, index + 1)
        text = tf.strings.substr(self.content, begin, end - begin)
        prefix = tf.gather(self.prefixes, tf.cast(tf.gather(self.prefix_of, index), tf.int32))
        return tf.strings.join([prefix, text])
