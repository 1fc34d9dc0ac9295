"""`harness recipe`."""

import click

from harness.recipes.catalogue import find_recipe
from harness.recipes.own import begun_from
from harness.recipes.settings import with_settings
from harness.recipes.toml_text import recipe_text


@click.group("recipe")
def command() -> None:
    """Print a recipe as a file that can be changed and run."""


@command.command("show")
@click.argument("recipe", metavar="NAME|FILE")
@click.option("--name", help="A name of its own, which a changed recipe needs.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As for `harness run`.")
def show(recipe: str, name: str | None, settings: tuple[str, ...]) -> None:
    """Print a recipe as TOML, every field with what it takes.

    Examples: `harness recipe show he2015-resnet50 --name mine > mine.toml`, then edit it and
    `harness run mine.toml --data DIR --seed 1`; `harness recipe show mine.toml` checks it.
    """
    begun = find_recipe(recipe)
    chosen = with_settings(begun_from(begun, name) if name else begun, settings)
    click.echo(recipe_text(chosen), nl=False)
