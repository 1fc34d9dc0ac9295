"""`harness evaluate`."""

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    DataFolder,
    OutputPath,
    json_option,
    runs_option,
    weight_options,
)


@click.command("evaluate")
@weight_options
@click.option(
    "--data",
    required=True,
    type=DataFolder(),
    help="A folder made by `harness prepare`, or one with train/<class>/* and val/<class>/*.",
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    default=("center_crop",),
    show_default=True,
    help="Once or more; see `harness list protocols`. Protocols of one geometry share a pass.",
)
@click.option(
    "--short-side",
    type=click.IntRange(min=1),
    multiple=True,
    help="Pixels that the short side is resized to; several for multi_scale.",
)
@click.option("--crop-size", type=click.IntRange(min=1), help="Side of a crop in pixels.")
@click.option("--resize-rule", type=click.Choice(["truncate_float64", "round"]))
@click.option("--interpolation", type=click.Choice(["bilinear", "bicubic"]))
@click.option("--antialias/--no-antialias", default=None)
@click.option("--decoder", type=click.Choice(["jpeg_integer_accurate", "jpeg_integer_fast"]))
@click.option("--average", type=click.Choice(["probabilities", "logits"]))
@click.option("--fold-batch-norm/--no-fold-batch-norm", default=None)
@click.option(
    "--crops-per-batch", type=click.IntRange(min=1), default=64, show_default=True,
    help="Crops that go through the network at once.",
)  # fmt: skip
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Evaluate N images, a fixed random draw of all classes.",
)
@click.option(
    "--out",
    type=OutputPath(file_okay=False),
    help="Folder for predictions and evaluation.json. Default: one in RUNS/evaluations "
    "for these weights, data and settings.",
)
@runs_option
@json_option
def command(
    weights: str,
    model: str | None,
    normalisation: str | None,
    class_order: str | None,
    data: Path,
    protocols: tuple[str, ...],
    crops_per_batch: int,
    limit: int | None,
    out: Path | None,
    runs: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Evaluate weights from any supported format, and keep every image's prediction.

    Exit codes: 0 done, whatever the accuracy; 2 wrong input.
    """
    from harness.inference.evaluate import EvaluationRequest, evaluate_weights
    from harness.progress import Progress
    from harness.recipes.normalisations import find_normalisation

    request = EvaluationRequest(
        weights=weights,
        model_name=model,
        normalisation=find_normalisation(normalisation) if normalisation else None,
        class_order=class_order,  # type: ignore[arg-type]  # click has checked the choice
        data=data,
        protocols=protocols,
        settings=protocol_settings(settings),
        runs=runs,
        out=out,
        crops_per_batch=crops_per_batch,
        limit=limit,
    )
    with Progress() as progress:
        report = evaluate_weights(request, progress)
    click.echo(json.dumps(report.document(), indent=2) if as_json else report.text())


def protocol_settings(options: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Options that were given, as fields of a protocol."""
    renamed = {("short_sides" if k == "short_side" else k): v for k, v in options.items()}
    return tuple((k, v) for k, v in renamed.items() if v not in (None, ()))
