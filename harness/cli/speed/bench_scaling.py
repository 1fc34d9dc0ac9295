"""`harness bench scaling`."""

from pathlib import Path

import click

from harness.cli.options import DataFolder, json_option


@click.command("scaling")
@click.option("--recipe", "name", default="apm5-resnet50", show_default=True, help="What to time.")
@click.option("--data", type=DataFolder(), required=True, help="The data set to train on.")
@click.option("--workers", type=click.IntRange(min=2), default=2, show_default=True)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Images of a worker's step.",
)
@click.option(
    "--image-size",
    type=click.IntRange(min=8),
    help="Pixels of the images that are timed. Default: the recipe's.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Steps before timing.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Steps that are timed.",
)
@json_option
def command(
    name: str,
    data: Path,
    workers: int,
    batch: int,
    image_size: int | None,
    warm_up: int,
    steps: int,
    as_json: bool,
) -> None:
    """Time several workers of one job on this machine beside as many independent processes."""
    from harness.bench.machine import MachineWatch
    from harness.bench.scaling.measurement import at_image_size, measure_scaling
    from harness.cli.speed.bench_output import show
    from harness.recipes.catalogue import find_recipe

    watch = MachineWatch()
    recipe = find_recipe(name)
    measured = measure_scaling(
        at_image_size(recipe, image_size) if image_size else recipe,
        data,
        workers=workers,
        batch=batch,
        warm_up=warm_up,
        steps=steps,
    )
    show(measured.document, measured.text, watch.machine(), as_json=as_json)
