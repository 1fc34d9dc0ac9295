"""64-bit fingerprints of tensors: equal bits, equal fingerprint, on any device.

Each element's bit pattern and its position go through SplitMix64 (Steele, Lea
and Flood 2014, "Fast splittable pseudorandom number generators"), and the
results are added modulo 2^64. Addition of integers is associative, so the
order in which threads or devices sum does not matter; the mixer is a
bijection of (bits + position x odd constant), so any single changed element
changes the sum, and swapped elements do but for a chance of 2^-64.

The same arithmetic exists twice: in TensorFlow for the step, where it is
compiled by XLA into one pass over memory, and in NumPy for checkpoints.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
SMALL_ELEMENTS = 1 << 14
"""Tensors below this size are joined before mixing: one kernel instead of hundreds."""

_UNSIGNED = {1: tf.uint8, 2: tf.uint16, 4: tf.uint32, 8: tf.uint64}


def _constant(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)


def _mix(z: tf.Tensor) -> tf.Tensor:
    z = (z ^ tf.bitwise.right_shift(z, _constant(30))) * _constant(MIX_1)
    z = (z ^ tf.bitwise.right_shift(z, _constant(27))) * _constant(MIX_2)
    return z ^ tf.bitwise.right_shift(z, _constant(31))


def _bits(tensor: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(tensor, [-1])
    if flat.dtype == tf.bool:  # which bitcast does not know
        return tf.cast(flat, tf.uint64)
    return tf.cast(tf.bitcast(flat, _UNSIGNED[flat.dtype.size]), tf.uint64)


def _mixed_sum(bits: tf.Tensor) -> tf.Tensor:
    # From 1: the mixer maps 0 to 0, so that a zero at place 0 would leave no trace.
    place = tf.cast(tf.range(1, tf.size(bits, out_type=tf.int64) + 1), tf.uint64)
    return tf.reduce_sum(_mix(bits + place * _constant(GOLDEN)))


def tensor_fingerprint(tensor: tf.Tensor) -> tf.Tensor:
    """Fingerprint of one tensor of any shape and numeric type. uint64 scalar."""
    return _mixed_sum(_bits(tensor))


def combined_fingerprint(fingerprints: list[tf.Tensor]) -> tf.Tensor:
    """One fingerprint of several in their order. uint64 scalars in, uint64 scalar out."""
    return _mixed_sum(tf.stack(fingerprints))


def joint_fingerprint(tensors: list[tf.Tensor]) -> tf.Tensor:
    """One fingerprint of a list of tensors, sensitive to their order. uint64 scalar.

    Cheaper than combining each tensor's own: small ones are joined first.
    """
    small = [t for t in tensors if t.shape.num_elements() < SMALL_ELEMENTS]
    large = [t for t in tensors if t.shape.num_elements() >= SMALL_ELEMENTS]
    fingerprints = [tensor_fingerprint(t) for t in large]
    if small:
        fingerprints.append(_mixed_sum(tf.concat([_bits(t) for t in small], axis=0)))
    return combined_fingerprint(fingerprints)


class StepFingerprints(NamedTuple):
    """Fingerprints of one step, uint64 scalars.

    Attributes:
        batch: Of the images and labels as the network sees them.
        whole: Of batch, loss, gradients and the weights after the step.
    """

    batch: tf.Tensor
    whole: tf.Tensor


def joined_step_fingerprints(
    image: tf.Tensor,
    label: tf.Tensor,
    loss: tf.Tensor,
    gradients: list[tf.Tensor],
    weights: list[tf.Tensor],
) -> StepFingerprints:
    """The fingerprints of one step: its batch, loss, gradients and the weights after it.

    Args:
        image: The batch as the network sees it, float [B, S, S, 3].
        label: int32 [B].
        loss: float32 scalar.
        gradients: One for each trainable variable.
        weights: All variables after the update, moving statistics included.
    """
    batch = [tensor_fingerprint(image), tensor_fingerprint(label)]
    rest = [tensor_fingerprint(loss), joint_fingerprint(gradients), joint_fingerprint(weights)]
    return StepFingerprints(combined_fingerprint(batch), combined_fingerprint([*batch, *rest]))


step_fingerprints = tf.function(joined_step_fingerprints, jit_compile=True, autograph=False)
"""`joined_step_fingerprints` in one pass over memory: 19 ms for 23 million floats on two cores,
where the separate operations take 90."""


def _of_replica(own: StepFingerprints, number: tf.Tensor) -> StepFingerprints:
    return StepFingerprints(*(combined_fingerprint([one, number]) for one in own))


replica_fingerprints = tf.function(_of_replica, jit_compile=True)
"""Fingerprints mixed with their replica's number, uint64; the sum over all replicas wraps and is
the step's. By XLA, because a GPU has no other kernel for sums of uint64."""

DeviceFingerprint: TypeAlias = tf.Tensor | tuple[tf.Tensor, ...]
"""A step's fingerprint on the device, uint64; or that of each replica here, still to be added."""


def added_fingerprints(fingerprints: Sequence[DeviceFingerprint]) -> list[int]:
    """Fingerprints of steps; those of this process's replicas are added here, on the host."""
    parts = [one if isinstance(one, tuple) else (one,) for one in fingerprints]
    read = [tf.stack(of_replica).numpy() for of_replica in zip(*parts, strict=True)]
    total: np.ndarray = np.add.reduce(read, dtype=np.uint64)
    return [int(fingerprint) for fingerprint in total]


def fingerprints_as_hex(fingerprints: Sequence[DeviceFingerprint]) -> tuple[str, ...]:
    """The same as 16 hex digits each."""
    return tuple(map(hex_of, added_fingerprints(fingerprints)))


def array_fingerprint(array: np.ndarray) -> str:
    """The fingerprint of a NumPy array, equal to `tensor_fingerprint`'s. 16 hex digits."""
    flat = np.ascontiguousarray(array).reshape(-1)
    bits = flat.view(f"u{flat.dtype.itemsize}")
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        place = np.arange(1, bits.size + 1, dtype=np.uint64)
        place *= np.uint64(GOLDEN)
        place += bits
        total = _mix_array(place).sum(dtype=np.uint64)
    return hex_of(int(total))


def _mix_array(z: np.ndarray) -> np.ndarray:
    z ^= z >> np.uint64(30)
    z *= np.uint64(MIX_1)
    z ^= z >> np.uint64(27)
    z *= np.uint64(MIX_2)
    z ^= z >> np.uint64(31)
    return z


def arrays_fingerprint(arrays: dict[str, np.ndarray]) -> str:
    """One fingerprint of named arrays, in the order of their names. 16 hex digits."""
    fingerprints = [int(array_fingerprint(arrays[name]), 16) for name in sorted(arrays)]
    return array_fingerprint(np.array(fingerprints, np.uint64))


def hex_of(value: int) -> str:
    """A 64-bit value as 16 hex digits."""
    return f"{value & 0xFFFFFFFFFFFFFFFF:016x}"
