"""`harness bench scaling`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option


@click.command("scaling")
@click.option(
    "--recipe", "name", default="apm5-resnet50", show_default=True, help="What to plan and time."
)
@click.option(
    "--data",
    type=LocalPath(),
    help="Time --workers here on this data; the plan is then made for --on alone.",
)
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
@click.option(
    "--on",
    "hardware",
    multiple=True,
    help="Names of baseline rows with one device. Default: all of the recipe's network.",
)
@click.option(
    "--up-to",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    help="Devices in the plan.",
)
@click.option(
    "--network-gbit",
    type=click.FloatRange(min=0.1),
    default=100.0,
    show_default=True,
    help="Between hosts, each way.",
)
@click.option("--network-latency-us", type=click.FloatRange(min=0), default=20.0, show_default=True)
@click.option(
    "--link-latency-us",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Between devices of a host.",
)
@click.option(
    "--input-images-per-s",
    type=click.FloatRange(min=1),
    help="What one host decodes, as `harness bench input` measures.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=1_281_167,
    show_default=True,
    help="Training images, for the days.",
)
@json_option
def command(
    name: str,
    data: Path | None,
    workers: int,
    batch: int,
    image_size: int | None,
    warm_up: int,
    steps: int,
    hardware: tuple[str, ...],
    up_to: int,
    network_gbit: float,
    network_latency_us: float,
    link_latency_us: float,
    input_images_per_s: float | None,
    images: int,
    as_json: bool,
) -> None:
    """Time several workers on this machine, and plan for published hardware.

    A batch with a star is larger than the recipe's: another recipe, whose
    accuracy the source does not promise.
    """
    from harness.bench.scaling.measurement import at_image_size, measure_scaling, plan_scaling
    from harness.bench.scaling.plan import Check, Network, Plan, document
    from harness.measure.scaling import Link
    from harness.recipes.catalogue import find_recipe

    recipe = find_recipe(name)
    network = Network(
        between=Link(network_latency_us * 1e-6, network_gbit * 1e9 / 8),
        latency_s=link_latency_us * 1e-6,
        input_images_per_s=input_images_per_s,
    )
    plans: tuple[Plan, ...] = ()
    checks: tuple[Check, ...] = ()
    if data is None or hardware:
        plans, checks = plan_scaling(recipe, network, hardware=hardware, images=images, up_to=up_to)
    measured = data and measure_scaling(
        at_image_size(recipe, image_size) if image_size else recipe,
        data,
        workers=workers,
        batch=batch,
        warm_up=warm_up,
        steps=steps,
    )
    if as_json:
        extra = {"measured": measured.document()} if measured else {}
        click.echo(json.dumps({**document(plans, checks), **extra}, indent=2))
        return
    blocks = [measured.text()] if measured else []
    blocks += [plan.text() for plan in plans]
    lines = [
        f"check: {check.row}: published {check.published_images_per_s:,.0f}, "
        f"model {check.predicted_images_per_s:,.0f} images/s ({100 * check.error:+.1f} %)"
        for check in checks
    ]
    click.echo("\n\n".join([*blocks, *(["\n".join(lines)] if lines else [])]))
