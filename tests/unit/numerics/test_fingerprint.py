"""Fingerprints: sensitive to every bit and to every place, and the same in TensorFlow and NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.numerics.fingerprint import (
    SMALL_ELEMENTS,
    StepFingerprints,
    array_fingerprint,
    arrays_fingerprint,
    combined_fingerprint,
    fingerprints_as_hex,
    hex_of,
    joined_step_fingerprints,
    joint_fingerprint,
    replica_fingerprints,
    step_fingerprints,
    tensor_fingerprint,
)

MASK = (1 << 64) - 1
DTYPES = (np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8)

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=5))
)


def split_mix(z: int) -> int:
    """SplitMix64's finaliser in Python's own integers, as published."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def expected(array: np.ndarray) -> str:
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")
    places = enumerate(bits.tolist(), start=1)
    total = sum(split_mix((b + p * 0x9E3779B97F4A7C15) & MASK) for p, b in places)
    return f"{total & MASK:016x}"


def of_tensor(array: np.ndarray) -> str:
    return hex_of(int(tensor_fingerprint(tf.constant(array)).numpy()))


def of_list(tensors: list[np.ndarray]) -> int:
    return int(joint_fingerprint([tf.constant(t) for t in tensors]).numpy())


@settings(max_examples=60, deadline=None)
@given(arrays)
def test_tensorflow_numpy_and_plain_integers_agree(array: np.ndarray) -> None:
    assert of_tensor(array) == array_fingerprint(array) == expected(array)


@settings(max_examples=60, deadline=None)
@given(arrays, st.data())
def test_any_flipped_bit_changes_it(array: np.ndarray, data: st.DataObject) -> None:
    flipped = array.copy()
    raw = flipped.reshape(-1).view(np.uint8)
    place = data.draw(st.integers(0, raw.size - 1))
    raw[place] ^= np.uint8(1 << data.draw(st.integers(0, 7)))
    assert array_fingerprint(flipped) != array_fingerprint(array)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint32, st.integers(2, 40), unique=True), st.data())
def test_swapped_elements_change_it(array: np.ndarray, data: st.DataObject) -> None:
    first, second = data.draw(
        st.lists(st.integers(0, array.size - 1), min_size=2, max_size=2, unique=True)
    )
    swapped = array.copy()
    swapped[[first, second]] = array[[second, first]]
    assert array_fingerprint(swapped) != array_fingerprint(array)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (np.float32([0.0]), np.float32([-0.0]), "equal numbers of other bits"),
        (np.float32([1, 2]), np.float32([1, 2, 0]), "a zero at the end"),
        (np.zeros(3, np.float32), np.zeros(4, np.float32), "zeros of another count"),
        (np.array([True, False]), np.array([False, True]), "booleans"),
    ],
)
def test_told_apart(one: np.ndarray, other: np.ndarray, reason: str) -> None:
    assert of_tensor(one) != of_tensor(other), reason


def test_nan_payloads_count() -> None:
    quiet, other = np.uint32([0x7FC00000]), np.uint32([0x7FC00001])
    assert of_tensor(quiet.view(np.float32)) != of_tensor(other.view(np.float32))


@pytest.mark.parametrize("size", [3, SMALL_ELEMENTS + 1])
def test_swapped_tensors_change_a_list(size: int) -> None:
    one, other = np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32)[::-1].copy()
    assert of_list([one, other]) != of_list([other, one])


def test_a_bit_of_a_small_tensor_counts_in_a_list() -> None:
    flipped = np.float32([1, np.nextafter(np.float32(2), np.float32(3))])
    assert of_list([np.float32([0]), np.float32([1, 2])]) != of_list([np.float32([0]), flipped])


def test_order_of_marks_counts() -> None:
    marks = [tf.constant(value, tf.uint64) for value in (1, 2, 3)]
    one = combined_fingerprint(marks).numpy()
    assert one != combined_fingerprint(marks[::-1]).numpy()


def test_swapped_names_change_named_arrays() -> None:
    one, other = np.float32([1, 2]), np.float32([3, 4])
    assert arrays_fingerprint({"a": one, "b": other}) != arrays_fingerprint({"a": other, "b": one})


def step_parts() -> dict[str, object]:
    generator = np.random.default_rng(5)
    shape = (2, 4, 4, 3)
    return {
        "image": tf.constant(generator.normal(size=shape).astype(np.float32)),
        "label": tf.constant([1, 2]),
        "loss": tf.constant(0.25),
        "gradients": [tf.constant(generator.normal(size=s).astype(np.float32)) for s in (3, 20000)],
        "weights": [tf.constant(generator.normal(size=s).astype(np.float32)) for s in (3, 20000)],
    }


def test_the_compiled_step_fingerprint_equals_the_plain_one() -> None:
    parts = step_parts()
    assert (
        step_fingerprints(**parts).whole.numpy() == joined_step_fingerprints(**parts).whole.numpy()
    )


@pytest.mark.parametrize("name", ["image", "label", "loss", "gradients", "weights"])
def test_each_part_of_a_step_counts(name: str) -> None:
    parts = step_parts()
    before = joined_step_fingerprints(**parts).whole.numpy()
    value = parts[name]
    one = tf.constant(1, tf.int32)
    touched = value[-1] if isinstance(value, list) else value
    flipped = tf.bitcast(tf.bitcast(touched, tf.int32) ^ one, touched.dtype)
    parts[name] = [*value[:-1], flipped] if isinstance(value, list) else flipped
    assert joined_step_fingerprints(**parts).whole.numpy() != before


def test_the_batch_has_a_mark_of_its_own() -> None:
    parts = step_parts()
    before = joined_step_fingerprints(**parts).batch.numpy()
    assert step_fingerprints(**parts).batch.numpy() == before
    for name, same in [("loss", True), ("gradients", True), ("image", False), ("label", False)]:
        other = dict(step_parts())
        value = other[name]
        other[name] = value[::-1] if isinstance(value, list) else value + 1
        assert bool(joined_step_fingerprints(**other).batch.numpy() == before) is same, name


def test_marks_of_replicas_are_added_on_the_host() -> None:
    """Each with its replica's number, modulo 2^64; the oracle is in Python's integers."""
    own = [[MASK, 5], [7, MASK - 3], [0, 9]]
    made = [
        replica_fingerprints(
            StepFingerprints(*(tf.constant(mark, tf.uint64) for mark in pair)),
            tf.constant(n, tf.uint64),
        )
        for n, pair in enumerate(own)
    ]
    wanted = [
        sum(int(expected(np.array([pair[i], n], np.uint64)), 16) for n, pair in enumerate(own))
        for i in range(2)
    ]
    steps = [tuple(m.batch for m in made), tuple(m.whole for m in made)]
    assert fingerprints_as_hex(steps) == tuple(hex_of(mark) for mark in wanted)
    assert fingerprints_as_hex([tf.constant(MASK, tf.uint64)]) == ("f" * 16,)


def test_a_label_has_the_same_mark_in_either_width() -> None:
    parts = step_parts()
    wide = {**parts, "label": tf.cast(parts["label"], tf.int64)}
    assert step_fingerprints(**wide).whole.numpy() == step_fingerprints(**parts).whole.numpy()


def test_gradients_and_weights_are_not_interchangeable() -> None:
    parts = step_parts()
    swapped = {**parts, "gradients": parts["weights"], "weights": parts["gradients"]}
    assert (
        joined_step_fingerprints(**parts).whole.numpy()
        != joined_step_fingerprints(**swapped).whole.numpy()
    )
