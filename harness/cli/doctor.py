"""`harness doctor`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option, runs_option, tracking_option


@click.command("doctor")
@runs_option
@click.option("--data", type=LocalPath(), help="A data folder to look at as well.")
@tracking_option
@json_option
def command(runs: Path, data: Path | None, tracking_uri: str | None, as_json: bool) -> None:
    """Try everything that a run needs, in seconds, and say what to mend.

    Folders, locks, renames, temporary space, tracker, TensorFlow and its flags, GPUs.
    Exit codes: 0 no fault, 2 something that a run cannot do without.
    """
    from harness.preflight.doctor import diagnose

    found = diagnose(runs, data, tracking_uri)
    click.echo(json.dumps(found.document(), indent=2) if as_json else found.text())
    raise SystemExit(found.exit_code)
