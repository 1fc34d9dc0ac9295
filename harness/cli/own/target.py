"""`harness target`."""

from pathlib import Path

import click

from harness.cli.options import DataFolder, runs_option
from harness.recipes.catalogue import find_recipe


@click.group("target")
def command() -> None:
    """Write the file of a target of one's own."""


@command.command("new")
@click.option("--recipe", required=True, metavar="NAME|FILE", help="Whose runs are judged.")
@click.option("--name", required=True, help="Of the target, such as my-result.")
@click.option(
    "--kind",
    type=click.Choice(["published", "threshold"]),
    default="published",
    show_default=True,
    help="A published accuracy with its spread, or one that each seed must reach.",
)
@click.option("--protocol", help="One of the recipe's. Default: its last.")
@click.option(
    "--data",
    type=DataFolder(),
    help="A prepared data set or a folder of images: the target is bound to it, to the byte.",
)
@runs_option
def new(
    recipe: str, name: str, kind: str, protocol: str | None, data: Path | None, runs: Path
) -> None:
    """Print a target as TOML with a comment at each field.

    Fields that only you know are empty, and a file with an empty one is refused with
    its name. Example: `harness target new --recipe mine.toml --name my-result > target.toml`,
    fill it in, then `harness run mine.toml --data DIR --seed 1 --target target.toml`.
    """
    from harness.baselines.template import target_text

    identity = None
    if data is not None:
        from harness.data.opening import open_dataset

        identity = open_dataset(data, manifests=runs / "datasets").identity
    click.echo(target_text(find_recipe(recipe), name, kind, protocol, identity), nl=False)
