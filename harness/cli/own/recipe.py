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
    from harness.data.compatibility import check_crop
    from harness.models.catalogue import check_name

    begun = find_recipe(recipe)
    chosen = with_settings(begun_from(begun, name) if name else begun, settings)
    check_name(chosen.model.name)
    check_crop(chosen.augmentation, chosen.normalisation, chosen.model.image_size)
    click.echo(recipe_text(chosen), nl=False)
