"""Compact texts behave as tuples, sliced arrays and prefixes included."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from harness.data.input_pipeline.text_tensor import TextTensor
from harness.data.string_column import Texts

WORDS = ("a/1.JPEG", "", "b/2.JPEG", "längere Namen", "e")


def variants() -> dict[str, tuple[Texts, tuple[str, ...]]]:
    array = pa.array(WORDS)
    kinds = np.array([0, 1, 1, 0, 0], np.uint8)
    mixed = tuple(("/x/", "/y/")[k] + w for k, w in zip(kinds, WORDS, strict=True))
    return {
        "plain": (Texts(array), WORDS),
        "slice": (Texts(array.slice(1, 3)), WORDS[1:4]),
        "end": (Texts(array.slice(5)), ()),
        "prefixes": (Texts(array, ("/x/", "/y/"), kinds), mixed),
    }


@pytest.mark.parametrize("name", ["plain", "slice", "end", "prefixes"])
def test_texts_equal_their_tuple(name: str) -> None:
    texts, words = variants()[name]
    assert tuple(texts) == words
    assert words == texts
    assert hash(texts) == hash(words)
    assert len(texts) == len(words)
    assert texts[1:4:2] == words[1:4:2]
    assert [texts[i] for i in range(-len(words), len(words))] == [*words, *words]
    with pytest.raises(IndexError):
        texts[len(words)]


@pytest.mark.parametrize("name", ["plain", "slice", "prefixes"])
def test_a_graph_reads_the_same(name: str) -> None:
    texts, words = variants()[name]
    tensor = TextTensor.of(texts)
    read = tf.function(lambda i: tensor[i])
    assert [read(tf.constant(i)).numpy().decode() for i in range(len(words))] == list(words)


def test_tuples_are_accepted() -> None:
    assert TextTensor.of(WORDS)[tf.constant(3)].numpy().decode() == WORDS[3]
