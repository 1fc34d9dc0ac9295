"""The data that a target is about: where it is looked for, and made ready where it is packed."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.baselines.schema import Target
from harness.data.manifest import DESCRIPTION, read_description
from harness.data.shape import GET_IMAGENET
from harness.errors import DataError, UsageError
from harness.numerics.tensorflow_import import import_tensorflow
from harness.sources.digits import write_digits
from harness.study.child_process import run_harness, run_module
from harness.verdict.checks import binding_differences

Say = Callable[[str], None]


@dataclass(frozen=True)
class DataPlace:
    """Where a kind of data is looked for.

    Attributes:
        name: As its authors write it.
        get: How to get it, in one line.
        variable: Environment variable that names its folder.
        folders: Where a system's package puts it.
    """

    name: str
    get: str
    variable: str | None = None
    folders: tuple[Path, ...] = ()


PLACES = {
    "imagenet": DataPlace("ImageNet (ILSVRC2012)", GET_IMAGENET, variable="IMAGENET_DIR"),
    "fashion_mnist": DataPlace(
        "Fashion-MNIST",
        "apt-get install dataset-fashion-mnist (Debian, 31 MB), or put its four IDX files, as they "
        "are or gzipped, into a folder and name it with --data DIR or FASHION_MNIST_DIR=DIR",
        variable="FASHION_MNIST_DIR",
        folders=(Path("/usr/share/datasets/fashion-mnist"),),
    ),
}


def reproduction_data(
    target: Target, given: Path | None, runs: Path, environ: Mapping[str, str], say: Say
) -> Path:
    """The folder to train on for a target.

    ImageNet, and any other folder with train/ and val/, is read where it is. What is
    packed is prepared into `<runs>/data/<kind>`, by a process of its own.

    Args:
        target: What it says about the data.
        given: A folder that the user names; without it the kind's environment
            variable, what was prepared before, and the system's folders are tried.
        runs: Where prepared data goes.
        environ: The process's environment.
        say: Called with what is prepared.

    Raises:
        UsageError: there is no such data, and how to get it.
        DataError: it is other data than the target is about.
        SystemExit: the preparation failed and has said why.
    """
    kind = target.data.kind
    place = PLACES.get(kind, DataPlace(kind, f"name the folder of {kind} with --data DIR"))
    folder = given or _from_environment(place, environ)
    if kind == "imagenet":
        return _existing(folder, place)
    if kind == "digits" and folder is None:
        return embedded_digits(runs)
    prepared = runs / "data" / kind.replace("_", "-")
    if folder is None and (prepared / DESCRIPTION).exists():
        folder = prepared
    folder = _existing(folder or next((p for p in place.folders if p.is_dir()), None), place)
    if _is_packed(folder):
        say(f"preparing {folder} into {prepared}")
        say(run_harness("prepare", "--source", str(folder), "--out", str(prepared)).rstrip())
        folder = prepared
    _refuse_other_data(folder, target, place)
    return folder


def embedded_digits(runs: Path) -> Path:
    """The embedded handwritten digits, written as a folder of images."""
    folder = runs / "datasets" / "digits"
    run_module("harness.study.reproduction_data", str(folder))
    return folder


def _from_environment(place: DataPlace, environ: Mapping[str, str]) -> Path | None:
    named = environ.get(place.variable, "") if place.variable else ""
    return Path(named) if named else None


def _existing(folder: Path | None, place: DataPlace) -> Path:
    if folder is not None and folder.exists():
        return folder
    names = f"--data or {place.variable}" if place.variable else "--data"
    raise UsageError(
        f"there is no {place.name} here" if folder is None else "there is no such folder",
        where=None if folder is None else str(folder),
        expected=f"the folder of {place.name}, named with {names}",
        remedy=place.get,
    )


def _is_packed(folder: Path) -> bool:
    """Whether a folder is neither prepared nor one with its images in train/ and val/."""
    is_plain = (folder / "train").is_dir() and (folder / "val").is_dir()
    return not is_plain and not (folder / DESCRIPTION).exists()


def _refuse_other_data(folder: Path, target: Target, place: DataPlace) -> None:
    if not (folder / DESCRIPTION).exists():
        return
    found = binding_differences(target.data, read_description(folder).identity)
    if found:
        raise DataError(
            f"the data is not what the target {target.name} is about: {'; '.join(found)}",
            where=str(folder),
            expected=f"{place.name}, whole and unchanged",
            remedy=place.get,
        )


if __name__ == "__main__":
    import_tensorflow()  # quietly: else it speaks of a missing driver
    write_digits(Path(sys.argv[1]))
