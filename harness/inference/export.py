"""`harness export`: weights of any supported origin as a file for others, described inside."""

from dataclasses import dataclass
from pathlib import Path

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

    def text(self) -> str:
        """One line for a person."""
        known = self.description
        return (
            f"{self.path}: {self.model_name}, {known.classes} classes in {known.class_order} "
            f"order, input {normalisation_name(known.normalisation)}"
        )


def export(
    source: str,
    out: Path,
    *,
    model_name: str | None = None,
    normalisation: Normalisation | None = None,
    class_order: Order | None = None,
) -> Exported:
    """Convert weights; classes keep their order, which the file's description names.

    Args:
        source: A weight file, a checkpoint or run folder, or `imagenet`.
        out: `NAME.weights.h5` for Keras 3, `NAME.h5` for legacy Keras.
        model_name: The network; found out where None.
        normalisation: Of the weights, where the file does not say.
        class_order: Of the weights, where the file does not say.

    Raises:
        WeightsError: the weights cannot be used, or the suffix is no format.
    """
    imported = import_weights(
        source, model_name=model_name, normalisation=normalisation, class_order=class_order
    )
    import_tensorflow()  # quietly; Keras would import it with all that it says
    from harness.weights.export import check_suffix, export_weights

    check_suffix(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    export_weights(imported.model(), imported.model_name, imported.description, out)
    return Exported(out, imported.model_name, imported.description)
