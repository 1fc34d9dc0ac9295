"""Where a command will write, tried before its work: the folder of the runs and the tracker."""

from collections.abc import Callable
from pathlib import Path

from harness.system.folders import try_folder
from harness.tracking.check import check_tracker
from harness.tracking.mirror import default_tracking_uri

Say = Callable[[str], None]


def tracker_of(runs: Path, tracking_uri: str | None) -> str:
    """The tracker's address: as given, or SQLite in the runs folder."""
    return tracking_uri or default_tracking_uri(runs)


def try_places(runs: Path, tracking_uri: str | None, say: Say) -> None:
    """Try everything that a training will need and that costs no more than seconds.

    Args:
        runs: Folder of the runs.
        tracking_uri: Of the tracker; None where nothing is sent.
        say: Called with what is missing and can be done without.

    Raises:
        MachineError: the folder takes no file.
        TrackerError: the tracker can never work.
    """
    for lack in try_folder(runs):
        say(f"warning: {lack}")
    outage = check_tracker(tracking_uri) if tracking_uri is not None else ""
    if outage:
        say(f"warning: {outage}\n  the journal keeps everything: `harness sync` sends it later")
