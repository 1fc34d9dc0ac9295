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

STEMS = ("conv0", "conv1_conv")
"""Layers that take the image: of the same."""

_PIXELS, _KERAS_V2_PIXELS, _SMALL_PIXELS = (224, 256), (299, 341), (32, 32)
"""Of published accuracies: side of the crop, and short side of the image that it is cut from."""


@dataclass(frozen=True)
class ModelDescription:
    """A network and its size.

    Attributes:
        name: Name in the catalogue.
        source: Where it is published.
        classes: Number of classes the counts are for.
        channels: Channels of the images that the counts are for.
        image_size: Input size in pixels of the published accuracies.
        short_side: Short side in pixels of the images that they were cut from.
        trainable: Values learned by gradients.
        moving: Moving means and variances.
    """

    name: str
    source: str
    classes: int
    channels: int
    image_size: int
    short_side: int
    trainable: int
    moving: int

    @property
    def total(self) -> int:
        """All values, moving statistics included."""
        return self.trainable + self.moving


def names() -> tuple[str, ...]:
    """Every model, the reference's first."""
    return (*_architectures(), *KERAS_NAMES)


def describe(name: str, classes: int = 1_000, channels: int = 3) -> ModelDescription:
    """Count a model's parameters.

    Args:
        name: Name in the catalogue.
        classes: Number of classes.
        channels: Channels of the images.

    Raises:
        ModelError: no such model; the nearest names are offered.
    """
    table = table_of(name, classes, channels)
    image_size, short_side = _pixels(name)
    if name in KERAS_NAMES:
        source = f"keras.applications.{KERAS_NAMES[name]}"
    else:
        source = _architectures()[name].source
    return ModelDescription(
        name=name,
        source=source,
        classes=classes,
        channels=channels,
        image_size=image_size,
        short_side=short_side,
        trainable=sum(v.size for v in table if v.trainable),
        moving=sum(v.size for v in table if not v.trainable),
    )


def table_of(name: str, classes: int, channels: int = 3) -> tuple[VariableSpec, ...]:
    """Every variable of a model, by its classes and the channels of its images.

    Raises:
        ModelError: no such model.
    """
    check_name(name)
    if name in KERAS_NAMES:
        return keras_table(name, classes, channels)
    return variable_table(_architectures()[name], classes, channels)


def _pixels(name: str) -> tuple[int, int]:
    if name in KERAS_NAMES:
        return _KERAS_V2_PIXELS if name.endswith("v2") else _PIXELS
    return _SMALL_PIXELS if _architectures()[name].small_stem else _PIXELS


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
