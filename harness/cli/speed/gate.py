"""`harness gate`."""

import json
from pathlib import Path

import click

from harness.cli.options import OutputPath, json_option


@click.command("gate")
@click.argument("base")
@click.argument("head")
@click.option(
    "--smallest-effect",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.05,
    show_default=True,
    help="A loss must be larger than this fraction of the time.",
)
@click.option("--out", type=OutputPath(file_okay=False), help="Keep the recordings here.")
@click.option(
    "--processes",
    type=click.IntRange(5),
    default=8,
    show_default=True,
    help="Rounds before the first look; up to 8 more are measured while the gate cannot tell.",
)
@click.option(
    "--blocks", type=click.IntRange(1), default=4, show_default=True, help="Blocks a process."
)
@click.option(
    "--release",
    metavar="REVISION",
    help="Compare HEAD with this revision too, in the same rounds, so that small losses cannot add "
    "up; `pinned` is version 0.2.0.",
)
@json_option
def command(
    base: str,
    head: str,
    smallest_effect: float,
    out: Path | None,
    processes: int,
    blocks: int,
    release: str | None,
    as_json: bool,
) -> None:
    """Was speed lost between BASE and HEAD, two git revisions or two recordings?

    Each round times a process of each. Exit codes: 0 no loss above twice the smallest
    effect, 1 a loss, 2 wrong usage, 3 cannot tell, 5 nothing measured.
    """
    from harness.bench.regression.revisions import RELEASE, gate
    from harness.verdict.speed import EXIT_CODES

    answer = gate(
        base,
        head,
        smallest_effect=smallest_effect,
        out=out,
        processes=processes,
        blocks=blocks,
        release=RELEASE if release == "pinned" else release,
        say=lambda text: click.echo(text, err=True),
    )
    click.echo(json.dumps(answer.document(), indent=2) if as_json else answer.text())
    raise SystemExit(EXIT_CODES[answer.outcome])
