"""`harness compare`."""

from pathlib import Path

import click

from harness.cli.options import json_option


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--protocol", help="Evaluation of the runs to compare. Default: one both have.")
@json_option
def command(first: Path, second: Path, protocol: str | None, as_json: bool) -> None:
    """Compare FIRST and SECOND, two runs or two prediction files, image by image.

    Exact McNemar test, accuracy difference with interval, churn, and what
    changed most. It compares two trained networks, not two recipes. Exit
    codes: 0 compared, whatever the difference; 2 wrong input.
    """
    from harness.verdict.paired import comparison_text
    from harness.workflows.compare import compare

    found = compare(first, second, protocol=protocol)
    click.echo(found.model_dump_json(indent=2) if as_json else comparison_text(found))
