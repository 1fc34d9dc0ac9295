"""`harness ui`."""

from pathlib import Path

import click

from harness.cli.options import runs_option


@click.command("ui")
@runs_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Another one opens MLflow to whoever reaches it.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: a free one."
)
def command(runs: Path, host: str, port: int | None) -> None:
    """Open MLflow's interface over the runs.

    It listens on this machine only and prints its address; Ctrl-C stops it.
    """
    from harness.tracking.ui import ui

    ui(runs, host=host, port=port, say=lambda text: click.echo(text, err=True))
