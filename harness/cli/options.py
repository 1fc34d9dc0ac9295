"""Options that several commands share."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.errors import DataError
from harness.system.folders import try_output

NORMALISATIONS = ("apm5", "caffe", "tf", "torch", "mnist", "cifar10")
NORMALISATION = f"[{'|'.join(NORMALISATIONS)}|JSON]"
"""A name, or the fields: `(pixel / scale - mean) / std` for each of `channels`."""

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
        metavar=NORMALISATION,
        help="How the weights want pixels, where the file does not say.",
    ),
    click.option(
        "--class-order",
        type=click.Choice(["wordnet", "devkit", "folder"]),
        help="How the weights' classes are ordered, where the file does not say.",
    ),
)


class LocalPath(click.Path):
    """A path of this machine: a leading `~` is the home folder, and nothing is not the present one.

    A shell expands neither in `--runs=~/x` nor in what an editor starts, and an empty
    variable would name the working directory.
    """

    def __init__(
        self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True
    ) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the word; see `click.ParamType`."""
        if isinstance(value, str):
            if not value or "\0" in value:
                self.fail("a path must have a name: this one is empty", param, ctx)
            if any(0xD800 <= ord(letter) < 0xE000 for letter in value):  # bytes that are no UTF-8
                shown = os.fsencode(value).decode(errors="replace")
                self.fail(
                    f"the name {shown} is not UTF-8, which journals and manifests need: rename it, "
                    "or name a link to it",
                    param,
                    ctx,
                )
            if value.startswith(f"~{os.sep}") or value == "~":
                value = os.path.expanduser(value)  # noqa: PTH111 - without a home it stays as it is
        return super().convert(value, param, ctx)


class DataFolder(LocalPath):
    """A data set's folder; one that is not there is refused before anything is imported for it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the word and look for the folder.

        Raises:
            DataError: there is none; the nearest name beside it is offered.
        """
        path = Path(super().convert(value, param, ctx))
        if not path.is_dir():
            raise _no_data(path)
        return path


def _no_data(path: Path) -> DataError:
    if path.exists():
        return DataError(
            "the data is a file, not a folder",
            where=str(path),
            expected="a folder made by `harness prepare`, or one with images in train and val",
            remedy=f"name the folder that holds it: {path.parent}",
        )
    above = next((folder for folder in path.parents if folder.is_dir()), Path())
    missing = path.parts[len(above.parts)]
    beside = [one.name for one in above.iterdir()] if os.access(above, os.R_OK) else []
    near = difflib.get_close_matches(missing, beside, n=1)
    return DataError(
        "there is no such folder of data",
        where=str(path),
        expected="a folder made by `harness prepare`, or one with images in train and val",
        remedy=f"did you mean {above / near[0]}?"
        if near
        else f"name one; the folder {above} holds no {missing}",
    )


class OutputPath(LocalPath):
    """A path that is written to at the end: whether that can be is tried at the beginning."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the word and try its folder.

        Raises:
            MachineError: nothing can be written there.
        """
        path = super().convert(value, param, ctx)
        try_output(Path(path))
        return path


runs_option = click.option(
    "--runs",
    type=LocalPath(file_okay=False),
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
    help="One target, by name (`harness list targets`), by its file's in baselines/ (smoke) or as "
    "a TOML file. Default: every one in baselines/ that applies to these runs.",
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
    "agree; elsewhere N are started on this machine.",
)


def weight_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, in this order, to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
