"""`harness doctor`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option, runs_option, tracking_option
from harness.recipes.catalogue import find_recipe


@click.command("doctor")
@runs_option
@click.option(
    "--recipe",
    default="apm5-resnet50",
    show_default=True,
    help="The main job, whose step is timed and whose hours are estimated.",
)
@click.option("--data", type=LocalPath(), help="A data folder to look at as well.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=100.0,
    show_default=True,
    help="Seconds for all that TensorFlow is asked; more on a slow or busy machine.",
)
@tracking_option
@json_option
def command(
    runs: Path,
    recipe: str,
    data: Path | None,
    patience: float,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Look at this machine: what it has, what the main job will do with it, what is wrong.

    Packages, driver, CUDA, cuDNN, cards, cores and memory as granted, disk, locks
    and renames of the runs folder, temporary files, MLflow; a real step on each device, two steps
    repeated and compared bit for bit, the host's share of a step and its input.
    Takes less than two minutes. A bug report should hold the output of --json.
    Exit codes: 0 all well, or slow; 2 something is wrong.
    """
    from harness.doctor.lines import Line
    from harness.doctor.run import Request, diagnose

    def told(line: Line) -> None:
        click.echo(line.text(), err=as_json)

    found = diagnose(Request(find_recipe(recipe), runs, data, tracking_uri, patience), told)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2, default=str))
    else:
        click.echo(found.summary())
    raise SystemExit(found.exit_code)
