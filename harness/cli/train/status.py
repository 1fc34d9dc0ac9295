"""`harness status`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, json_option


@click.command("status")
@click.argument("study", type=LocalPath())
@json_option
def command(study: Path, as_json: bool) -> None:
    """Show state, progress, rate and time left of each seed of STUDY.

    STUDY is a study's folder such as runs/smoke-1a2b3c4d.
    """
    from harness.study.status import study_status

    status = study_status(study)
    click.echo(json.dumps(status.document(), indent=2) if as_json else status.text())
