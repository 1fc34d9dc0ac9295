"""Options of the commands that train: how far, how watched and on what."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import devices_option, max_hours_option, runs_option, tracking_option
from harness.recipes.recipe import Recipe

if TYPE_CHECKING:
    from harness.distributed.cluster import Cluster

_OPTIONS = (
    runs_option,
    click.option("--steps", type=click.IntRange(min=1), help="Stop after N steps."),
    click.option(
        "--checkpoint-every",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        help="Steps between checkpoints; one is made at each epoch's end anyway.",
    ),
    click.option(
        "--eval-images",
        type=click.IntRange(min=1),
        help="Evaluate N images, a fixed random draw of all classes; also evaluates "
        "where --steps ends the run.",
    ),
    max_hours_option,
    tracking_option,
    click.option(
        "--mlflow-every",
        type=click.Choice(["1", "100"]),
        default="100",
        show_default=True,
        help="Steps in one row of MLflow's metrics.",
    ),
    click.option("--no-tracking", is_flag=True, help="Write the journal only, nothing to MLflow."),
    click.option(
        "--accept-numerics",
        is_flag=True,
        help="Go on although threads, flags or versions changed; bits may differ from here on.",
    ),
    devices_option,
    click.option(
        "--stop-when-unusual",
        is_flag=True,
        help="End a seed in which an early check finds something; without it a warning.",
    ),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, in this order, to a command, which hands them to `request_fields`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_fields(options: dict[str, Any]) -> dict[str, Any]:
    """The options as fields of a `RunRequest`."""
    fields = dict(options)
    fields["mlflow_every_step"] = fields.pop("mlflow_every") == "1"
    fields["tracking"] = not fields.pop("no_tracking")
    return fields


def joined_cluster(
    recipe: Recipe, workers: int | None, devices: str, say: Callable[[str], None]
) -> "Cluster | None":
    """The job of workers that this process belongs to; None where it is alone.

    Where `--workers` asks for several and nothing describes them, they are started
    here and this process ends with their exit code.

    Raises:
        UsageError: the job contradicts itself, or no worker could do it.
    """
    from harness.distributed.cluster import check_job, cluster_from_environment

    cluster = cluster_from_environment(os.environ, workers)
    check_job(cluster.workers if cluster else workers or 1, devices, recipe.batch)
    if cluster is None and workers is not None and workers > 1:
        from harness.distributed.launcher import launch

        raise SystemExit(launch(tuple(sys.argv[1:]), workers, os.environ, say))
    return cluster
