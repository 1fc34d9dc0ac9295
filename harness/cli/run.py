"""`harness run`."""

import json
import os
import shlex
import sys
from pathlib import Path

import click

from harness.cli.options import (
    devices_option,
    json_option,
    max_hours_option,
    runs_option,
    seed_option,
    tracking_option,
    workers_option,
)
from harness.cli.weight_options import NORMALISATIONS
from harness.recipes.catalogue import find_recipe
from harness.recipes.normalisations import find_normalisation
from harness.recipes.settings import with_settings


@click.command("run")
@click.argument("recipe")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder made by `harness prepare`, or one with train/<class>/* and val/<class>/*.",
)
@seed_option
@runs_option
@click.option("--steps", type=click.IntRange(min=1), help="Stop after so many steps.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a field of the recipe, such as batch=64; marks the run as a deviation. "
    "normalisation=NAME (apm5, caffe, tf, torch) sets the protocols' too.",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Steps between checkpoints; one is made at each epoch's end anyway.",
)
@click.option(
    "--eval-images",
    type=click.IntRange(min=1),
    help="Evaluate only the first so many images; also evaluates where --steps ends the run.",
)
@max_hours_option
@tracking_option
@click.option(
    "--mlflow-every",
    type=click.Choice(["1", "100"]),
    default="100",
    show_default=True,
    help="Steps in one row of MLflow's metrics.",
)
@click.option("--no-tracking", is_flag=True, help="Write the journal only, nothing to MLflow.")
@click.option(
    "--accept-numerics",
    is_flag=True,
    help="Go on although threads, flags or versions changed; bits may differ from here on.",
)
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    help="Weights for the recipe's trunk (transfer): a .h5, .keras or a checkpoint folder.",
)
@click.option(
    "--normalisation",
    type=click.Choice(NORMALISATIONS),
    help="How the weights of --init want pixels, where the file does not say.",
)
@devices_option
@workers_option
@click.option(
    "--stop-when-unusual",
    is_flag=True,
    help="End a seed whose early curve is not that of earlier runs; without it a warning.",
)
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
    runs: Path,
    steps: int | None,
    settings: tuple[str, ...],
    checkpoint_every: int,
    eval_images: int | None,
    max_hours: float,
    tracking_uri: str | None,
    mlflow_every: str,
    no_tracking: bool,
    accept_numerics: bool,
    init: Path | None,
    normalisation: str | None,
    devices: str,
    workers: int | None,
    stop_when_unusual: bool,
    eager: bool,
    as_json: bool,
) -> None:
    """Train and evaluate RECIPE for each seed.

    The same command again continues what was interrupted, or says that all is
    done. Exit codes: 0 done, 2 wrong input, 3 stopped by --stop-when-unusual, 4
    training diverged, 75 interrupted (give the same command again).
    """
    from harness.numerics.pins import set_import_flags
    from harness.training.cluster import check_job, cluster_from_environment
    from harness.workflows.request import RunRequest
    from harness.workflows.run import run

    def say(text: str) -> None:
        click.echo(text, err=True)

    chosen = with_settings(find_recipe(recipe), settings)
    set_import_flags(chosen.numerics)  # Slurm's resolver imports TensorFlow
    cluster = cluster_from_environment(os.environ, workers)
    check_job(cluster.workers if cluster else workers or 1, devices, chosen.batch)
    if cluster is None and workers is not None and workers > 1:
        from harness.workflows.worker_launch import launch

        raise SystemExit(launch(tuple(sys.argv[1:]), workers, os.environ, say))

    request = RunRequest(
        recipe=chosen,
        settings=settings,
        data=data,
        seeds=seeds,
        runs=runs,
        steps=steps,
        checkpoint_every=checkpoint_every,
        eval_images=eval_images,
        max_hours=max_hours,
        tracking_uri=tracking_uri,
        mlflow_every_step=mlflow_every == "1",
        accept_numerics=accept_numerics,
        stop_when_unusual=stop_when_unusual,
        eager=eager,
        init=init,
        normalisation=find_normalisation(normalisation) if normalisation else None,
        devices=devices,
        cluster=cluster,
        command=("harness", *(shlex.quote(word) for word in sys.argv[1:])),
        tracking=not no_tracking,
    )
    report = run(request, say=say)
    click.echo(json.dumps(report.document(), indent=2) if as_json else report.text())
