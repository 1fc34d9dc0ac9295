"""`harness classify`: names and confidences for image files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.inference.evaluate import requested_protocols
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.recipes.protocol import Normalisation, Protocol
from harness.recipes.recipe import Numerics, Precision
from harness.weights.description import Order
from harness.weights.source import Imported, import_weights

if TYPE_CHECKING:
    from harness.evaluation.single_image import Guess, ImageToClassify


@dataclass(frozen=True)
class ClassifyRequest:
    """One `harness classify`.

    Attributes:
        weights: A file, a checkpoint or run folder, or `imagenet`.
        images: Image files.
        model_name: The network; found out where None.
        normalisation: Of the weights, where the file does not say.
        class_order: Of the weights, where the file does not say.
        protocol: Name of what the network is shown.
        numerics: Threads, oneDNN, op determinism.
    """

    weights: str
    images: tuple[Path, ...]
    model_name: str | None = None
    normalisation: Normalisation | None = None
    class_order: Order | None = None
    protocol: str = "center_crop"
    numerics: Numerics = field(default_factory=Numerics)


@dataclass(frozen=True)
class NamedImage:
    """One picture and what the network calls it, most probable first."""

    picture: "ImageToClassify"
    guesses: "tuple[Guess, ...]"


@dataclass(frozen=True)
class ClassifyReport:
    """What `harness classify` found."""

    imported: Imported
    protocol: Protocol
    named: tuple[NamedImage, ...]

    def document(self) -> dict[str, Any]:
        """As JSON-like data; probabilities are fractions."""
        return {
            "model": self.imported.model_name,
            "weights_sha256": self.imported.weights.sha256,
            "protocol": self.protocol.model_dump(mode="json"),
            "images": [
                {
                    "file": str(one.picture.path),
                    "width": one.picture.width,
                    "height": one.picture.height,
                    "note": one.picture.note,
                    "top5": [
                        {"class": g.index, "name": g.name, "probability": g.probability}
                        for g in one.guesses
                    ],
                }
                for one in self.named
            ],
        }

    def text(self) -> str:
        """A block a picture, for a person."""
        blocks = []
        for one in self.named:
            note = f"  ({one.picture.note})" if one.picture.note else ""
            lines = [f"{one.picture.path}{note}"]
            lines += [f"  {100 * g.probability:6.2f} %  {g.name}" for g in one.guesses]
            blocks.append("\n".join(lines))
        return "\n".join(blocks)


def classify(request: ClassifyRequest) -> ClassifyReport:
    """Name the pictures. All files are checked before the network is built.

    Raises:
        DataError: a file is no usable image.
        WeightsError: the weights cannot be used.
        UsageError: the protocol is unknown.
    """
    set_import_flags(request.numerics)
    imported = import_weights(
        request.weights,
        model_name=request.model_name,
        normalisation=request.normalisation,
        class_order=request.class_order,
    )
    (protocol,) = requested_protocols((request.protocol,), {}, imported)
    precision = imported.recipe.precision if imported.recipe else Precision()
    pin_runtime(resolved(request.numerics), precision)

    from harness.evaluation.class_mapping import class_names, move_head_to_wordnet_order
    from harness.evaluation.single_image import Classifier, check_resized, read_picture

    pictures = [read_picture(path) for path in request.images]
    for picture in pictures:
        check_resized(picture, protocol)
    model = imported.model(precision)
    move_head_to_wordnet_order(model, imported.description)
    classifier = Classifier(
        model,
        protocol,
        class_names(imported.description),
        weights_source=imported.weights.source,
    )
    named = tuple(NamedImage(picture, classifier.classify(picture)) for picture in pictures)
    return ClassifyReport(imported, protocol, named)
