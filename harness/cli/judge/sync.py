"""`harness sync`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option, tracking_option


@click.command("sync")
@click.argument("runs", nargs=-1, required=True, type=LocalPath())
@tracking_option
@click.option("--study", help="Name of the parent run. Default: the name of the study's folder.")
@click.option("--every-step", is_flag=True, help="Send every step, not only windows of 100.")
@json_option
def command(
    runs: tuple[Path, ...],
    tracking_uri: str | None,
    study: str | None,
    every_step: bool,
    as_json: bool,
) -> None:
    """Send the journals of RUNS to MLflow.

    A run is found again by its id, so sending twice changes nothing. Use it
    when the tracker was down while a run was going on. Where all runs of a
    study are named and have ended, its verdict and its page are sent as well.
    A trained network is not: `harness export` writes it as a file.
    """
    from harness.analysis.sync import sync

    synced = sync(
        runs,
        tracking_uri=tracking_uri,
        study=study,
        every_step=every_step,
        say=lambda text: click.echo(text, err=True),
    )
    if as_json:
        click.echo(json.dumps([one.document() for one in synced], indent=2))
        return
    for one in synced:
        click.echo(
            f"{one.run}: MLflow run {one.outcome.mlflow_run_id} at {one.outcome.tracking_uri}"
        )
