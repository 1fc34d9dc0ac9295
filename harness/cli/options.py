"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

runs_option = click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder for runs, tracker and manifests.",
)
seed_option = click.option(
    "--seed",
    "seeds",
    type=int,
    multiple=True,
    help="A seed, once or more. It has no default: every random stream follows from it.",
)
declared_seed_option = click.option(
    "--seed",
    "seeds",
    type=int,
    multiple=True,
    help="A seed, once or more. Default: those that the target declares.",
)
max_hours_option = click.option(
    "--max-hours",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    help="Refuse to start when a seed would take longer.",
)
tracking_option = click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="MLflow tracking server or database. Default: SQLite in the runs folder.",
)
target_option = click.option(
    "--target",
    metavar="NAME|FILE",
    help="One target, by name (`harness list targets`) or as a TOML file. Default: every one in "
    "baselines/ that speaks about these runs.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)
devices_option = click.option(
    "--devices",
    default="1",
    show_default=True,
    metavar="all|N|cpu:N",
    help="Devices of this process that share each batch; cpu:N splits the CPU for a trial.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that share each batch. Where TF_CONFIG or Slurm describes the job it must "
    "agree; elsewhere so many are started on this machine.",
)
NORMALISATIONS = ("apm5", "caffe", "tf", "torch", "mnist", "cifar10")
_OPTIONS = (
    click.option(
        "--weights",
        required=True,
        help="A .h5, .weights.h5 or .keras file, a checkpoint or run folder, or `imagenet` "
        "for Keras' own download.",
    ),
    click.option("--model", help="See `harness list models`. Default: what the weights fit."),
    click.option(
        "--normalisation",
        type=click.Choice(NORMALISATIONS),
        help="How the weights want pixels, where the file does not say.",
    ),
    click.option(
        "--class-order",
        type=click.Choice(["wordnet", "devkit", "folder"]),
        help="How the weights' classes are ordered, where the file does not say.",
    ),
)


def weight_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, in this order, to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
