"""`harness list`."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from harness.cli.options import json_option, runs_option

WHAT = ("recipes", "models", "targets", "baselines", "protocols", "runs")


@click.command("list")
@click.argument("what", type=click.Choice(WHAT))
@click.option(
    "--classes", type=click.IntRange(min=2), default=1_000, show_default=True,
    help="Number of classes that the models' parameters are counted for.",
)  # fmt: skip
@click.option(
    "--channels", type=click.Choice(["1", "3"]), default="3", show_default=True,
    help="Channels of the images that they are counted for.",
)  # fmt: skip
@click.option("--protocol", help="Only baselines of this protocol, such as ten_crop.")
@runs_option
@json_option
def command(
    what: str, classes: int, channels: str, protocol: str | None, runs: Path, as_json: bool
) -> None:
    """Print what there is: recipes, models, targets, baselines, protocols or runs."""
    from harness.analysis.inventory import (
        Inventory,
        list_baselines,
        list_models,
        list_protocols,
        list_recipes,
        list_runs,
        list_targets,
    )

    tables: dict[str, Callable[[], Inventory]] = {
        "recipes": list_recipes,
        "models": partial(list_models, classes, int(channels)),
        "targets": list_targets,
        "baselines": partial(list_baselines, protocol),
        "protocols": list_protocols,
        "runs": partial(list_runs, runs),
    }
    found = tables[what]()
    click.echo(json.dumps(found.document, indent=2) if as_json else found.text())
