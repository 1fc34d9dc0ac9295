"""`harness excerpt`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, OutputPath


@click.command("excerpt")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--out",
    required=True,
    type=OutputPath(file_okay=False),
    help="The folder for the copies: OUT/STUDY/SEED for each run.",
)
@click.option(
    "--steps",
    default=3,
    show_default=True,
    type=click.IntRange(min=1, max=99),
    help="Steps to keep of each window of up to 100, from its end.",
)
def command(runs: tuple[Path, ...], out: Path, steps: int) -> None:
    """Make small copies of finished runs, to publish where whole journals are too large.

    An excerpt keeps a few steps of each window of 100, every evaluation, the
    prediction files that decide, recipe, environment and certificate; its journal
    is compressed and names the sha256 of the whole one. `verdict`, `report`,
    `bundle` and `verify` take it as they take a run and say that it is an excerpt;
    `certify`, `sync` and going on need the whole run.
    """
    from harness.analysis.excerpt import write_excerpt
    from harness.record.run_folder import find_runs

    for run in find_runs(runs):
        written = write_excerpt(run, out / run.parent.name / run.name, steps)
        click.echo(f"{written}: {written.stat().st_size:,} bytes")
