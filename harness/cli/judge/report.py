"""`harness report`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, OutputPath, target_option, tracking_option


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=LocalPath())
@click.option(
    "--out",
    required=True,
    type=OutputPath(dir_okay=False),
    help="The HTML page to write.",
)
@click.option("--markdown", type=OutputPath(dir_okay=False), help="Markdown to write as well.")
@target_option
@click.option(
    "--data",
    type=LocalPath(file_okay=False),
    help="The runs' data folder, to show pictures of wrongly classified images.",
)
@click.option(
    "--contact-sheet",
    type=LocalPath(dir_okay=False),
    help="A PNG or JPEG of augmented training images to show.",
)
@tracking_option
def command(
    runs: tuple[Path, ...],
    out: Path,
    markdown: Path | None,
    target: str | None,
    data: Path | None,
    contact_sheet: Path | None,
    tracking_uri: str | None,
) -> None:
    """Write one self-contained page about RUN...

    RUN is a run's folder, its journal, or a study's folder, which stands for
    all its seeds. The same runs give the same bytes. Exit code 0 whatever the
    verdict; `harness verdict` has exit codes for it.
    """
    from harness.api import render

    content = render(
        *runs,
        out=out,
        markdown=markdown,
        target=target,
        data=data,
        contact_sheet=contact_sheet,
        tracking_uri=tracking_uri,
    )
    for one in content.headlines:
        click.echo(f"{one.word or 'not judged'}: {one.sentence}", err=True)
    click.echo(str(out))
