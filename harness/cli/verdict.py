"""`harness verdict`."""

from pathlib import Path

import click

from harness.cli.options import json_option


@click.command("verdict")
@click.argument("paths", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A target file. Default: the one in baselines/ that speaks about these runs.",
)
@json_option
def command(paths: tuple[Path, ...], target: Path | None, as_json: bool) -> None:
    """Say whether RUN... reproduced their target.

    RUN is a run's folder, its journal, or a study's folder, which stands for
    all its seeds. Exit codes: 0 reproduced, exceeds, or no target for this
    data; 1 not reproduced; 2 wrong input; 3 inconclusive.
    """
    from harness.verdict.text import judgement_text
    from harness.workflows.verdict import verdict

    judgement = verdict(paths, target=target)
    click.echo(judgement.model_dump_json(indent=2) if as_json else judgement_text(judgement))
    raise SystemExit(judgement.exit_code)
