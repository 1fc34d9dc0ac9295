"""`harness plan`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option


@click.command("plan")
@click.argument("recipe")
@click.option(
    "--seeds", type=click.IntRange(min=1), required=True, help="How many seeds would be run."
)
@click.option(
    "--images-per-s", type=click.FloatRange(min=0, min_open=True), help="A known training rate."
)
@click.option(
    "--measured",
    type=LocalPath(),
    help="A run of the same network and batch, whose rate is taken. Without a rate: published "
    "ones for the network.",
)
@click.option(
    "--train-images", type=click.IntRange(min=1), help="Default: those of the recipe's target."
)
@click.option(
    "--target",
    metavar="NAME|FILE",
    help="One target, by name (`harness list targets`), by its file's in baselines/ (smoke) or as "
    "a TOML file. Default: every one of the recipe.",
)
@json_option
def command(
    recipe: str,
    seeds: int,
    images_per_s: float | None,
    measured: Path | None,
    train_images: int | None,
    target: str | None,
    as_json: bool,
) -> None:
    """Say what a study of RECIPE could answer, and its hours, before it is run.

    With several targets each has its table; --json then prints a list.
    """
    import json

    from harness.analysis.plan import plan
    from harness.verdict.planning import plan_text

    found = plan(
        recipe,
        seeds,
        images_per_s=images_per_s,
        measured=measured,
        train_images=train_images,
        target=target,
    )
    documents = [one.model_dump(mode="json") for one in found]
    document = documents[0] if len(documents) == 1 else documents
    click.echo(json.dumps(document, indent=2) if as_json else plan_text(found))
