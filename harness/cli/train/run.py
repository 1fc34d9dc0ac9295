"""`harness run`."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    NORMALISATION,
    DataFolder,
    LocalPath,
    json_option,
    seed_option,
    workers_option,
)
from harness.cli.train.run_options import joined_cluster, request_fields, run_options
from harness.recipes.normalisations import find_normalisation


@click.command("run")
@click.argument("recipe")
@click.option(
    "--data",
    required=True,
    type=DataFolder(),
    help="A folder made by `harness prepare`, or one with train/<class>/* and val/<class>/*.",
)
@seed_option
@run_options
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a field of the recipe, such as batch=64; marks the run as a deviation. "
    "normalisation=NAME (apm5, caffe, tf, torch) sets the protocols' too.",
)
@click.option(
    "--init",
    type=LocalPath(),
    help="Weights for the recipe's trunk (transfer): a .h5, .keras or a checkpoint folder.",
)
@click.option(
    "--normalisation",
    metavar=NORMALISATION,
    help="How the weights of --init want pixels, where the file does not say.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="FILE",
    type=LocalPath(dir_okay=False),
    help="A target of one's own (`harness target new`), kept in the run's folder; registered ones "
    "need no word.",
)
@workers_option
@click.option(
    "--eager",
    is_flag=True,
    help="Run operation by operation, for debugging. Rounds otherwise: other numerics.",
)
@json_option
def command(
    recipe: str,
    data: Path,
    seeds: tuple[int, ...],
    settings: tuple[str, ...],
    init: Path | None,
    normalisation: str | None,
    targets: tuple[Path, ...],
    workers: int | None,
    eager: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train and evaluate RECIPE, a name or a TOML file, for each seed.

    The same command again continues what was interrupted, or says that all is
    done. Exit codes: 0 done, 2 wrong input, 3 stopped by --stop-when-unusual, 4
    training diverged, 75 interrupted (give the same command again).
    """
    from harness.api import load_recipe, run
    from harness.baselines.own import read_own_target
    from harness.progress import Progress

    def say(text: str) -> None:
        click.echo(text, err=True)

    chosen = load_recipe(recipe, settings)
    own = tuple(read_own_target(path, chosen.name, chosen.digest) for path in targets)
    cluster = joined_cluster(chosen, workers, options["devices"], say)
    with Progress() as progress:
        report = run(
            chosen,
            data,
            seeds,
            say=progress.note,
            progress=progress,
            settings=settings,
            eager=eager,
            init=init,
            normalisation=find_normalisation(normalisation) if normalisation else None,
            cluster=cluster,
            targets=own,
            command=("harness", *(shlex.quote(word) for word in sys.argv[1:])),
            **request_fields(options),
        )
    click.echo(json.dumps(report.document(), indent=2) if as_json else report.text())
