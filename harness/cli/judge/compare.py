"""`harness compare`."""

import json
from pathlib import Path

import click

from harness.cli.options import LocalPath, OutputPath, json_option


@click.command("compare")
@click.argument("first", type=LocalPath())
@click.argument("second", type=LocalPath())
@click.option("--protocol", help="Evaluation of the runs to compare. Default: one both have.")
@click.option(
    "--out",
    type=OutputPath(dir_okay=False),
    help="Write a page of all differences as HTML.",
)
@click.option("--markdown", type=OutputPath(dir_okay=False), help="The same as Markdown.")
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

    McNemar test (mid-p), accuracy difference with interval, churn, and what
    changed most. It compares two trained networks, not two recipes. The page
    of two runs also shows what differs in recipe, curves, speed, data and
    environment; it is written as well where the networks cannot be compared,
    with the reason. Exit codes: 0 compared, whatever the difference, or the
    page was written; 2 wrong input.
    """
    from harness.analysis.compare import class_names, compare, differences
    from harness.analysis.report import write_pages
    from harness.verdict.paired import comparison_text

    if out or markdown:
        found = differences(first, second, protocol=protocol)
        write_pages(found.page, out, markdown)
        click.echo(", ".join(str(page) for page in (out, markdown) if page), err=True)
        click.echo(json.dumps(found.document(), indent=2) if as_json else found.text())
        return
    paired = compare(first, second, protocol=protocol)
    text = comparison_text(paired, class_names(first))
    click.echo(paired.model_dump_json(indent=2) if as_json else text)
