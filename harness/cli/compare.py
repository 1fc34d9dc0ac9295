"""`harness compare`."""

from pathlib import Path

import click

from harness.cli.options import json_option


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--protocol", help="Evaluation of the runs to compare. Default: one both have.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page of all differences as HTML.",
)
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="The same as Markdown."
)
@json_option
def command(
    first: Path,
    second: Path,
    protocol: str | None,
    out: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> None:
    """Compare FIRST and SECOND, two runs or two prediction files, image by image.

    Exact McNemar test, accuracy difference with interval, churn, and what
    changed most. It compares two trained networks, not two recipes. The page
    of two runs also shows what differs in recipe, curves, speed, data and
    environment. Exit codes: 0 compared, whatever the difference; 2 wrong input.
    """
    from harness.verdict.paired import comparison_text
    from harness.workflows.compare import compare, difference_page
    from harness.workflows.report import write_pages

    if out or markdown:
        write_pages(difference_page(first, second, protocol=protocol), out, markdown)
        click.echo(", ".join(str(page) for page in (out, markdown) if page), err=True)
    found = compare(first, second, protocol=protocol)
    click.echo(found.model_dump_json(indent=2) if as_json else comparison_text(found))
