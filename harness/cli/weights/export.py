"""`harness export`."""

from pathlib import Path

import click

from harness.cli.options import OutputPath, weight_options


@click.command("export")
@weight_options
@click.option(
    "--out",
    required=True,
    type=OutputPath(dir_okay=False),
    help="NAME.weights.h5 for Keras 3, NAME.h5 for legacy Keras (the reference's format).",
)
def command(
    weights: str,
    model: str | None,
    normalisation: str | None,
    class_order: str | None,
    out: Path,
) -> None:
    """Write weights of any supported origin as a file that other programs read.

    Normalisation, class order and class count are kept inside the file.
    """
    from harness.inference.export import export
    from harness.recipes.normalisations import find_normalisation

    exported = export(
        weights,
        out,
        model_name=model,
        normalisation=find_normalisation(normalisation) if normalisation else None,
        class_order=class_order,  # type: ignore[arg-type]  # click has checked the choice
    )
    click.echo(exported.text())
