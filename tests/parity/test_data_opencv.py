"""The pipeline's pixels against OpenCV's: each step alone, then the chain under the same draws.

Tolerances in levels of 0 to 255: decoding none, geometry 0.05, colour 0.05.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from harness.bench.reference import input as reference
from harness.data.image_files.inspection import inspect
from harness.data.image_files.reading import decode_upright
from harness.data.input_pipeline.pipeline import crop_function, cut_crops
from harness.data.transforms.colour import (
    EIGENVALUES,
    EIGENVECTORS,
    add_lighting,
    colour_step,
    normalise,
    shift_hsv,
)
from harness.data.transforms.draws import colour_draws, geometry_draws, uniforms
from harness.data.transforms.resizing import resize_short_side
from harness.recipes.protocol import APM5_NORMALISATION, Normalisation, center_crop, ten_crop
from harness.recipes.published.apm5 import AUGMENTATION
from tests.parity.generated_images import write_awkward_images
from tests.shared_data import SHARED, shared

pytest.importorskip("cv2", reason="OpenCV is the oracle of these tests")

GEOMETRY_LEVELS = 0.05
COLOUR_LEVELS = 0.05
SIZE = 224
SAMPLE = "data/imagenet-sample"


def draws_of(number: int) -> tf.Tensor:
    return uniforms(12, tf.constant(0, tf.int64), tf.constant(number, tf.int64))


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_awkward_images(tmp_path_factory.mktemp("awkward"))


def photographs(step: int) -> list[Path]:
    return sorted(shared(SAMPLE).iterdir())[::step]


def crop_bgr(path: Path, draws: tf.Tensor, size: int = SIZE, **changes: object) -> np.ndarray:
    """The pipeline's crop as float [size, size, 3] BGR."""
    raw = path.read_bytes()
    facts = inspect(raw)
    assert facts.decision == "as_is"
    crop = crop_function(AUGMENTATION.model_copy(update=changes), size)
    stored = (tf.constant(facts.height), tf.constant(facts.width))
    planes = _traced(crop)(tf.constant(raw), stored, tf.constant(facts.orientation), draws)
    return planes.numpy().transpose(2, 0, 1)[..., ::-1]


_TRACED: dict[str, object] = {}


def _traced(crop: partial) -> object:
    """Graph execution, as in the pipeline; one trace per kind of crop."""
    return _TRACED.setdefault(
        f"{crop.func.__name__}{crop.keywords}", tf.function(crop, autograph=False)
    )


def geometry_error(path: Path, number: int) -> float:
    geometry = geometry_draws(draws_of(number), AUGMENTATION)
    aspect, short_side, x, y, mirrored = geometry.numpy()
    image = reference.scale(reference.stretch(reference.read(str(path)), aspect), short_side)
    expected = reference.crop_and_mirror(image, x, y, mirrored > 0, SIZE)
    return float(np.abs(crop_bgr(path, geometry) - expected).max())


def test_decoded_pixels_are_identical(awkward: list[Path]) -> None:
    paths = awkward + (photographs(5) if SHARED.exists() else [])
    for path in paths:
        raw = path.read_bytes()
        ours = decode_upright(
            tf.constant(raw), tf.constant(inspect(raw).orientation), "jpeg_integer_accurate"
        )
        assert (ours.numpy()[..., ::-1] == reference.read(str(path))).all(), path.name


def test_geometry_of_generated_images(awkward: list[Path]) -> None:
    errors = {
        f"{path.name} draw {n}": geometry_error(path, n) for path in awkward for n in range(2)
    }
    assert max(errors.values()) <= GEOMETRY_LEVELS, errors


@pytest.mark.parametrize("part", range(5))
def test_geometry_of_all_sample_photographs(part: int) -> None:
    errors = {p.name: geometry_error(p, n) for n, p in enumerate(photographs(1)[part::5])}
    assert max(errors.values()) <= GEOMETRY_LEVELS, errors


@pytest.mark.parametrize("aspect", [None, (1.0, 1.0)])
def test_without_the_aspect_step_one_resize_is_left(
    aspect: tuple[float, float] | None, awkward: list[Path]
) -> None:
    path = next(p for p in awkward if p.name == "sub444.jpg")
    settings = AUGMENTATION.model_copy(update={"aspect": aspect})
    geometry = geometry_draws(draws_of(3), settings)
    _, short_side, x, y, mirrored = geometry.numpy()
    image = reference.scale(reference.read(str(path)), short_side)
    expected = reference.crop_and_mirror(image, x, y, mirrored > 0, SIZE)
    ours = crop_bgr(path, geometry, aspect=aspect)
    assert np.abs(ours - expected).max() <= GEOMETRY_LEVELS


def test_one_resize_goes_straight_to_the_size_of_the_two(awkward: list[Path]) -> None:
    """Another geometry than the reference's: what one call of OpenCV's resize gives."""
    for number, path in enumerate(awkward):
        geometry = geometry_draws(draws_of(number), AUGMENTATION)
        aspect, short_side, x, y, mirrored = geometry.numpy()
        image = reference.read(str(path))
        twice = reference.scale(reference.stretch(image, aspect), short_side)
        once = reference.opencv().resize(image.astype(np.float32), twice.shape[1::-1])
        expected = reference.crop_and_mirror(once, x, y, mirrored > 0, SIZE)
        fast = crop_bgr(path, geometry, geometry="one_resize")
        assert np.abs(fast - expected).max() <= GEOMETRY_LEVELS, path.name
        exact = crop_bgr(path, geometry)
        assert np.abs(fast - exact).max() > 1, path.name


def test_small_crops_of_small_images(awkward: list[Path]) -> None:
    path = next(p for p in awkward if p.name == "small.jpg")
    settings = AUGMENTATION.model_copy(update={"short_side": (34, 41)})
    for number in range(12):
        geometry = geometry_draws(draws_of(number), settings)
        aspect, short_side, x, y, mirrored = geometry.numpy()
        image = reference.scale(reference.stretch(reference.read(str(path)), aspect), short_side)
        expected = reference.crop_and_mirror(image, x, y, mirrored > 0, 32)
        ours = crop_bgr(path, geometry, 32, short_side=(34, 41))
        assert np.abs(ours - expected).max() <= GEOMETRY_LEVELS


def crops(count: int = 12) -> np.ndarray:
    """Float BGR crops with saturated, grey and black pixels among them."""
    rng = np.random.default_rng(5)
    images = rng.uniform(0, 255, (count, 48, 48, 3))
    images[:, :8] = images[:, :8, :, :1]  # grey
    images[:, 8:12] = 0
    images[:, 12:16] = 255
    images[:, 16:20, :, 1] = 255
    images[:, 20:24] = np.floor(images[:, 20:24])
    return images.astype(np.float32)


def planes_of(image: np.ndarray) -> list[tf.Tensor]:
    return tf.unstack(tf.constant(image), axis=-1)


@pytest.mark.parametrize(
    ("hue", "saturation", "value"),
    [(0, 1, 1), (36, 1, 1), (-36, 1, 1), (0, 0.6, 1), (0, 1.4, 1), (0, 1, 0.6), (0, 1, 1.4),
     (-35.9, 1.4, 1.4), (12.3, 0.7, 1.2)],
)  # fmt: skip
def test_hsv_shift(hue: float, saturation: float, value: float) -> None:
    for image in crops(3):
        expected = reference.shift_hsv(image, hue, saturation, value)
        ours = tf.stack(shift_hsv(planes_of(image), hue, saturation, value), axis=-1).numpy()
        assert np.abs(ours - expected).max() <= COLOUR_LEVELS


def test_lighting_uses_columns_as_eigenvectors_on_bgr() -> None:
    image, normals = crops(1)[0], np.array([0.1, -0.2, 0.15])
    expected = reference.add_lighting(image, normals)
    ours = tf.stack(add_lighting(planes_of(image), list(normals)), axis=-1).numpy()
    assert np.abs(ours - expected).max() <= COLOUR_LEVELS
    # By hand for the blue channel of a middle grey: the first row of M.
    grey = tf.stack(add_lighting(planes_of(np.full((1, 1, 3), 128.0)), [0.1, 0.0, 0.0]), -1)
    assert grey.numpy()[0, 0] == pytest.approx(
        [128 - 0.5836 * 5.546, 128 - 0.5808 * 5.546, 128 - 0.5675 * 5.546], abs=1e-4
    )


def test_the_eigenvectors_are_the_published_ones_and_orthonormal() -> None:
    assert reference.PCA_COLUMNS == EIGENVECTORS
    assert reference.PCA_VALUES == EIGENVALUES
    columns = np.array(EIGENVECTORS)
    # Entries are published with four digits: a product of two columns is off by at most
    # 2 * 3 * 0.9 * 5e-5.
    np.testing.assert_allclose(columns.T @ columns, np.eye(3), rtol=0, atol=3e-4)


def test_normalisation_keeps_the_quirk() -> None:
    ours = tf.stack(normalise(planes_of(np.full((1, 1, 3), 200.0)), APM5_NORMALISATION), -1)
    by_hand = [(200 - 103.939) / 58.393, (200 - 116.779) / 57.12, (200 - 123.68) / 57.375]
    assert ours.numpy()[0, 0] == pytest.approx(by_hand, rel=1e-6)


def test_normalisation_in_rgb_with_scale() -> None:
    torch = Normalisation(
        channels="rgb", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), scale=255.0
    )
    image = crops(1)[0]
    ours = tf.stack(normalise(planes_of(image), torch), axis=-1).numpy()
    by_hand = (image[..., ::-1] / 255 - np.array(torch.mean)) / np.array(torch.std)
    assert np.abs(ours - by_hand).max() < 1e-5


def test_colours_of_a_batch_under_the_same_draws() -> None:
    images = crops()
    draws = colour_draws(tf.stack([draws_of(n) for n in range(len(images))]), AUGMENTATION)
    planes = tf.constant(images[..., ::-1].transpose(0, 2, 3, 1))
    ours = colour_step(AUGMENTATION, APM5_NORMALISATION)(planes, draws).numpy()
    for image, numbers, result in zip(images, draws.numpy(), ours, strict=True):
        shifted = reference.shift_hsv(image, *(float(n) for n in numbers[:3]))
        expected = reference.normalise(
            reference.add_lighting(shifted, numbers[3:]), APM5_NORMALISATION
        )
        assert np.abs(result - expected).max() * 57 <= COLOUR_LEVELS


def test_whole_chain_under_the_same_draws(awkward: list[Path]) -> None:
    paths = awkward + (photographs(10) if SHARED.exists() else [])
    step = colour_step(AUGMENTATION, APM5_NORMALISATION)
    for number, path in enumerate(paths):
        u = draws_of(number)
        geometry, colours = geometry_draws(u, AUGMENTATION), colour_draws(u, AUGMENTATION)
        planes = crop_bgr(path, geometry)[..., ::-1].transpose(1, 2, 0)
        ours = step(tf.constant(planes[np.newaxis]), colours[tf.newaxis]).numpy()[0]
        expected = reference.training_image(
            str(path), geometry.numpy(), colours.numpy(), SIZE, APM5_NORMALISATION
        )
        assert np.abs(ours - expected).max() * 57 <= 2 * COLOUR_LEVELS, path.name


def rounding_levels(paths: list[Path]) -> np.ndarray:
    """What whole levels before the colour step cost in the input: levels [images, S, S, 3]."""
    step = colour_step(AUGMENTATION, APM5_NORMALISATION)
    crops, draws = [], []
    for number, path in enumerate(paths):
        u = draws_of(number)
        planes = crop_bgr(path, geometry_draws(u, AUGMENTATION))[..., ::-1]
        crops.append(planes.transpose(1, 2, 0))
        draws.append(colour_draws(u, AUGMENTATION))
    exact = tf.constant(np.stack(crops))
    inputs = [step(planes, tf.stack(draws)).numpy() for planes in (exact, tf.round(exact))]
    return np.abs(inputs[0] - inputs[1]) * np.array(APM5_NORMALISATION.std, np.float32)


def test_crops_of_whole_levels_would_break_the_tolerance(awkward: list[Path]) -> None:
    """Why crops leave as float32 and not as uint8: rounding costs far more than the tolerance."""
    sets = [awkward] + ([photographs(10)] if SHARED.exists() else [])
    for paths in sets:
        levels = rounding_levels(paths)
        assert levels.mean() > 2 * COLOUR_LEVELS
        assert levels.max() > 10 * COLOUR_LEVELS


@pytest.mark.parametrize("protocol", [center_crop(), ten_crop()], ids=["center", "ten"])
def test_evaluation_crops(protocol: object, awkward: list[Path]) -> None:
    paths = awkward + (photographs(10) if SHARED.exists() else [])
    for path in paths:
        raw = path.read_bytes()
        image = decode_upright(
            tf.constant(raw), tf.constant(inspect(raw).orientation), protocol.decoder
        )
        resized = resize_short_side(
            image, protocol.short_sides[0], protocol, at_least=protocol.crop_size
        )
        ours = cut_crops(resized, protocol).numpy()[..., ::-1]
        ours = reference.normalise(ours, protocol.normalisation)
        expected = reference.evaluation_image(str(path), protocol)
        assert ours.shape == expected.shape
        assert np.abs(ours - expected).max() * 57 <= GEOMETRY_LEVELS, path.name
