import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.errors import ModelError
from harness.models.build import build_model
from harness.models.catalogue import describe, find_architecture
from harness.models.initial import draw_kernel
from harness.models.keras_table import keras_table
from harness.models.variables import variable_table
from harness.numerics.fingerprint import array_fingerprint
from harness.recipes.recipe import Model, Precision

IMAGES = np.random.RandomState(0).randn(4, 33, 47, 3).astype(np.float32)


def small(name: str, **fields: object) -> Model:
    return Model(name=name, image_size=32, **fields)


@pytest.fixture(scope="module")
def resnet18() -> keras.Model:
    return build_model(small("apm5-resnet18-v2"), classes=10, seed=7)


@pytest.mark.parametrize(
    "name",
    [
        "apm5-resnet18-v1-2019",
        "apm5-resnet50-v1",
        "apm5-resnet50-v2",
        "he2015-resnet18-a",
        "he2015-resnet50",
        "keras-resnet50",
        "keras-resnet50v2",
    ],
)
def test_what_is_built_is_what_the_table_says(name: str) -> None:
    model = build_model(small(name), classes=10, seed=1)
    is_keras = find_architecture(name) is None
    table = keras_table(name, 10) if is_keras else variable_table(find_architecture(name), 10)
    trainable = {v.path for v in model.trainable_variables}
    assert {v.path: tuple(v.shape) for v in model.variables} == {v.path: v.shape for v in table}
    assert trainable == {v.path for v in table if v.trainable}
    assert model.count_params() == describe(name, 10).total
    assert model(IMAGES).shape == (4, 10)


def test_initial_weights_depend_on_seed_and_path_alone(resnet18: keras.Model) -> None:
    again = build_model(small("apm5-resnet18-v2"), classes=10, seed=7)
    other = build_model(small("apm5-resnet18-v2"), classes=10, seed=8)
    deeper = {v.path: v for v in build_model(small("apm5-resnet34-v2"), classes=10, seed=7).weights}
    for mine, same, differs in zip(resnet18.weights, again.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine, same)
        assert mine.path.endswith("kernel") != np.array_equal(mine, differs)
    path = "conv1_1.conv_0/kernel"
    mine = next(v for v in resnet18.weights if v.path == path)
    np.testing.assert_array_equal(mine, deeper[path])


@pytest.mark.parametrize(
    ("initializer", "deviation", "bound"),
    [
        # Glorot: a = sqrt(6 / (fan_in + fan_out)), deviation a / sqrt(3).
        ("glorot_uniform", (2 / (9 * 512 + 9 * 512)) ** 0.5, (6 / (18 * 512)) ** 0.5),
        ("he_normal", (2 / (9 * 512)) ** 0.5, None),
    ],
)
def test_kernels_have_the_published_spread(
    initializer: str, deviation: float, bound: float | None
) -> None:
    model = build_model(small("apm5-resnet18-v1", initializer=initializer), classes=10, seed=3)
    kernel = np.asarray(next(v for v in model.weights if v.path == "conv4_1.conv_1/kernel"))
    assert abs(kernel.mean()) < 5 * deviation / kernel.size**0.5
    assert abs(kernel.std() / deviation - 1) < 0.005
    if bound is None:
        assert np.abs(kernel).max() > 4 * deviation, "the normal is not truncated"
    else:
        assert 0.999 * bound < np.abs(kernel).max() <= bound


def test_fan_out_initialisation_is_that_of_the_small_networks_source() -> None:
    """Kernels N(0, sqrt(2 / (k k out))); the dense layer U(-a, a), a = 1 / sqrt(64)."""
    spec = small("he2015-cifar-resnet56-b", initializer="he_normal_fan_out")
    model = build_model(spec, classes=100, seed=3, channels=1)
    values = {v.path: np.asarray(v) for v in model.trainable_variables}
    for path, shape in (
        ("conv0/kernel", (3, 3, 1, 16)),
        ("conv2_0.projection/kernel", (1, 1, 16, 32)),
        ("conv3_8.conv_1/kernel", (3, 3, 64, 64)),
    ):
        kernel, deviation = values[path], (2 / (shape[0] * shape[1] * shape[3])) ** 0.5
        assert kernel.shape == shape
        assert abs(kernel.mean()) < 5 * deviation / kernel.size**0.5, path
        assert abs(kernel.std() / deviation - 1) < 5 / (2 * kernel.size) ** 0.5, path
    largest = np.abs(values["conv3_8.conv_1/kernel"]).max()
    assert largest > 3.5 * (2 / (9 * 64)) ** 0.5, "the normal is not truncated"
    for kind, fewest in (("kernel", 0.999), ("bias", 0.9)):
        drawn = values[f"fully_connected/{kind}"]
        assert fewest / 8 < np.abs(drawn).max() <= 1 / 8
        # A uniform's deviation is a / sqrt(3); its fourth moment is 9/5 of the squared variance.
        assert abs(drawn.std() * 8 * 3**0.5 - 1) < 5 * (0.2 / drawn.size) ** 0.5
    assert np.unique(values["fully_connected/bias"]).size == 100
    others = [p for p in values if not p.endswith("kernel") and "fully_connected" not in p]
    assert all((values[p] == (1 if p.endswith("gamma") else 0)).all() for p in others)


def test_fan_out_draws_depend_on_seed_and_path_alone() -> None:
    def drawn(depth: int, seed: int) -> dict[str, np.ndarray]:
        name = f"he2015-cifar-resnet{depth}-b"
        spec = small(name, initializer="he_normal_fan_out")
        model = build_model(spec, classes=10, seed=seed)
        return {v.path: np.asarray(v) for v in model.trainable_variables}

    one, deeper, other = drawn(20, 7), drawn(32, 7), drawn(20, 8)
    for path, values in one.items():
        np.testing.assert_array_equal(values, deeper[path])
        random = path.endswith("kernel") or path == "fully_connected/bias"
        assert random != np.array_equal(values, other[path]), path


@pytest.mark.parametrize(
    ("shape", "mark", "normal"),
    [
        ((7, 7, 3, 64), "da692c53589f2c19", (-0.03890947, 0.08940286)),
        ((3, 3, 64, 128), "11f7531e6b0b52ed", (-0.01965634, -0.03750316)),
        ((512, 10), "4c35a192cc44beb6", (-0.0208487, -0.0090985)),
    ],
)
def test_draws_are_those_of_earlier_versions(
    shape: tuple[int, ...], mark: str, normal: tuple[float, float]
) -> None:
    """A uniform draw to the bit; a normal one's logarithm may be rounded as the machine does."""
    path = "conv1_1.conv_0/kernel"
    uniform = draw_kernel(path, shape, 7, "glorot_uniform")
    assert array_fingerprint(np.asarray(uniform)) == mark
    flat = np.asarray(draw_kernel(path, shape, 7, "he_normal")).reshape(-1)
    np.testing.assert_allclose(flat[[0, -1]], normal, rtol=1e-5)


def test_batch_statistics_are_used_in_training_only(resnet18: keras.Model) -> None:
    alone = resnet18(IMAGES[:1], training=False)
    together = resnet18(IMAGES, training=False)
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("compute", ["bfloat16", "float16"])
def test_lower_precision_keeps_variables_and_logits_float32(compute: str) -> None:
    precision = Precision(compute=compute)
    model = build_model(small("apm5-resnet18-v1"), classes=10, seed=1, precision=precision)
    exact = build_model(small("apm5-resnet18-v1"), classes=10, seed=1)
    logits = model(IMAGES, training=False)
    assert logits.dtype == tf.float32
    assert {str(tf.as_dtype(v.dtype).name) for v in model.variables} == {"float32"}
    difference = np.abs(np.asarray(logits) - np.asarray(exact(IMAGES, training=False)))
    assert 0 < difference.max() < 0.05 * np.abs(exact(IMAGES)).max()


def test_the_extra_relu_changes_the_answer_and_not_the_weights() -> None:
    before = build_model(small("apm5-resnet18-v1-2019"), classes=10, seed=1)
    after = build_model(small("apm5-resnet18-v1"), classes=10, seed=1)
    assert {v.path for v in before.weights} == {v.path for v in after.weights}
    assert not np.allclose(before(IMAGES), after(IMAGES), rtol=1e-3)


@pytest.mark.parametrize(
    ("spec", "classes", "words"),
    [
        (small("apm5-resnet18"), 10, "did you mean"),
        (small("apm5-resnet18-v2", classes=5), 10, "expected:   5"),
        (small("keras-resnet50", batch_norm="synchronised"), 10, "not synchronised"),
        (small("apm5-resnet18-v2"), 1, "two or more"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(spec: Model, classes: int, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build_model(spec, classes=classes, seed=1)
