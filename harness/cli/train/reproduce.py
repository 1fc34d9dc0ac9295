"""`harness reproduce`."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.options import LocalPath, declared_seed_option, workers_option
from harness.cli.train.run_options import joined_cluster, request_fields, run_options
from harness.recipes.catalogue import find_recipe


@click.command("reproduce")
@click.argument("target", required=False, metavar="[TARGET]")
@click.option(
    "--data",
    "--imagenet",
    "data",
    type=LocalPath(),
    help="The target's data: a folder made by `harness prepare`, one with train/ and val/, or the "
    "files as they are published, which are prepared first. Default: the folder that IMAGENET_DIR "
    "or FASHION_MNIST_DIR names, or where the system's package puts it.",
)
@click.option(
    "--recipe",
    metavar="FILE",
    help="The recipe of a target of one's own. Default: the one that the target names, registered "
    "or as NAME.toml beside the target's file.",
)
@declared_seed_option
@run_options
@workers_option
def command(
    target: str | None,
    data: Path | None,
    recipe: str | None,
    seeds: tuple[int, ...],
    workers: int | None,
    **options: Any,
) -> None:
    """Reproduce a published result and judge it.

    TARGET is a name of `harness list targets`, that of its file in baselines/
    (smoke, which is a recipe's name too), or a TOML file; without one it is
    apm5-resnet50-ten-crop, the 77.72 % of ResNet-50 on ImageNet. The seeds
    default to those that the target declares; without all of them the answer is
    inconclusive. It can be stopped at any time: the same command resumes. Exit
    codes: 0 reproduced, or stopped by --steps; 1 not reproduced; 2 wrong input
    or a machine that cannot do it in time; 3 exceeds or inconclusive; 4
    diverged; 75 interrupted (give the same command again). Other targets of the
    recipe are judged too; the named one decides the code.
    """
    from harness.baselines.loading import load_target
    from harness.progress import Progress
    from harness.runner.request import RunRequest
    from harness.runner.run import run
    from harness.study.reproduce import DEFAULT_TARGET, own_target, recipe_of, reproduce
    from harness.study.reproduction_data import reproduction_data

    named = target or DEFAULT_TARGET
    aim = load_target(named)
    chosen = find_recipe(recipe or recipe_of(aim, named))
    own = own_target(named, chosen)
    cluster = joined_cluster(chosen, workers, options["devices"], lambda t: click.echo(t, err=True))
    with Progress() as progress:
        request = RunRequest(
            recipe=chosen,
            settings=(),
            targets=(own,) if own else (),
            data=reproduction_data(aim, data, options["runs"], os.environ, progress.note),
            seeds=seeds or aim.declared_seeds,
            command=("harness", *(shlex.quote(word) for word in sys.argv[1:])),
            cluster=cluster,
            imagenet_only=aim.data.kind == "imagenet",
            target=aim,
            **request_fields(options),
        )
        if cluster is not None and cluster.worker:
            report = run(request, progress.note, progress)  # the chief judges
            click.echo(report.text())
            return
        done = reproduce(request, aim, named, progress.note, progress)
    click.echo(done.text(request.runs))
    raise SystemExit(done.exit_code)
