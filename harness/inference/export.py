"""`harness export`: weights of any supported origin as a file for others, described inside."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.numerics.tensorflow_import import import_tensorflow
from harness.recipes.normalisations import normalisation_name
from harness.recipes.protocol import Normalisation
from harness.weights.description import Order, WeightsDescription
from harness.weights.source import import_weights


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    model_name: str
    description: WeightsDescription
    classes: Path | None = None

    def text(self) -> str:
        """One line for a person, and one for the class names where they are a file."""
        known = self.description
        written = (
            f"{self.path}: {self.model_name}, {known.classes} classes in {known.class_order} "
            f"order, input {normalisation_name(known.normalisation)}"
        )
        if self.classes is None:
            return written
        return f"{written} inside the network\n{self.classes}: class names, input and output"


def export(
    source: str,
    out: Path,
    *,
    model_name: str | None = None,
    normalisation: Normalisation | None = None,
    class_order: Order | None = None,
    kind: Literal["weights", "keras", "saved-model"] | None = None,
) -> Exported:
    """Convert weights; classes keep their order, which the file's description names.

    Args:
        source: A weight file, a checkpoint or run folder, or `imagenet`.
        out: `NAME.weights.h5` for Keras 3, `NAME.h5` for legacy Keras; `NAME.keras`, or the
            folder of a SavedModel, for a whole network.
        model_name: The network; found out where None.
        normalisation: Of the weights, where the file does not say.
        class_order: Of the weights, where the file does not say.
        kind: What is written; None says the suffix of `out`.

    Raises:
        WeightsError: the weights cannot be used, or the suffix is no format.
    """
    imported = import_weights(
        source, model_name=model_name, normalisation=normalisation, class_order=class_order
    )
    import_tensorflow()  # quietly; Keras would import it with all that it says
    from harness.evaluation.class_mapping import names_as_stored
    from harness.weights.export import check_suffix, export_network, export_weights

    known, name = imported.description, imported.model_name
    kind = kind or ("keras" if out.suffix == ".keras" else "weights")
    if kind == "weights":
        check_suffix(out)
    elif kind == "keras" and out.suffix != ".keras":
        out = out.with_name(f"{out.name}.keras")
    out.parent.mkdir(parents=True, exist_ok=True)
    if kind == "weights":
        export_weights(imported.model(), name, known, out)
        return Exported(out, name, known)
    beside = export_network(imported.model(), known, names_as_stored(known), out, kind)
    return Exported(out, name, known, beside)
