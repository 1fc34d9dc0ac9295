"""`harness export`."""

from pathlib import Path
from typing import Literal

import click

from harness.cli.options import OutputPath, weight_options


@click.command("export")
@weight_options
@click.option(
    "--out",
    required=True,
    type=OutputPath(dir_okay=False),
    help="NAME.keras for a whole network; NAME.weights.h5 for Keras 3, NAME.h5 for legacy Keras "
    "(the reference's format); a folder for a SavedModel.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["weights", "keras", "saved-model"]),
    help="What is written. Default: by the suffix of --out.",
)
def command(
    weights: str,
    model: str | None,
    normalisation: str | None,
    class_order: str | None,
    out: Path,
    kind: Literal["weights", "keras", "saved-model"] | None,
) -> None:
    """Write weights of any supported origin as a file that other programs read.

    A whole network (keras, saved-model) takes pixels from 0 to 255, normalises
    them itself, gives probabilities and has its class names in a file beside it:
    plain Keras or TensorFlow opens it. Of weights alone, normalisation, class
    order and class count are kept inside the file.
    """
    from harness.inference.export import export
    from harness.recipes.normalisations import find_normalisation

    exported = export(
        weights,
        out,
        model_name=model,
        normalisation=find_normalisation(normalisation) if normalisation else None,
        class_order=class_order,  # type: ignore[arg-type]  # click has checked the choice
        kind=kind,
    )
    click.echo(exported.text())
