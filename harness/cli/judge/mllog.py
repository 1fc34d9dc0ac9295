"""`harness mllog`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, OutputPath


@click.command("mllog")
@click.argument("run", type=LocalPath())
@click.option(
    "--out",
    required=True,
    type=OutputPath(dir_okay=False),
    help="The log to write.",
)
def command(run: Path, out: Path) -> None:
    """Write RUN as an MLPerf-style log (:::MLLOG), open division.

    Needs the extra `mlperf`. The rules of the closed division that a run of
    this harness cannot meet are printed.
    """
    from harness.analysis.compliance_log import CLOSED_RULES_NOT_MET, RULESET, write_compliance_log

    lines = write_compliance_log(run, out)
    click.echo(f"{out}: {lines} lines, open division, rules {RULESET}")
    click.echo("not met of the closed division:", err=True)
    for rule in CLOSED_RULES_NOT_MET:
        click.echo(f"  {rule}", err=True)
