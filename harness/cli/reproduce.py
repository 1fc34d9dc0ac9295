"""`harness reproduce`."""

import sys
from pathlib import Path

import click

from harness.cli.options import declared_seed_option, max_hours_option, runs_option, tracking_option
from harness.recipes.catalogue import find_recipe


@click.command("reproduce")
@runs_option
@declared_seed_option
@click.option(
    "--imagenet",
    envvar="IMAGENET_DIR",
    type=click.Path(path_type=Path),
    help="ImageNet: a folder made by `harness prepare`, or train/ and val/. Default: IMAGENET_DIR.",
)
@max_hours_option
@tracking_option
def command(
    runs: Path,
    seeds: tuple[int, ...],
    imagenet: Path | None,
    max_hours: float,
    tracking_uri: str | None,
) -> None:
    """Reproduce the published 77.72 % of ResNet-50 (ten crops) and judge the result.

    The seeds default to those declared in baselines/target.toml; without all
    of them the answer is inconclusive. Exit codes: 0 reproduced or exceeds,
    1 not reproduced, 2 wrong input or a machine that cannot do it in time,
    3 inconclusive, 4 diverged, 75 interrupted (give the same command again).
    """
    from harness.workflows.judging import judge_study
    from harness.workflows.reproduce import check_imagenet, target
    from harness.workflows.request import RunRequest
    from harness.workflows.run import run

    aim = target()
    request = RunRequest(
        recipe=find_recipe(aim.recipe),
        settings=(),
        data=check_imagenet(imagenet),
        seeds=seeds or aim.declared_seeds,
        runs=runs,
        max_hours=max_hours,
        tracking_uri=tracking_uri,
        command=("harness", *sys.argv[1:]),
        imagenet_only=True,
    )

    def say(text: str) -> None:
        click.echo(text, err=True)

    report = run(request, say)
    judged = judge_study(report.study, runs, request.data, tracking_uri, say)
    click.echo(judged.text(runs))
    raise SystemExit(judged.judgement.exit_code)
