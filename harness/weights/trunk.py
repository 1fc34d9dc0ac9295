"""Whether weights may start a network's trunk, settled before the network is built."""

from harness.errors import WeightsError
from harness.models.catalogue import HEADS, names, table_of
from harness.recipes.normalisations import NORMALISATIONS, normalisation_name
from harness.recipes.protocol import Normalisation
from harness.weights.description import known_normalisation
from harness.weights.files import WeightArrays
from harness.weights.matching import Shapes, compare_shapes, input_channels

ANY_CLASSES = 2
"""A trunk is the same for any number of classes."""


def check_trunk(weights: WeightArrays, model_name: str, channels: int = 3) -> None:
    """Refuse weights that are not those of a network below its head.

    Args:
        weights: With or without a head, of any number of classes.
        model_name: The network's name in the catalogue.
        channels: Channels of the images that the network takes.

    Raises:
        ModelError: no such network.
        WeightsError: trunk arrays are missing, surplus or misshapen; they are
            named, and so are the networks that the file does fit.
    """
    expected = _trunk_shapes(model_name, channels)
    mismatch = compare_shapes(expected, below_head(weights.shapes))
    if not mismatch:
        return
    _check_channels(weights, model_name, channels)
    fits = trunks_that_fit(weights.shapes, channels)
    raise WeightsError(
        f"the weights do not fit the trunk of {model_name}; {mismatch.text()}",
        where=weights.source,
        expected=f"the {len(expected)} variables of {model_name} below its head",
        remedy=f"the file fits {', '.join(fits)}: choose it with --set model.name={fits[0]}"
        if fits
        else "the file fits no model of `harness list models`; check where it comes from",
    )


def _check_channels(weights: WeightArrays, model_name: str, channels: int) -> None:
    """Say so where the channels of the images are all that differs."""
    theirs = input_channels(weights.shapes)
    if not compare_shapes(_trunk_shapes(model_name, theirs), below_head(weights.shapes)):
        raise WeightsError(
            f"the weights are those of {model_name} for images of {theirs} "
            f"channel{'s' if theirs > 1 else ''}",
            where=weights.source,
            expected=f"{channels}, as the recipe's normalisation has",
            remedy="take a recipe and data of such images, or other weights",
        )


def check_input(
    weights: WeightArrays,
    model_name: str,
    normalisation: Normalisation,
    told: Normalisation | None = None,
) -> None:
    """Refuse to feed imported weights with another normalisation than they were trained with.

    Args:
        weights: As read.
        model_name: The network's name in the catalogue.
        normalisation: The recipe's.
        told: What the weights were trained with, as the user states.

    Raises:
        WeightsError: the weights' normalisation is unknown, contradicted by
            `told`, or not the recipe's.
    """
    known = known_normalisation(weights, model_name, told)
    if known is None:
        raise WeightsError(
            "the file does not say how images were normalised",
            where=weights.source,
            expected="--normalisation, because training would begin from features of other input",
            remedy=f"add --normalisation ({', '.join(NORMALISATIONS)}), that of the weights",
        )
    if known != normalisation:
        raise WeightsError(
            f"the recipe feeds {normalisation_name(normalisation)} input",
            where=weights.source,
            expected=f"{normalisation_name(known)}, with which the weights were trained",
            remedy=f"add --set 'normalisation={normalisation_name(known)}', which sets the "
            "protocols' too, or start from weights of the recipe's own normalisation",
        )


def trunks_that_fit(found: Shapes, channels: int = 3) -> tuple[str, ...]:
    """Names of the models in the catalogue that have exactly these variables below the head."""
    trunk = below_head(found)
    return tuple(
        name for name in names() if not compare_shapes(_trunk_shapes(name, channels), trunk)
    )


def below_head(shapes: Shapes) -> Shapes:
    """Shapes by path, without the head's."""
    return {path: shape for path, shape in shapes.items() if not of_head(path)}


def of_head(path: str) -> bool:
    """Whether a variable's path lies in the head."""
    return path.split("/", 1)[0] in HEADS


def _trunk_shapes(model_name: str, channels: int) -> Shapes:
    return below_head({v.path: v.shape for v in table_of(model_name, ANY_CLASSES, channels)})
