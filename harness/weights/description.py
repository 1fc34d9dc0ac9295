"""What weights need besides numbers: input normalisation, class order, number of classes."""

from typing import Literal

from pydantic import Field, ValidationError

from harness.errors import WeightsError
from harness.frozen import Frozen
from harness.models.catalogue import HEADS, describe
from harness.recipes.imagenet import CLASSES
from harness.recipes.normalisations import NORMALISATIONS, normalisation_name
from harness.recipes.protocol import Normalisation
from harness.weights.files import WeightArrays
from harness.weights.matching import input_channels

Order = Literal["wordnet", "devkit", "folder"]

_Feeding = tuple[Normalisation | None, Order | None]
"""Input normalisation and class order, each None where unknown."""

_BY_FILE = "the description in the file"
_BY_SOURCE = "what the file's source implies"


class WeightsDescription(Frozen):
    """How to feed a network and read its answers.

    `class_order` folder means classes of a data set of the user's, in the order
    of `class_names`.
    """

    normalisation: Normalisation
    class_order: Order
    classes: int = Field(ge=2)
    class_names: tuple[str, ...] = ()


def describe_weights(
    weights: WeightArrays,
    model_name: str,
    *,
    normalisation: Normalisation | None = None,
    class_order: Order | None = None,
) -> WeightsDescription:
    """Settle what is known of a weight file.

    What the file says itself comes first; then what the source implies (the
    reference's legacy files have its normalisation and the development kit's
    order, Keras' own downloads theirs and WordNet order); anything else must
    be told.

    Args:
        weights: As read.
        model_name: The network they are meant for.
        normalisation: As the user states.
        class_order: As the user states.

    Raises:
        WeightsError: something is missing, or contradicts the file or its source.
    """
    classes = class_count(weights, model_name)
    known = _own_description(weights)
    if known is not None:
        told = (normalisation, class_order)
        _check_told(weights, told, (known.normalisation, known.class_order), _BY_FILE)
    else:
        known = _completed(weights, model_name, classes, normalisation, class_order)
    if known.classes != classes or (known.class_names and len(known.class_names) != classes):
        raise WeightsError(
            f"the file has {classes} classes and its description says {known.classes}",
            where=weights.source,
            expected="a description that fits the last layer",
            remedy="export the weights again",
        )
    _check_channels(weights, known.normalisation)
    return known


def _check_channels(weights: WeightArrays, normalisation: Normalisation) -> None:
    channels = input_channels(weights.shapes)
    if normalisation.channel_count != channels:
        raise WeightsError(
            f"the weights take images of {channels} channel{'s' if channels > 1 else ''}, "
            f"the normalisation {normalisation_name(normalisation)} makes "
            f"{normalisation.channel_count}",
            where=weights.source,
            expected="a normalisation of as many channels as the first layer has",
            remedy="name the normalisation that the weights were trained with",
        )


def known_normalisation(
    weights: WeightArrays, model_name: str, told: Normalisation | None = None
) -> Normalisation | None:
    """The input normalisation that a file states, its source implies, or the user states.

    Args:
        weights: As read, with or without a head.
        model_name: The network they are meant for.
        told: By the user.

    Returns:
        None if unspecified.

    Raises:
        WeightsError: the file's own description is malformed, or was contradicted.
    """
    own = _own_description(weights)
    known: Normalisation | None
    if own is not None:
        known, by = own.normalisation, _BY_FILE
    else:
        heads = [weights.arrays.get(f"{head}/kernel") for head in HEADS]
        classes = next((kernel.shape[-1] for kernel in heads if kernel is not None), 0)
        known, by = _implied(weights, model_name, classes)[0], _BY_SOURCE
    _check_told(weights, (told, None), (known, None), by)
    return known or told


def class_count(weights: WeightArrays, model_name: str) -> int:
    """Number of classes of a file's last layer.

    Args:
        weights: As read.
        model_name: The network they are meant for, which must exist.

    Raises:
        ModelError: no such network.
        WeightsError: the file has no classifier.
    """
    describe(model_name)
    for head in HEADS:
        kernel = weights.arrays.get(f"{head}/kernel")
        if kernel is not None and kernel.ndim == 2:
            return int(kernel.shape[1])
    raise WeightsError(
        "the file has no classifier, so the number of classes is unknown",
        where=weights.source,
        expected=f"an array {' or '.join(f'{head}/kernel' for head in HEADS)}",
        remedy="take the file with the top layer; for a new head see `harness run --init`",
    )


def _own_description(weights: WeightArrays) -> WeightsDescription | None:
    if weights.description is None:
        return None
    try:
        return WeightsDescription.model_validate_json(weights.description)
    except ValidationError as error:
        raise WeightsError(
            f"the description in the file is malformed: {error.errors()[0]['msg']}",
            where=weights.source,
            expected="normalisation, class_order and classes",
            remedy="export the weights again",
        ) from error


def _check_told(weights: WeightArrays, told: _Feeding, known: _Feeding, by: str) -> None:
    """Refuse what the user states where it differs from what is known; None is neither."""
    for field, value, fact in zip(("normalisation", "class_order"), told, known, strict=True):
        if value is not None and fact is not None and value != fact:
            raise WeightsError(
                f"the option for {field} contradicts {by}",
                where=weights.source,
                expected=_readable(fact),
                remedy="leave the option out",
            )


def _completed(
    weights: WeightArrays,
    model_name: str,
    classes: int,
    normalisation: Normalisation | None,
    class_order: Order | None,
) -> WeightsDescription:
    implied = _implied(weights, model_name, classes)
    _check_told(weights, (normalisation, class_order), implied, _BY_SOURCE)
    normalisation = normalisation or implied[0]
    class_order = class_order or implied[1]
    if normalisation is None or class_order is None:
        missing = [
            *(["--normalisation"] if normalisation is None else []),
            *(["--class-order"] if class_order is None else []),
        ]
        raise WeightsError(
            "the file does not say how images were normalised or how classes are ordered",
            where=weights.source,
            expected=f"{' and '.join(missing)}, because the wrong ones score about 0 %",
            remedy=f"add --normalisation ({', '.join(NORMALISATIONS)}) and "
            "--class-order (wordnet: Keras, TFDS, torchvision; devkit: the reference; "
            "folder: your own sorted class folders)",
        )
    if class_order != "folder" and classes != CLASSES:
        raise WeightsError(
            f"the file has {classes} classes, the {class_order} order has {CLASSES}",
            where=weights.source,
            expected="--class-order folder for classes of your own",
            remedy="add it, or check that this is the file you meant",
        )
    return WeightsDescription(normalisation=normalisation, class_order=class_order, classes=classes)


def _implied(weights: WeightArrays, model_name: str, classes: int) -> _Feeding:
    if weights.format == "keras_download":
        return NORMALISATIONS["tf" if model_name.endswith("v2") else "caffe"], "wordnet"
    if weights.format == "legacy_h5" and model_name.startswith("apm5-") and classes == CLASSES:
        return NORMALISATIONS["apm5"], "devkit"
    return None, None


def _readable(value: Normalisation | str) -> str:
    return normalisation_name(value) if isinstance(value, Normalisation) else value
