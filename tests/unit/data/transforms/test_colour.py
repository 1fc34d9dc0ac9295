"""Normalisation against NumPy, to the bit: it is part of every result."""

import numpy as np
import pytest

from harness.data.transforms.colour import normalise_image
from harness.recipes.protocol import Normalisation, ten_crop
from harness.recipes.published.he2015 import MEAN_ONLY


@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 7, 3), (2, 3, 5, 3)], ids=str)
@pytest.mark.parametrize(
    "normalisation",
    [
        ten_crop().normalisation,
        MEAN_ONLY,
        Normalisation(channels="rgb", mean=(0.485, 0.456, 0.406), std=(0.2, 0.3, 0.4), scale=255),
    ],
    ids=["blue first", "mean only", "red first"],
)
def test_each_value_is_that_of_numpy(shape: tuple[int, ...], normalisation: Normalisation) -> None:
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    ordered = image[..., ::-1] if normalisation.channels == "bgr" else image
    mean = np.array([m * normalisation.scale for m in normalisation.mean], np.float32)
    factor = np.array([1 / (s * normalisation.scale) for s in normalisation.std], np.float32)
    np.testing.assert_array_equal(
        normalise_image(image, normalisation).numpy(), (ordered - mean) * factor
    )
