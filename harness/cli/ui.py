"""`harness ui`."""

import sys
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
@click.option("--no-browser", is_flag=True, help="Only print the address of the page.")
def command(runs: Path, host: str, port: int | None, *, no_browser: bool) -> None:
    """Open MLflow's interface over the runs, on the newest study.

    It listens on this machine only, prints the addresses and opens a browser
    where there is a screen; Ctrl-C stops it.
    """
    from harness.tracking.ui import ui

    ui(
        runs,
        host=host,
        port=port,
        browser=not no_browser and sys.stderr.isatty(),
        say=lambda text: click.echo(text, err=True),
    )
