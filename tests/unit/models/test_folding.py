import keras
import numpy as np
import pytest

from harness.errors import ModelError
from harness.models.build import build_model
from harness.models.folding import fold_batch_norm
from harness.recipes.recipe import Model

RANDOM = np.random.RandomState(11)


def trained(name: str) -> keras.Model:
    """A network whose batch normalisations are far from the identity."""
    model = build_model(Model(name=name, image_size=32), classes=10, seed=2)
    for variable in model.variables:
        if "bn" in variable.path:
            positive = variable.path.endswith(("gamma", "moving_variance"))
            values = (
                RANDOM.rand(*variable.shape) + 0.5 if positive else RANDOM.randn(*variable.shape)
            )
            variable.assign(values)
    return model


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("apm5-resnet18-v1", 0),
        ("apm5-resnet50-v1", 0),
        # One at the start of each of 8 blocks and one at the end.
        ("apm5-resnet18-v2", 9),
    ],
)
def test_the_folded_network_gives_the_same_answers(name: str, left: int) -> None:
    model = trained(name)
    folded = fold_batch_norm(model)
    images = RANDOM.randn(2, 32, 32, 3).astype(np.float32)
    expected = np.asarray(model(images, training=False))
    difference = np.abs(np.asarray(folded(images, training=False)) - expected).max()
    assert difference < 1e-4 * np.abs(expected).max()
    norms = [v for v in folded.variables if v.path.endswith("moving_variance")]
    assert len(norms) == left


def test_a_network_of_keras_is_not_folded() -> None:
    with pytest.raises(ModelError, match="not folded"):
        fold_batch_norm(build_model(Model(name="keras-resnet50", image_size=32), classes=2, seed=1))
