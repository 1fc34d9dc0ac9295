"""`harness bundle`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, OutputPath, json_option


@click.command("bundle")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--out",
    required=True,
    type=OutputPath(dir_okay=False),
    help="The bundle to write, a tar file.",
)
@click.option("--weights", is_flag=True, help="Pack the arrays of each run's last checkpoint.")
@json_option
def command(runs: tuple[Path, ...], out: Path, weights: bool, as_json: bool) -> None:
    """Pack RUN... into one file that `harness verify` can check anywhere.

    It holds journals, recipes, environments, predictions, certificates,
    checkpoint digests and the baselines, and every number computed from them.
    """
    from harness.analysis.bundle import bundle

    done = bundle(runs, out, weights=weights)
    if as_json:
        click.echo(json.dumps(done.document(), indent=2))
    else:
        click.echo(f"{done.path}: {done.members} members, {done.bytes:,} bytes")
        click.echo(f"sha256 {done.sha256}")
    for run in done.without_weights:
        click.echo(f"{run}: no arrays packed, its last checkpoint is not kept", err=True)
