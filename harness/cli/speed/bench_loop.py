"""`harness bench loop`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option


@click.command("loop")
@click.option("--recipe", "name", required=True, help="A name of `list recipes`, or a file.")
@click.option(
    "--data",
    type=LocalPath(exists=True, file_okay=False),
    required=True,
    help="The recipe's data set.",
)
@click.option("--rounds", type=click.IntRange(2), default=5, show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps of each part in each round.",
)
@json_option
def command(name: str, data: Path, rounds: int, steps: int, as_json: bool) -> None:
    """Measure a whole training loop beside the bare step, its input and an evaluation."""
    from harness.bench.machine import MachineWatch
    from harness.cli.speed.bench_output import show
    from harness.numerics.pins import pin_runtime, resolved, set_import_flags
    from harness.recipes.catalogue import find_recipe

    watch = MachineWatch()
    recipe = find_recipe(name)
    numerics = resolved(recipe.numerics)
    set_import_flags(numerics)
    pin_runtime(numerics, recipe.precision)
    from harness.bench.loop import bench_loop

    def say(text: str) -> None:
        click.echo(text, err=True)

    result = bench_loop(recipe, data, rounds=rounds, steps=steps, say=say)
    show(result.document, result.text, watch.machine(), as_json=as_json)
