"""Which arrays of a weight file belong to which variables, checked shape by shape."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import WeightsError
from harness.models.catalogue import HEADS, STEMS, names, table_of
from harness.weights.files import WeightArrays

if TYPE_CHECKING:
    import keras

Shapes = dict[str, tuple[int, ...]]


NAMED = 10
"""Variables that a refusal names; a wrong network differs in hundreds."""


@dataclass(frozen=True)
class Mismatch:
    """How a file's arrays differ from a network's variables; each entry names a variable."""

    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missing or self.surplus or self.misshapen)

    def text(self) -> str:
        """Names of what differs, of each kind at most `NAMED`."""
        parts = [
            f"{len(found)} {word}: {', '.join(found[:NAMED])}"
            + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
            for word, found in (
                ("missing", self.missing),
                ("surplus", self.surplus),
                ("misshapen", self.misshapen),
            )
            if found
        ]
        return "; ".join(parts)


def compare_shapes(expected: Shapes, found: Shapes) -> Mismatch:
    """Compare a network's variables with a file's arrays, by variable path."""
    return Mismatch(
        missing=tuple(sorted(expected.keys() - found.keys())),
        surplus=tuple(sorted(found.keys() - expected.keys())),
        misshapen=tuple(
            f"{path} {found[path]} instead of {expected[path]}"
            for path in sorted(expected.keys() & found.keys())
            if expected[path] != found[path]
        ),
    )


def input_channels(found: Shapes) -> int:
    """Channels of the images that weights are for; 3 where no first layer says 1."""
    kernels = [found[f"{stem}/kernel"] for stem in STEMS if f"{stem}/kernel" in found]
    return 1 if kernels and len(kernels[0]) == 4 and kernels[0][2] == 1 else 3


def fitting_models(found: Shapes) -> tuple[str, ...]:
    """Names of the models in the catalogue that have exactly these variables."""
    heads = [found[f"{head}/kernel"] for head in HEADS if f"{head}/kernel" in found]
    if not heads or len(heads[0]) != 2:
        return ()
    classes, channels = heads[0][1], input_channels(found)
    return tuple(
        name
        for name in names()
        if not compare_shapes({v.path: v.shape for v in table_of(name, classes, channels)}, found)
    )


def check_fits(model_name: str, classes: int, weights: WeightArrays) -> None:
    """Raise `WeightsError` unless the file holds exactly the variables of a model.

    The images may have one or three channels; which, the first layer's kernel says.

    Args:
        model_name: Name in the catalogue.
        classes: Number of classes of the file's last layer.
        weights: As read.

    Raises:
        WeightsError: with the names of arrays that are missing, surplus or
            misshapen, and of the models that the file does fit.
    """
    channels = input_channels(weights.shapes)
    expected = {v.path: v.shape for v in table_of(model_name, classes, channels)}
    mismatch = compare_shapes(expected, weights.shapes)
    if not mismatch:
        return
    fits = fitting_models(weights.shapes)[:NAMED]
    hint = f"; the file fits {fits[0]}" if fits else ""
    raise WeightsError(
        f"the weights do not fit {model_name}{hint}; {mismatch.text()}",
        where=weights.source,
        expected=f"the {len(expected)} arrays of {model_name}",
        remedy=f"the file fits {', '.join(fits)}: name one of these as the model"
        if fits
        else "the file fits no model of `harness list models`; check where it comes from",
    )


def assign_weights(model: "keras.Model", weights: WeightArrays) -> None:
    """Copy every array into the variable of its path.

    Raises:
        WeightsError: arrays are missing, surplus or misshapen.
    """
    expected = {v.path: tuple(v.shape) for v in model.variables}
    mismatch = compare_shapes(expected, weights.shapes)
    if mismatch:
        raise WeightsError(
            f"the weights do not fit the model; {mismatch.text()}",
            where=weights.source,
            expected=f"the {len(expected)} variables of {model.name}",
            remedy="name the model that the weights were made with",
        )
    for variable in model.variables:
        variable.assign(weights.arrays[variable.path])
