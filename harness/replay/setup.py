"""Open a run for replaying: pin this process as its steps were recorded, find its data."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError, DifferenceFoundError, MachineError, RecordError
from harness.numerics.pins import pin_runtime, set_import_flags
from harness.record.journal import Journal, read_journal
from harness.record.run_folder import data_of, find_runs, whole
from harness.record.run_length import other_length
from harness.record.schema import EffectiveNumerics

if TYPE_CHECKING:
    from harness.data.dataset import DataSet
    from harness.distributed.devices import Devices
    from harness.replay.replayer import Replay


@dataclass(frozen=True)
class Opened:
    """A run that can be replayed.

    Attributes:
        replay: Its training in this process.
        numerics_differences: Fields in which this process executes otherwise
            than the run; empty where equal bits are promised.
    """

    replay: "Replay"
    numerics_differences: tuple[str, ...]


def one_run(path: Path) -> Path:
    """The folder of the single run that a path means.

    Raises:
        RecordError: there is none, or it is a study with several.
    """
    found = find_runs([path])
    if len(found) != 1:
        raise RecordError(
            f"{len(found)} runs lie here",
            where=str(path),
            expected="one run's folder",
            remedy=f"name one of them, such as {found[0]}",
        )
    return found[0]


def trained(folder: Path) -> Journal:
    """The journal of a run that recorded at least one step.

    Raises:
        RecordError: there is no journal, it has no steps, or it is an excerpt.
        DifferenceFoundError: it is of another length than its recipe.
    """
    journal = whole(read_journal(folder))
    if journal.last_step == 0:
        raise RecordError(
            "the run has no recorded step",
            where=str(folder),
            expected="a run that was trained",
            remedy="train it first",
        )
    if (found := other_length(journal.started)) is not None:
        raise DifferenceFoundError(
            f"the run has another length than its recipe: {found}",
            where=str(journal.path),
            expected="a run that ends where its recipe ends",
            remedy="restore the journal from a copy: its first line was changed",
        )
    return journal


def open_replay(
    folder: Path, journal: Journal, data: Path | None, numerics: EffectiveNumerics
) -> Opened:
    """Pin this process to what a part of a run was recorded under, and build its training.

    To be called before TensorFlow is imported.

    Args:
        folder: The run's folder.
        journal: Its journal.
        data: Where its data set lies now; None takes the recorded place.
        numerics: In force when the steps to be replayed were recorded.

    Raises:
        DataError: the data set is not the run's.
    """
    _pin(journal, numerics)
    from harness.replay.replayer import Replay

    devices = _devices(numerics)
    version = numerics.versions["harness"]
    replay = Replay(folder, journal, _data(folder, journal, data), devices, version)
    return Opened(replay, _differences(numerics, _effective(journal, devices)))


def _pin(journal: Journal, recorded: EffectiveNumerics) -> None:
    recipe = journal.started.recipe
    numerics = recipe.numerics.model_copy(
        update={
            "onednn": recorded.onednn,
            "op_determinism": recorded.op_determinism,
            "intra_op_threads": recorded.intra_op_threads,
            "inter_op_threads": recorded.inter_op_threads,
        }
    )
    set_import_flags(numerics)
    pin_runtime(numerics, recipe.precision)


def _devices(recorded: EffectiveNumerics) -> "Devices":
    """As many devices as the run had over all workers; where they are missing, logical ones.

    Fewer would share a batch otherwise, and batch normalisation per replica would have other
    statistics: another training, and not other rounding.
    """
    from harness.distributed.asked import parse_devices
    from harness.distributed.devices import open_devices

    count = len(recorded.devices)
    on_cpu = parse_devices(f"cpu:{count}")
    if all(name.startswith("CPU") or name.endswith(", logical") for name in recorded.devices):
        return open_devices(on_cpu, None)
    try:
        return open_devices(parse_devices(str(count)), None)
    except MachineError:
        return open_devices(on_cpu, None)


def _effective(journal: Journal, devices: "Devices") -> EffectiveNumerics:
    from harness.measure.environment import effective_numerics

    recipe = journal.started.recipe
    effective = effective_numerics(
        recipe.numerics, recipe.precision, workers=1, replicas=devices.replicas
    )
    return effective.model_copy(update={"devices": devices.names})


def _differences(recorded: EffectiveNumerics, here: EffectiveNumerics) -> tuple[str, ...]:
    return tuple(
        f"{key}: {getattr(recorded, key)} in the run, {getattr(here, key)} here"
        for key in recorded.fields_that_differ(here)
    )


def _data(folder: Path, journal: Journal, data: Path | None) -> "DataSet":
    from harness.data.changes import check_same_data
    from harness.data.opening import open_dataset

    place = data or data_of(folder, journal.started.data_path)
    if place is None or not place.exists():
        raise DataError(
            "the run's data set is not where it was",
            where=str(place) if place else "the journal names no place",
            expected=f"the data set with root {journal.started.data.root_digest}",
            remedy="name its folder with --data",
        )
    manifests = folder.parent.parent / "datasets"
    opened = open_dataset(place, manifests=manifests)
    check_same_data(journal, opened, place, manifests)
    return opened
