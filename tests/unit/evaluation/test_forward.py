import keras
import numpy as np
import pytest
import scipy.special

from harness.errors import DataError, WeightsError
from harness.evaluation.evaluate import check_sums
from harness.evaluation.forward import View, answer, forward_function, top_classes
from harness.evaluation.result import Collector

RANDOM = np.random.RandomState(5)


def test_of_equal_probabilities_the_lower_class_comes_first() -> None:
    probabilities = np.array([[0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1]], np.float32)
    classes, values = top_classes(probabilities)
    assert classes.numpy().tolist() == [[1, 3, 5, 0, 2]]
    np.testing.assert_array_equal(values, probabilities[:, classes[0]])


def test_fewer_than_five_classes_leave_marked_places() -> None:
    classes, values = top_classes(np.array([[0.25, 0.75]], np.float32))
    assert classes.numpy().tolist() == [[1, 0, -1, -1, -1]]
    assert values.numpy().tolist() == [[0.75, 0.25, 0, 0, 0]]


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_crops_are_averaged_as_the_protocol_says(average: str) -> None:
    logits = (3 * RANDOM.randn(4, 10, 20)).astype(np.float32)
    if average == "probabilities":
        expected = scipy.special.softmax(logits.astype(np.float64), -1).mean(1)
    else:
        expected = scipy.special.softmax(logits.astype(np.float64).mean(1), -1)
    classes, values, total = answer(logits, average)
    np.testing.assert_array_equal(classes, np.argsort(-expected, 1, kind="stable")[:, :5])
    np.testing.assert_allclose(values, -np.sort(-expected, 1)[:, :5], rtol=1e-5)
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_crops_of_several_images_go_through_the_network_as_one_batch() -> None:
    inputs = keras.Input((2, 2, 3))
    seen: list[int] = []
    model = keras.Model(inputs, keras.layers.Flatten()(inputs))

    def counting(flat: np.ndarray, training: bool) -> object:
        seen.append(flat.shape[0])
        return model(flat, training=training)

    crops = RANDOM.rand(3, 10, 2, 2, 3).astype(np.float32)
    views = (View(None, "probabilities"), View((4,), "probabilities"))
    ten, center = forward_function(counting, views)(crops)
    assert seen == [30]
    expected = scipy.special.softmax(crops.reshape(3, 10, 12), -1)
    np.testing.assert_allclose(ten[1][:, 0], expected.mean(1).max(-1), rtol=1e-6)
    np.testing.assert_allclose(center[1][:, 0], expected[:, 4].max(-1), rtol=1e-6)


def _batch(collector: Collector, index: list[int], mask: list[bool]) -> int:
    n = len(index)
    top = (np.zeros((n, 5), np.int32), np.zeros((n, 5), np.float32))
    return collector.add(np.array(index), np.array(mask), np.zeros(n, np.int32), top)


def test_padding_is_not_counted() -> None:
    collector = Collector(3)
    assert _batch(collector, [0, 1], [True, True]) == 2
    assert _batch(collector, [2, 2], [True, False]) == 1
    collector.check()


@pytest.mark.parametrize(
    ("index", "words"),
    [([0, 1], "1 images were not"), ([0, 1, 1], "1 more than once"), ([0, 7, 1], "image 7")],
)
def test_an_image_that_is_missing_or_doubled_is_an_error(index: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        _gather(index)


def _gather(index: list[int]) -> None:
    collector = Collector(3)
    _batch(collector, index, [True] * len(index))
    collector.check()


@pytest.mark.parametrize("total", [0.99, 1.01, np.nan, np.inf])
def test_probabilities_that_do_not_sum_to_one_are_refused(total: float) -> None:
    check_sums(np.array([1.0, 1.0 + 1e-5], np.float32))
    with pytest.raises(WeightsError, match="sum to"):
        check_sums(np.array([1.0, total], np.float32))
    with pytest.raises(WeightsError, match=r"where:      w\.h5"):
        check_sums(np.array([total], np.float32), "w.h5")
