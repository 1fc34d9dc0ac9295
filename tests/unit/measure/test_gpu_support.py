"""Which GPUs TensorFlow's wheel and cuDNN have code for."""

import pytest
import tensorflow as tf

from harness.measure.gpu_support import OLDER_CUDNN, support_of

WHEEL = ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90")
"""TensorFlow 2.21.0, by `tf.sysconfig.get_build_info()`."""


@pytest.mark.parametrize(
    ("capability", "cudnn", "state"),
    [
        ((3, 7), "9.10.2", "none"),
        ((5, 2), "9.10.2", "none"),
        ((6, 1), "9.10.2", "native"),
        ((6, 1), "9.28.0", "none"),
        ((7, 0), "9.10.2", "native"),
        ((7, 0), "9.11.0", "none"),
        ((7, 0), None, "native"),
        ((7, 5), "9.28.0", "native"),
        ((8, 0), "9.28.0", "native"),
        ((8, 6), "9.28.0", "native"),
        ((8, 9), "9.28.0", "native"),
        ((9, 0), "9.28.0", "native"),
        ((10, 0), "9.28.0", "compiled"),
        ((12, 0), "9.28.0", "compiled"),
    ],
    ids=str,
)
def test_cards_of_every_generation(
    capability: tuple[int, int], cudnn: str | None, state: str
) -> None:
    found = support_of(capability, WHEEL, cudnn)
    assert found.state == state
    assert f"{capability[0]}.{capability[1]}" in found.words
    assert (found.remedy is None) == (state == "native")


def test_pascal_and_volta_are_told_which_cudnn_still_has_them() -> None:
    assert support_of((7, 0), WHEEL, "9.28.0").remedy == OLDER_CUDNN


def test_the_installed_wheel_is_the_one_of_the_table() -> None:
    built = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", WHEEL)
    assert tuple(built) == WHEEL
