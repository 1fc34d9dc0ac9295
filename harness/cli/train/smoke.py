"""`harness smoke`."""

from pathlib import Path

import click

from harness.cli.options import LocalPath, declared_seed_option, runs_option, tracking_option


@click.command("smoke")
@runs_option
@declared_seed_option
@click.option(
    "--imagenet",
    envvar="IMAGENET_DIR",
    type=LocalPath(),
    help="Take a tiny subset of this ImageNet folder. Default: IMAGENET_DIR, else digits.",
)
@tracking_option
def command(
    runs: Path, seeds: tuple[int, ...], imagenet: Path | None, tracking_uri: str | None
) -> None:
    """The whole job in minutes: train, repeat, evaluate, judge, report.

    Exit codes as for `harness verdict`; 1 also when the repetition differs in
    a single bit; 0 also when no target applies to the data, since the smoke
    is about the machine then.
    """
    from harness.baselines.loading import load_target
    from harness.study.smoke import smoke

    # A study holds the runs of one data set.
    runs = runs / "imagenet-smoke" if imagenet else runs
    chosen = seeds or load_target("smoke").declared_seeds
    result = smoke(
        runs, chosen, imagenet, tracking_uri, say=lambda text: click.echo(text, err=True)
    )
    click.echo(result.text(runs))
    raise SystemExit(result.exit_code)
