"""`harness bench input`: how fast the input pipeline is, and how fast it could be."""

from pathlib import Path

import click

from harness.cli.options import LocalPath


@click.command()
@click.option(
    "--data",
    type=LocalPath(exists=True, file_okay=False),
    required=True,
    help="A prepared data set or any folder of JPEG files.",
)
@click.option("--recipe", default="apm5-resnet50", show_default=True, help="Whose input.")
@click.option(
    "--against",
    type=click.Choice(["reference"]),
    help="Measure the reference's way too, in alternation (needs OpenCV).",
)
@click.option("--rounds", type=click.IntRange(1), default=6, show_default=True)
@click.option(
    "--images-per-round", type=click.IntRange(1), default=1_024, show_default=True,
    help="Images of each way in each round.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    data: Path,
    recipe: str,
    against: str | None,
    rounds: int,
    images_per_round: int,
    batch: int,
    as_json: bool,
) -> None:
    """Measure images/s of the whole pipeline, of its stages and of the bare decoder."""
    from harness.bench.machine import MachineWatch
    from harness.cli.speed.bench_output import show
    from harness.numerics.tensorflow_import import import_tensorflow
    from harness.recipes.catalogue import find_recipe

    watch = MachineWatch()
    chosen = find_recipe(recipe)
    import_tensorflow()
    from harness.bench.input import bench_input, render

    result = bench_input(
        data,
        augmentation=chosen.augmentation,
        normalisation=chosen.normalisation,
        protocol=None if chosen.augmentation.padding is None else chosen.epoch_protocol,
        against_reference=against == "reference",
        rounds=rounds,
        images_per_round=images_per_round,
        image_size=chosen.model.image_size,
        batch=batch,
    )
    show(result.as_json, lambda: render(result), watch.machine(), as_json=as_json)
