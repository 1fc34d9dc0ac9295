"""`harness classify`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option, weight_options


@click.command("classify")
@weight_options
@click.argument("images", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--protocol", default="center_crop", show_default=True,
    help="What the network is shown; see `harness list protocols`.",
)  # fmt: skip
@json_option
def command(
    weights: str,
    model: str | None,
    normalisation: str | None,
    class_order: str | None,
    images: tuple[Path, ...],
    protocol: str,
    as_json: bool,
) -> None:
    """Name the five most probable classes of each of IMAGES."""
    from harness.inference.classify import ClassifyRequest, classify
    from harness.recipes.normalisations import find_normalisation

    request = ClassifyRequest(
        weights=weights,
        images=images,
        model_name=model,
        normalisation=find_normalisation(normalisation) if normalisation else None,
        class_order=class_order,  # type: ignore[arg-type]  # click has checked the choice
        protocol=protocol,
    )
    report = classify(request)
    click.echo(json.dumps(report.document(), indent=2) if as_json else report.text())
