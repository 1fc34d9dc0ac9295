"""Options that say what weights are: shared by the commands that import them."""

from collections.abc import Callable
from typing import Any

import click

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
