"""What weights need besides numbers: input normalisation, class order, number of classes."""

from typing import Literal

from pydantic import Field, ValidationError

from harness.errors import WeightsError
from harness.models.catalogue import HEADS, describe
from harness.models.weight_files import WeightArrays
from harness.recipes.normalisations import NORMALISATIONS, normalisation_name
from harness.recipes.protocol import Normalisation
from harness.recipes.values import Frozen

Order = Literal["wordnet", "devkit", "folder"]
IMAGENET_CLASSES = 1_000


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
        normalisation: As told by the user.
        class_order: As told by the user.

    Raises:
        WeightsError: something is missing or contradicts the file.
    """
    classes = _classes(weights, model_name)
    known = _own_description(weights)
    if known is not None:
        _check_told(weights, known, normalisation, class_order)
    else:
        known = _completed(weights, model_name, classes, normalisation, class_order)
    if known.classes != classes or (known.class_names and len(known.class_names) != classes):
        raise WeightsError(
            f"the file has {classes} classes and its description says {known.classes}",
            where=weights.source,
            expected="a description that fits the last layer",
            remedy="export the weights again",
        )
    return known


def known_normalisation(weights: WeightArrays, model_name: str) -> Normalisation | None:
    """The input normalisation that a file states or its source implies; None when unknown.

    Raises:
        WeightsError: the file's own description is malformed.
    """
    own = _own_description(weights)
    if own is not None:
        return own.normalisation
    heads = [weights.arrays.get(f"{head}/kernel") for head in HEADS]
    classes = next((kernel.shape[-1] for kernel in heads if kernel is not None), 0)
    return _implied(weights, model_name, classes)[0]


def _classes(weights: WeightArrays, model_name: str) -> int:
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


def _check_told(
    weights: WeightArrays,
    known: WeightsDescription,
    normalisation: Normalisation | None,
    class_order: Order | None,
) -> None:
    told = {"normalisation": normalisation, "class_order": class_order}
    for field, value in told.items():
        if value is not None and value != getattr(known, field):
            raise WeightsError(
                f"the option for {field} contradicts the description in the file",
                where=weights.source,
                expected=_readable(getattr(known, field)),
                remedy="leave the option out",
            )


def _completed(
    weights: WeightArrays,
    model_name: str,
    classes: int,
    normalisation: Normalisation | None,
    class_order: Order | None,
) -> WeightsDescription:
    implied_normalisation, implied_order = _implied(weights, model_name, classes)
    normalisation = normalisation or implied_normalisation
    class_order = class_order or implied_order
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
    if class_order != "folder" and classes != IMAGENET_CLASSES:
        raise WeightsError(
            f"the file has {classes} classes, the {class_order} order has {IMAGENET_CLASSES}",
            where=weights.source,
            expected="--class-order folder for classes of your own",
            remedy="add it, or check that this is the file you meant",
        )
    return WeightsDescription(normalisation=normalisation, class_order=class_order, classes=classes)


def _implied(
    weights: WeightArrays, model_name: str, classes: int
) -> tuple[Normalisation | None, Order | None]:
    if weights.format == "keras_download":
        return NORMALISATIONS["tf" if model_name.endswith("v2") else "caffe"], "wordnet"
    if (
        weights.format == "legacy_h5"
        and model_name.startswith("apm5-")
        and classes == IMAGENET_CLASSES
    ):
        return NORMALISATIONS["apm5"], "devkit"
    return None, None


def _readable(value: Normalisation | str) -> str:
    return normalisation_name(value) if isinstance(value, Normalisation) else value
