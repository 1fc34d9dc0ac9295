"""What networks there are, with their exact parameter counts, without building one."""

import difflib
from dataclasses import dataclass
from functools import cache

from harness.errors import ModelError
from harness.models.architecture import Architecture, architectures
from harness.models.keras_table import KERAS_NAMES, keras_table
from harness.models.variables import VariableSpec, variable_table

HEADS = ("fully_connected", "predictions")
"""Layers that turn features into logits: of the residual networks here, and of Keras'."""

INPUT_SIZES = {"keras-resnet50v2": 299, "keras-resnet101v2": 299, "keras-resnet152v2": 299}
"""Input sizes in pixels of published accuracies that are not 224."""


@dataclass(frozen=True)
class Description:
    """A network and its size.

    Attributes:
        name: Name in the catalogue.
        source: Where it is published.
        classes: Number of classes the counts are for.
        image_size: Input size in pixels of the published accuracies.
        trainable: Values learned by gradients.
        moving: Moving means and variances.
    """

    name: str
    source: str
    classes: int
    image_size: int
    trainable: int
    moving: int

    @property
    def total(self) -> int:
        """All values, moving statistics included."""
        return self.trainable + self.moving


def names() -> tuple[str, ...]:
    """Every model, the reference's first."""
    return (*_architectures(), *KERAS_NAMES)


def describe(name: str, classes: int = 1_000) -> Description:
    """Count a model's parameters.

    Raises:
        ModelError: no such model; the nearest names are offered.
    """
    table = table_of(name, classes)
    if name in KERAS_NAMES:
        source = f"keras.applications.{KERAS_NAMES[name]}"
    else:
        source = _architectures()[name].source
    return Description(
        name=name,
        source=source,
        classes=classes,
        image_size=INPUT_SIZES.get(name, 224),
        trainable=sum(v.size for v in table if v.trainable),
        moving=sum(v.size for v in table if not v.trainable),
    )


def table_of(name: str, classes: int) -> tuple[VariableSpec, ...]:
    """Every variable of a model.

    Raises:
        ModelError: no such model.
    """
    check_name(name)
    if name in KERAS_NAMES:
        return keras_table(name, classes)
    return variable_table(_architectures()[name], classes)


def find_architecture(name: str) -> Architecture | None:
    """The architecture of this name; None for a network of Keras Applications.

    Raises:
        ModelError: no such model.
    """
    check_name(name)
    return _architectures().get(name)


def check_name(name: str) -> None:
    """Raise `ModelError`, offering the nearest names, unless the model exists."""
    if name in names():
        return
    near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4)
    raise ModelError(
        f"there is no model named {name!r}",
        expected="a name that `harness list models` prints",
        remedy=f"did you mean {' or '.join(near)}?" if near else "see `harness list models`",
    )


@cache
def _architectures() -> dict[str, Architecture]:
    return architectures()
