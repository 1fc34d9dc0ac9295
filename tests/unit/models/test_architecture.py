"""The paper's networks for small images, in one and in three channels.

Counts and answers are computed here from section 4.2 of arXiv:1512.03385 alone:
one 3x3 convolution to 16 channels, three stages of n blocks of two 3x3
convolutions with 16, 32 and 64, stride 2 at the first convolution of the second
and third stage, padding by one pixel, global average, one dense layer with bias.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from harness.errors import ModelError, WeightsError
from harness.measure.operations import count_operations, multiply_adds
from harness.models.build import build_model
from harness.models.catalogue import describe, table_of
from harness.models.folding import fold_batch_norm
from harness.models.plain import plain_copy
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.recipe import Model
from harness.weights.description import WeightsDescription, describe_weights
from harness.weights.export import export_weights
from harness.weights.files import WeightArrays, read_weight_file
from harness.weights.matching import assign_weights, check_fits, fitting_models
from harness.weights.transfer import load_trunk
from harness.weights.trunk import check_trunk

# Keras' own saving calls NumPy in the manner of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DEPTHS = (20, 32, 44, 56, 110)
STAGES = (16, 32, 64)
EPSILON = 1e-5

# As published, or counted in the code of arXiv:1708.04896: ten classes.
COUNTS = {
    (20, "a", 1): 269_434, (20, "b", 1): 272_186, (20, "a", 3): 269_722, (20, "b", 3): 272_474,
    (32, "a", 3): 464_154, (32, "b", 3): 466_906, (44, "a", 3): 658_586, (44, "b", 3): 661_338,
    (56, "a", 3): 853_018, (56, "b", 3): 855_770, (110, "a", 3): 1_727_962,
    (110, "b", 3): 1_730_714,
}  # fmt: skip


def counted(depth: int, option: str, channels: int, classes: int) -> tuple[int, int]:
    """Trainable values and moving statistics; batch normalisation has two of each a channel."""
    blocks = (depth - 2) // 6
    kernels, normalised, width = 9 * channels * 16, 16, 16
    for filters in STAGES:
        kernels += 9 * width * filters + (2 * blocks - 1) * 9 * filters**2
        normalised += 2 * blocks * filters
        if option == "b" and width != filters:
            kernels += width * filters
            normalised += filters
        width = filters
    return kernels + 2 * normalised + 64 * classes + classes, 2 * normalised


def named(depth: int, option: str) -> str:
    return f"he2015-cifar-resnet{depth}-{option}"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("option", ["a", "b"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_counts_are_those_of_the_paper(depth: int, option: str, channels: int) -> None:
    found = describe(named(depth, option), 10, channels)
    assert (found.trainable, found.moving) == counted(depth, option, channels, 10)
    assert found.trainable == COUNTS.get((depth, option, channels), found.trainable)
    hundred = describe(named(depth, option), 100, channels)
    assert (hundred.trainable, hundred.moving) == counted(depth, option, channels, 100)


@pytest.mark.parametrize("depth", [8, 18, 34, 50, 101])
def test_no_other_depth_is_offered(depth: int) -> None:
    with pytest.raises(ModelError, match="no model named"):
        describe(named(depth, "a"))


def build(option: str, channels: int, *, classes: int = 10, seed: int = 2) -> keras.Model:
    spec = Model(name=named(20, option), image_size=32)
    return build_model(spec, classes=classes, seed=seed, channels=channels)


def trained(option: str, channels: int) -> keras.Model:
    """A network whose every variable is far from its initial value."""
    random = np.random.default_rng(5)
    model = build(option, channels)
    for variable in model.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif not variable.path.endswith("kernel"):
            variable.assign(random.normal(0, 0.3, variable.shape))
    return model


def images(channels: int, height: int = 28, width: int = 28) -> np.ndarray:
    random = np.random.default_rng(6)
    return random.normal(size=(2, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("option", ["a", "b"])
def test_what_is_built_is_what_the_table_says(option: str, channels: int) -> None:
    model = build(option, channels)
    table = table_of(model.name, 10, channels)
    assert {v.path: tuple(v.shape) for v in model.variables} == {v.path: v.shape for v in table}
    assert {v.path for v in model.trainable_variables} == {v.path for v in table if v.trainable}
    assert model.count_params() == describe(model.name, 10, channels).total
    assert model.input_shape == (None, None, None, channels)


def convolved(net: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """Zeros on each side, as many as keep the size at stride 1."""
    size, pad = kernel.shape[0], kernel.shape[0] // 2
    padded = np.pad(net, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return np.einsum("bhwcij,ijco->bhwo", windows[:, ::stride, ::stride], kernel, optimize=True)


class Exact:
    """The network in float64, from the weights of a built one."""

    def __init__(self, model: keras.Model, option: str) -> None:
        self.values = {v.path: np.asarray(v, np.float64) for v in model.variables}
        self.option = option

    def normalised(self, net: np.ndarray, name: str) -> np.ndarray:
        gamma, beta, mean, variance = (
            self.values[f"{name}/{kind}"]
            for kind in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (net - mean) / np.sqrt(variance + EPSILON) * gamma + beta

    def block(self, net: np.ndarray, name: str, stride: int) -> np.ndarray:
        inner = convolved(net, self.values[f"{name}.conv_0/kernel"], stride)
        inner = np.maximum(self.normalised(inner, f"{name}.bn_0"), 0)
        inner = self.normalised(
            convolved(inner, self.values[f"{name}.conv_1/kernel"]), f"{name}.bn_1"
        )
        shortcut = net
        if stride == 2 and self.option == "a":
            shortcut = np.zeros_like(inner)
            shortcut[..., : net.shape[-1]] = net[:, ::2, ::2]
        elif stride == 2:
            projection = self.values[f"{name}.projection/kernel"]
            shortcut = self.normalised(convolved(net, projection, 2), f"{name}.shortcut_bn")
        return np.maximum(inner + shortcut, 0)

    def logits(self, image: np.ndarray) -> np.ndarray:
        net = convolved(image.astype(np.float64), self.values["conv0/kernel"])
        net = np.maximum(self.normalised(net, "bn"), 0)
        for stage in range(3):
            for block in range(3):
                net = self.block(net, f"conv{stage + 1}_{block}", 2 if stage and not block else 1)
        kernel, bias = (self.values[f"fully_connected/{kind}"] for kind in ("kernel", "bias"))
        return net.mean(axis=(1, 2)) @ kernel + bias


@pytest.mark.parametrize(("height", "width"), [(28, 28), (21, 30)], ids=["28 px", "odd sizes"])
@pytest.mark.parametrize(("option", "channels"), [("a", 3), ("b", 1), ("a", 1)])
def test_the_network_computes_what_the_paper_describes(
    option: str, channels: int, height: int, width: int
) -> None:
    model = trained(option, channels)
    image = images(channels, height, width)
    expected = Exact(model, option).logits(image)
    found = np.asarray(model(image, training=False))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("option", "channels"), [("a", 1), ("b", 3)])
def test_folded_and_plain_networks_give_the_same_answers(option: str, channels: int) -> None:
    model = trained(option, channels)
    expected = np.asarray(model(images(channels), training=False))
    for other in (fold_batch_norm(model), plain_copy(model)):
        found = np.asarray(other(images(channels), training=False))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_operations_are_counted_for_the_networks_own_channels(channels: int, size: int) -> None:
    model = build("b", channels)
    expected = size**2 * (9 * channels * 16 + 6 * 9 * 16 * 16) + 64 * 10
    for width, filters, side in ((16, 32, size // 2), (32, 64, size // 4)):
        expected += side**2 * filters * (9 * width + 5 * 9 * filters + width)
    assert multiply_adds(model, size) == expected
    assert count_operations(model, size)[0].kernel == (3, 3, channels, 16)


GREY = WeightsDescription(normalisation=NORMALISATIONS["mnist"], class_order="folder", classes=10)


def arrays_of(name: str, channels: int, classes: int = 10) -> WeightArrays:
    table = table_of(name, classes, channels)
    arrays = {v.path: np.broadcast_to(np.float32(0), v.shape) for v in table}
    return WeightArrays("somewhere.h5", "keras_h5", "0" * 64, arrays)


@pytest.mark.parametrize("file_name", ["a.h5", "a.weights.h5"])
def test_one_channel_weights_go_out_and_in(tmp_path: Path, file_name: str) -> None:
    model = trained("b", 1)
    export_weights(model, model.name, GREY, tmp_path / file_name)
    weights = read_weight_file(tmp_path / file_name)
    assert fitting_models(weights.shapes) == (model.name,)
    check_fits(model.name, 10, weights)
    assert describe_weights(weights, model.name) == GREY
    other = build("b", 1, seed=9)
    assign_weights(other, weights)
    for mine, theirs in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(WeightsError, match=r"misshapen: conv0/kernel \(3, 3, 1, 16\) instead"):
        assign_weights(build("b", 3), weights)


@pytest.mark.parametrize("name", ["he2015-cifar-resnet20-a", "apm5-resnet18-v2", "keras-resnet50"])
@pytest.mark.parametrize(("channels", "other"), [(1, "torch"), (3, "mnist")])
def test_weights_and_normalisation_of_other_channels_contradict_each_other(
    name: str, channels: int, other: str
) -> None:
    weights = arrays_of(name, channels)
    assert name in fitting_models(weights.shapes)
    told = {"class_order": "folder"}
    with pytest.raises(WeightsError, match=f"images of {channels} channels?, the normalisation"):
        describe_weights(weights, name, normalisation=NORMALISATIONS[other], **told)
    right = NORMALISATIONS["mnist" if channels == 1 else "torch"]
    assert describe_weights(weights, name, normalisation=right, **told).normalisation == right


def test_a_trunk_starts_a_network_of_as_many_channels() -> None:
    source, target = trained("a", 1), build("a", 1, classes=4, seed=3)
    arrays = {v.path: np.asarray(v) for v in source.variables}
    weights = WeightArrays("grey.h5", "keras_h5", "", arrays)
    kept = load_trunk(target, target.name, weights)
    assert kept == ("fully_connected/kernel", "fully_connected/bias")
    np.testing.assert_array_equal(target.variables[0], source.variables[0])
    with pytest.raises(WeightsError, match=r"images of 1 channel\n[^$]*expected:   3"):
        check_trunk(weights, target.name, channels=3)
    with pytest.raises(WeightsError, match="images of 3 channels"):
        check_trunk(arrays_of(target.name, 3), target.name, channels=1)
    with pytest.raises(WeightsError, match=r"choose it with --set model\.name=he2015-cifar"):
        check_trunk(weights, named(20, "b"), channels=1)


def test_networks_of_keras_take_one_channel_too() -> None:
    model = build_model(Model(name="keras-resnet50", image_size=32), classes=3, seed=1, channels=1)
    table = table_of("keras-resnet50", 3, channels=1)
    assert {v.path: tuple(v.shape) for v in model.variables} == {v.path: v.shape for v in table}
