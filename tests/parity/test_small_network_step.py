"""Steps of the Fashion-MNIST recipe on generated images, against float64.

The oracle is written from the protocol alone: the network of arXiv:1512.03385
section 4.2 with projections, batch statistics, the gradient by TensorFlow in
float64, weight decay added to the gradient of every parameter, and the update of
PyTorch's SGD in NumPy. Both have a softplus in the place of the ReLU, whose step
turns a rounding into percents of a gradient wherever an input lies near zero.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.models.architecture import architectures
from harness.models.initial import initialise
from harness.models.resnet import Layer, Layers, build_resnet
from harness.recipes.catalogue import find_recipe
from harness.recipes.recipe import Recipe
from harness.training.state import create_state, to_arrays
from harness.training.step import build_step

BATCH, CLASSES = 8, 10
RATES = (0.1, 0.1, 0.01)
DECAY, MOMENTUM, EPSILON = 5e-4, 0.9, 1e-5
Arrays = dict[str, np.ndarray]


def recipe() -> Recipe:
    document = find_recipe("zhong2020-fashion-resnet20").model_dump(mode="json")
    return Recipe.model_validate_json(json.dumps(document | {"batch": BATCH}))


def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng([4, number])
    image = random.normal(size=(BATCH, 28, 28, 1)).astype(np.float32)
    return image, random.integers(0, CLASSES, BATCH).astype(np.int32)


class Smooth(Layers):
    """The network's layers, but for the ReLU."""

    def relu(self, name: str) -> Layer:
        return keras.layers.Activation("softplus", name=name)


def network(the_recipe: Recipe) -> keras.Model:
    layers = Smooth(compute="float32", synchronised=False, pointwise_products=True)
    channels = the_recipe.normalisation.channel_count
    model = build_resnet(architectures()[the_recipe.model.name], CLASSES, layers, channels)
    initialise(model, seed=1, initializer=the_recipe.model.initializer)
    return model


class Forward:
    """Logits from variables by path; batch statistics are kept in `moments`."""

    def __init__(self, values: dict[str, tf.Tensor]) -> None:
        self.values = values
        self.moments: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def convolved(self, net: tf.Tensor, layer: str, stride: int = 1) -> tf.Tensor:
        kernel = self.values[f"{layer}/kernel"]
        pad = kernel.shape[0] // 2
        padded = tf.pad(net, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        return tf.nn.conv2d(padded, kernel, stride, "VALID")

    def normalised(self, net: tf.Tensor, layer: str) -> tf.Tensor:
        mean = tf.reduce_mean(net, [0, 1, 2])
        variance = tf.reduce_mean((net - mean) ** 2, [0, 1, 2])
        n = np.prod(net.shape[:3])
        self.moments[layer] = (mean.numpy(), variance.numpy() * n / (n - 1))
        gamma, beta = (self.values[f"{layer}/{kind}"] for kind in ("gamma", "beta"))
        return (net - mean) / tf.sqrt(variance + EPSILON) * gamma + beta

    def logits(self, image: np.ndarray) -> tf.Tensor:
        net = self.convolved(tf.constant(image, tf.float64), "conv0")
        net = tf.nn.softplus(self.normalised(net, "bn"))
        for stage in (1, 2, 3):
            for block in (0, 1, 2):
                name, stride = f"conv{stage}_{block}", 2 if stage > 1 and block == 0 else 1
                inner = self.normalised(
                    self.convolved(net, f"{name}.conv_0", stride), f"{name}.bn_0"
                )
                inner = self.convolved(tf.nn.softplus(inner), f"{name}.conv_1")
                inner = self.normalised(inner, f"{name}.bn_1")
                if stride == 2:
                    net = self.convolved(net, f"{name}.projection", stride)
                    net = self.normalised(net, f"{name}.shortcut_bn")
                net = tf.nn.softplus(net + inner)
        pooled = tf.reduce_mean(net, [1, 2])
        head = "fully_connected"
        return pooled @ self.values[f"{head}/kernel"] + self.values[f"{head}/bias"]


def exact_step(
    state: dict[str, np.ndarray], image: np.ndarray, label: np.ndarray, rate: float
) -> tuple[float, Arrays]:
    """Loss and the state after a step from a snapshot, named as in a checkpoint."""
    values = {name: array.astype(np.float64) for name, array in state.items()}
    paths = [name.removeprefix("slots/") for name in values if name.startswith("slots/")]
    tensors = {path: tf.constant(values[f"weights/{path}"]) for path in paths}
    forward = Forward(tensors)
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(label, forward.logits(image))
        loss = tf.reduce_mean(each)
    for path, gradient in tape.gradient(loss, tensors).items():
        weight, slot = values[f"weights/{path}"], values[f"slots/{path}"]
        values[f"slots/{path}"] = MOMENTUM * slot + gradient.numpy() + DECAY * weight
        values[f"weights/{path}"] = weight - rate * values[f"slots/{path}"]
    for layer, moments in forward.moments.items():
        for kind, moment in zip(("moving_mean", "moving_variance"), moments, strict=True):
            name = f"weights/{layer}/{kind}"
            values[name] = 0.9 * values[name] + 0.1 * moment
    return float(loss), values


def test_steps_of_the_recipe_follow_the_published_protocol() -> None:
    """Each step from the same state, so that roundings of one do not grow in the next."""
    the_recipe = recipe()
    state = create_state(network(the_recipe), float16=False)
    step = build_step(state, the_recipe, tf.distribute.get_strategy())
    for number, rate in enumerate(RATES):
        image, label = batch(number)
        before = to_arrays(state)
        loss, exact = exact_step(before, image, label, rate)
        output = step(tf.constant(image), tf.constant(label), tf.constant(rate))
        assert float(output.loss) == pytest.approx(loss, rel=1e-5)
        for name, array in to_arrays(state).items():
            moved = np.abs(exact[name] - before[name]).max()
            rounding = np.finfo(np.float32).eps * np.abs(exact[name]).max()
            apart = np.abs(array - exact[name]).max()
            assert apart <= 1e-4 * moved + rounding, (number, name)
