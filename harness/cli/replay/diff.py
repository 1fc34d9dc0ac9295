"""`harness diff`."""

from pathlib import Path

import click

from harness.cli.options import DataFolder, LocalPath, json_option


@click.command("diff")
@click.argument("run_a", type=LocalPath())
@click.argument("run_b", type=LocalPath())
@click.option("--data-a", type=DataFolder(), help="Data of RUN_A, if it moved.")
@click.option("--data-b", type=DataFolder(), help="Data of RUN_B, if it moved.")
@click.option(
    "--no-replay",
    is_flag=True,
    help="Compare the journals only; names no tensor and needs no data.",
)
@json_option
def command(
    run_a: Path,
    run_b: Path,
    data_a: Path | None,
    data_b: Path | None,
    no_replay: bool,
    as_json: bool,
) -> None:
    """Find the first step at which two runs part, what parted first, and why.

    The step is computed again in both runs, each in a process with the threads
    and flags in force when it was recorded. Exit codes: 0 all common steps are equal, 1 the runs
    part, 2 wrong input.
    """
    from harness.replay.diff import DiffRequest, diff, text_of

    request = DiffRequest(run_a, run_b, data_a, data_b, replay=not no_replay)
    divergence = diff(request, say=lambda text: click.echo(text, err=True))
    click.echo(divergence.model_dump_json(indent=2) if as_json else text_of(divergence))
    if not divergence.equal:
        raise SystemExit(1)
